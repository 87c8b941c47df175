"""Rubrics: by which criteria work is graded, how much each weighs, and below what it doesn't pass."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources

import msgspec

from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.machine.files import read_text
from harness_core.record import events as ev

OFF = "off"


class Criterion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that is graded, from 0 to 10. Below `threshold` the work doesn't pass."""

    name: str
    asks: str = ""
    """What it asks, in words for the evaluator."""
    weight: float = 1.0
    threshold: float = 0.0


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a piece of work was graded, to hold later grades to the same measure."""

    work: str
    scores: dict[str, float] = {}
    why: str = ""


class Rubric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Criteria with examples; a file `NAME.toml`."""

    criteria: list[Criterion]
    intro: str = ""
    examples: list[Example] = []

    @property
    def names(self) -> list[str]:
        return [criterion.name for criterion in self.criteria]

    def total(self, scores: Sequence[ev.Score]) -> float | None:
        """The weighted mean of the grades that were given, out of 10; None where none fits."""
        weights = {criterion.name: criterion.weight for criterion in self.criteria}
        known = [(weights[score.criterion], score.score) for score in scores if score.criterion in weights]
        whole = sum(weight for weight, _ in known)
        return round(sum(weight * score for weight, score in known) / whole, 2) if whole else None

    def missed(self, scores: Sequence[ev.Score]) -> list[tuple[Criterion, ev.Score]]:
        """The criteria whose grade is below their threshold."""
        given = {score.criterion: score for score in scores}
        return [
            (criterion, given[criterion.name])
            for criterion in self.criteria
            if criterion.name in given and given[criterion.name].score < criterion.threshold
        ]


PLAIN = Rubric(
    [
        Criterion("functionality", "Does it do what was promised, also with the inputs nobody tried?"),
        Criterion("completeness", "Is every step there, and nothing canned or stubbed?"),
        Criterion("craft", "Is it made so that a user and the next builder can rely on it?"),
    ]
)
"""What is graded where no rubric is chosen: no thresholds, the findings decide."""


def own_file(run: RunDir, name: str) -> str:
    """Where the operator's version of a rubric lies, below the run."""
    return str((run.private / "rubrics" / f"{name}.toml").relative_to(run.root))


def load(run: RunDir, name: str) -> Rubric:
    """The rubric of that name: the operator's version where there is one, else Longwatch's own.

    Raises Mistake for one that isn't there or can't be read.
    """
    return PLAIN if name == OFF else parse(*text_of(run, name))


def text_of(run: RunDir, name: str) -> tuple[str, str]:
    """The text of the rubric of that name, and where it lies. Raises Mistake for one that isn't there."""
    path = run.root / own_file(run, name)
    text = read_text(path) if "/" not in name and ".." not in name else None
    if text is not None:
        return text, str(path)
    if name not in supplied():
        raise Mistake(
            f"there is no rubric `{name}`: choose {', '.join(supplied())} or {OFF}, "
            f"or write {own_file(run, name)}"
        )
    origin = f"rubrics/{name}.toml"
    return resources.files("prompts").joinpath(origin).read_text(encoding="utf-8"), origin


def supplied() -> list[str]:
    """The rubrics that come with Longwatch."""
    folder = resources.files("prompts").joinpath("rubrics")
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def parse(text: str, origin: str) -> Rubric:
    """The rubric in a file's text. Raises Mistake that names `origin`."""
    try:
        rubric = msgspec.convert(tomllib.loads(text), Rubric)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Mistake(f"the rubric {origin} can't be used: {error}") from None
    if not rubric.criteria or len(set(rubric.names)) < len(rubric.criteria):
        raise Mistake(f"the rubric {origin} needs criteria with different names")
    if any(not 0 <= item.threshold <= 10 or item.weight <= 0 for item in rubric.criteria):
        raise Mistake(f"the rubric {origin}: thresholds are from 0 to 10, weights above 0")
    return rubric

"""Verdicts that the operator overrode: kept as cases, and made examples of a rubric where that is wanted."""

from __future__ import annotations

import contextlib
import tomllib

import msgspec
import tomli_w

from harness_core import config
from harness_core.contract import record as ct
from harness_core.errors import Mistake
from harness_core.grading import rubric
from harness_core.grading.evaluation import HOLDS
from harness_core.grading.rubric import Example, Rubric
from harness_core.layout import RunDir
from harness_core.machine.files import read_bounded, write_whole
from harness_core.operator import control
from harness_core.operator.control import DecisionFile
from harness_core.record import events as ev


class Case(msgspec.Struct, frozen=True):
    """A verdict and the operator's answer to it, `calibration/NNN.json`; its number is the checkpoint's."""

    verdict: ev.Verdict
    answer: DecisionFile

    @property
    def overruled(self) -> list[ev.Finding]:
        """What the evaluator found and the operator doesn't agree with."""
        return [item for item in self.verdict.findings if item.criterion in self.answer.overrides]


def keep(run: RunDir, verdict: ev.Verdict, answer: DecisionFile) -> None:
    """Keep a case; again is harmless."""
    data = msgspec.json.format(msgspec.json.encode(Case(verdict, answer)), indent=1) + b"\n"
    write_whole(run.calibration / f"{answer.id}.json", data)


def cases(run: RunDir) -> list[Case]:
    """The cases of a run, the oldest first; what can't be read is left out."""
    found = (_read(run, number) for number in control.numbers(run.calibration))
    return [case for case in found if case is not None]


def case(run: RunDir, number: str) -> Case:
    """The case of that number. Raises Mistake where there is none."""
    found = _read(run, int(number)) if number.isascii() and number.isdecimal() else None
    if found is None:
        there = ", ".join(item.answer.id for item in cases(run)) or "none: no verdict was overridden"
        raise Mistake(f"there is no case {number}: there are {there}")
    return found


def _read(run: RunDir, number: int) -> Case | None:
    data = read_bounded(control.numbered(run.calibration, number))
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None if data is None else msgspec.json.decode(data, type=Case)
    return None


def promote(run: RunDir, chosen: Case, why: str = "") -> str:
    """Make an example of a case in the operator's own version of the run's rubric; returns where that lies.

    The next evaluation reads it. Raises Mistake where the run has no rubric, or it has the example already.
    """
    name = _rubric_of(run)
    text, origin = rubric.text_of(run, name)
    known = rubric.parse(text, origin)
    example = _example(run, chosen, known, why)
    if any(item.work == example.work for item in known.examples):
        raise Mistake(f"case {chosen.answer.id} is among the examples of {name} already: edit {origin}")
    write_whole(run.root / rubric.own_file(run, name), _with(text, example, origin).encode())
    return rubric.own_file(run, name)


def _rubric_of(run: RunDir) -> str:
    info = config.load_info(run)
    name = info.config.switches.rubric if info is not None else rubric.OFF
    if name == rubric.OFF:
        raise Mistake(
            f"{run.root} is graded without a rubric, which is what takes examples: choose one with "
            f"`longwatch run {run.root} --set rubric=app`"
        )
    return name


def _example(run: RunDir, chosen: Case, graded: Rubric, why: str) -> Example:
    """What was judged, in words that need no run, with the grades that the operator would have given."""
    asked = {criterion.name: criterion.threshold or HOLDS for criterion in graded.criteria}
    scores = {item.criterion: item.score for item in chosen.verdict.scores if item.criterion in asked}
    for name in set(chosen.answer.overrides) & scores.keys():
        scores[name] = max(scores[name], asked[name])
    found = "; ".join(f"by {item.criterion}: {item.where}" for item in chosen.overruled)
    return Example(
        work=f"{_described(run, chosen.verdict.scope)} An evaluator held against it, {found}",
        scores=scores,
        why=why.strip() or chosen.answer.note.strip() or "That was no fault: the operator overruled it.",
    )


def _described(run: RunDir, scope: list[str]) -> str:
    record = ct.on_record(run)
    features = ct.document(record).features if record is not None else ()
    texts = [feature.description for feature in features if feature.id in scope and feature.description]
    return " ".join(f"{text.rstrip('.')}." for text in texts[:5]) or "The whole."


def _with(text: str, example: Example, origin: str) -> str:
    """A rubric's text with one more example; the rest of the file stays as it was written."""
    entry = msgspec.to_builtins(example)
    before = rubric.parse(text, origin)
    grown = f"{text.rstrip()}\n\n{tomli_w.dumps({'examples': [entry]})}"
    with contextlib.suppress(Mistake):
        if rubric.parse(grown, origin).examples == [*before.examples, example]:
            return grown
    # Examples in a list of their own: the file is written anew.
    whole = tomllib.loads(text)
    return tomli_w.dumps({**whole, "examples": [*whole.get("examples", []), entry]})

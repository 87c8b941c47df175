"""Texts of features that the operator changes: at once where an engine works, else by the next one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness_core.contract import record as ct
from harness_core.contract.record import Feature
from harness_core.errors import ContractError, Mistake
from harness_core.layout import RunDir
from harness_core.operator import control, requests
from harness_core.operator.control import RewordRequest
from harness_core.operator.requests import tell_builder
from harness_core.record import events as ev

if TYPE_CHECKING:
    from harness_core.contract.ledger import Ledger
    from harness_core.run import Run

MOST = 20_000
"""Characters of a feature's text."""
_STEP = re.compile(r"^\s*(?:[-*]|\d+[.)])\s+")


def present(run: RunDir, feature: str) -> Feature:
    """A feature with its text as it is frozen now. Raises Mistake where there is none of that name."""
    if not run.run_json.exists():
        raise Mistake(f"{run.root} isn't run by Longwatch: edit {run.contract.name} itself")
    record = ct.on_record(run)
    features = ct.document(record).features if record is not None else ()
    found = next((item for item in features if item.id == feature), None)
    if found is None:
        known = ", ".join(item.id for item in features[:5]) or "none before the contract is frozen"
        raise Mistake(f"there is no feature {feature} in the contract: there are {known}")
    return found


def as_text(feature: Feature) -> str:
    """A feature's text as it is edited: the description, and below it the steps, each begun with `- `."""
    steps = (f"- {step}".replace("\n", "\n  ") for step in feature.steps)
    return "\n".join([feature.description, "", *steps]) + "\n"


def edited(text: str) -> tuple[str, list[str]]:
    """Description and steps as an edited text has them. What is indented goes on with the step above it."""
    lines = text.splitlines()
    first = next((at for at, line in enumerate(lines) if _STEP.match(line)), len(lines))
    steps: list[str] = []
    for line in lines[first:]:
        if line.startswith("  ") and not _STEP.match(line) and line.strip():
            steps[-1] += f"\n{line.strip()}"
        else:
            steps += steps_of(line)
    return " ".join(" ".join(lines[:first]).split()), steps


def steps_of(text: str) -> list[str]:
    """One step a line, with or without `- ` or a number."""
    return [_STEP.sub("", line).strip() for line in text.splitlines() if line.strip()]


def ask(run: RunDir, feature: str, description: str | None, steps: Sequence[str] | None) -> None:
    """Have a feature's text changed; None leaves a part as it is. Raises Mistake for what is no text."""
    known = present(run, feature)
    if description is not None and not description.strip():
        raise Mistake(f"the description of {feature} is empty: say what must be true")
    if steps is not None and not any(step.strip() for step in steps):
        raise Mistake(f"{feature} has no steps left: say at least one by which a person checks it")
    if len(description or "") + sum(len(step) for step in steps or ()) > MOST:
        raise Mistake(f"that text of {feature} is over {MOST} characters: make several features of it")
    same = description in (None, known.description) and (steps is None or tuple(steps) == known.steps)
    if same and not control.requests(run.rewordings):
        raise Mistake(f"{feature} says that already: nothing to change")
    control.reword(run, feature, description, steps)


def ask_edited(run: RunDir, feature: str, before: str, after: str) -> None:
    """Have a feature's text changed as `before`, which is how it was shown, was edited. Raises Mistake."""
    (description, steps), (old_description, old_steps) = edited(after), edited(before)
    if control.requests(run.rewordings):
        # What was asked for before and waits must not be left in force by what looks like no change.
        ask(run, feature, description, steps)
        return
    # An untouched part stays as it is to the letter: lines that it has are no longer told apart here.
    same_description, same_steps = description == old_description, steps == old_steps
    ask(run, feature, None if same_description else description, None if same_steps else steps)


def take_up(run: Run, ledger: Ledger) -> None:
    """Change what was asked for since the last look."""

    def reword(request: RewordRequest, number: str) -> None:
        said = (
            f"The operator has changed the text of {request.feature}: read it again in "
            f"{ledger.path.name}, and build what it says now."
        )
        tell_builder(run, request.feature, said, request.by, f"reword-{number}")
        try:
            ledger.reword(request.feature, request.description, request.steps, request.by)
        except ContractError as error:
            run.emit(ev.Error(message=str(error), kind="control"))

    requests.take_up(run, ledger, run.dir.rewordings, RewordRequest, reword)

"""Features that the operator gives up for now: at once where an engine works, else by the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness_core.contract.record import Status
from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.operator import control, requests
from harness_core.operator.control import SkipRequest
from harness_core.operator.requests import tell_builder
from harness_core.record.state import RunState

if TYPE_CHECKING:
    from harness_core.contract.ledger import Ledger
    from harness_core.run import Run


def ask(run: RunDir, state: RunState, feature: str, note: str) -> None:
    """Have a feature given up for now: by answering the open checkpoint where that asks about this one alone,
    else by a request to the engine. Raises Mistake for what can't be skipped, and without a note."""
    if not run.run_json.exists():
        raise Mistake(f"{run.root} isn't run by Longwatch: say with `longwatch steer` what to leave out")
    if feature not in state.features:
        known = ", ".join([*state.features][:5]) or "none before the contract is frozen"
        raise Mistake(f"there is no feature {feature} to skip: there are {known}")
    if state.features[feature].status is Status.SKIPPED:
        raise Mistake(f"{feature} is skipped already")
    asked = state.checkpoint
    about_it = asked is not None and asked.features == [feature]
    checkpoint = control.checkpoint_of(run, asked.id) if asked is not None and about_it else None
    if checkpoint is not None:
        control.decide(run, checkpoint, "skip", note)
    else:
        control.skip(run, feature, note)


def take_up(run: Run, ledger: Ledger) -> None:
    """Give up what was asked for since the last look."""

    def give_up(request: SkipRequest, number: str) -> None:
        said = (
            f"The operator gives {request.feature} up for now: {request.note}\n"
            "Take back or finish what would leave the project broken, commit, and leave the feature."
        )
        tell_builder(run, request.feature, said, request.by, f"skip-{number}")
        ledger.change(request.feature, Status.SKIPPED, by="operator", note=request.note)

    requests.take_up(run, ledger, run.dir.skips, SkipRequest, give_up)

"""What the operator's keys do to a run: the same files as the commands write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness_core.errors import Mistake
from harness_core.layout import FINISH_NAME, STOP_NAME, RunDir
from harness_core.machine.lock import engine_alive
from harness_core.operator import control, rewordings, skips
from harness_core.record.state import RunState
from harness_core.safe import safe
from tui.launch import Detached, end_engine, resume_request

READ_LATER = "read when an engine works on the run"
READ_BY_OTHERS = "the other harness has to read it"


class Operator:
    """Acts on one run. Methods that wait say so: call those in a thread."""

    def __init__(self, run: RunDir) -> None:
        self.run = run

    @property
    def alive(self) -> bool:
        """Whether an engine works on the run."""
        return engine_alive(self.run)

    @property
    def ours(self) -> bool:
        """Whether Longwatch runs it, not another harness."""
        return self.run.run_json.exists()

    def steer(self, text: str, mode: control.SteerMode) -> str:
        """Say something to the agent; returns who reads it. Raises Mistake when it says nothing."""
        if self.ours:
            control.steer(self.run, text, mode)
            return "written" if self.alive else f"written: {READ_LATER}"
        path = control.leave_words(self.run, text, mode)
        return f"written to {path.name}: {READ_BY_OTHERS}"

    def pause(self) -> str:
        """Pull the brake; returns what that does."""
        control.request_stop(self.run)
        return self._written(STOP_NAME, "no tool call starts while it is there")

    def finish(self) -> str:
        """Have the feature in hand finished; returns what that does."""
        control.request_finish(self.run)
        return self._written(FINISH_NAME, "the run stops after the feature in hand")

    def _written(self, name: str, does: str) -> str:
        if not self.ours:
            return f"{name} is written; the other harness has to heed it"
        return f"{name} is written: {does}" if self.alive else f"{name} is written; no engine is at work"

    def go_on(self) -> None:
        """Clear the stop and start an engine where there is none. Waits for it.

        Raises LongwatchError when the engine refuses.
        """
        if self.alive or not self.ours:
            control.clear_stop(self.run)
            return
        Detached(resume_request(str(self.run.root), console=True), fast=False)

    def end(self) -> list[str]:
        """Stop, and end the engine and all that the run has started. Waits; returns what survived."""
        control.request_stop(self.run)
        return end_engine(self.run)

    def change_limits(self, changed: Mapping[str, float | None]) -> None:
        """Ask for other limits: the engine takes them up, or the next one does."""
        control.change_limits(self.run, changed)

    def skip(self, state: RunState, feature: str, note: str) -> None:
        """Have a feature given up for now. Raises Mistake where that can't be, or says nothing."""
        skips.ask(self.run, state, feature, note)

    def worded(self, feature: str) -> str:
        """A feature's text as it is edited, safe to show. Raises Mistake where there is none."""
        return safe(rewordings.as_text(rewordings.present(self.run, feature)))

    def reword(self, feature: str, shown: str, edited: str) -> None:
        """Have a feature's text in the contract changed from what was shown.

        Raises Mistake where it says something else by now, and for what is no text.
        """
        if self.worded(feature) != shown:
            raise Mistake(f"the contract says something else of {feature} by now: esc, then look at it again")
        rewordings.ask_edited(self.run, feature, shown, edited)

    def decide(
        self,
        shown: control.Checkpoint,
        decision: control.Decision,
        note: str,
        overrides: Sequence[str],
        choice: int | None = None,
    ) -> None:
        """Answer the checkpoint that was shown: if that has changed meanwhile, the engine asks again.

        Raises Mistake when it has an answer or the note is missing.
        """
        control.decide(self.run, shown, decision, note, overrides, choice)

"""The operator's brake: what keeps a run from going on, and what ends it early.

A run ends early by an exception (the idea is mini-swe-agent's), so that the engine's flow reads as what
happens when nothing goes wrong.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from harness_core.errors import Exit
from harness_core.limits import Limit, near, reached
from harness_core.operator import limit_requests
from harness_core.operator.bounds import SESSION
from harness_core.record import events as ev
from harness_core.record.journal import now_iso
from harness_core.run import Run

POLL = 0.1
"""Seconds between two looks at what a waiting run waits for."""


def clocks() -> tuple[float, float]:
    """The seconds of two clocks: of one that nobody sets, and of the one on the wall, which goes on while
    the machine sleeps."""
    return time.monotonic(), time.time()


class EndOfRun(Exception):
    """The run ends here: the exit code, and why in words."""

    def __init__(self, code: Exit, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Brake:
    """Knows whether anything may run, holds what may not, and journals what was asked and what is so."""

    def __init__(self, run: Run, clocks: Callable[[], tuple[float, float]] = clocks) -> None:
        self._run = run
        self._clocks = clocks
        self._place = _identity(run.dir.private)
        self.ending: Exit | None = None
        """The exit code of a run that a signal has told to end."""

    @property
    def on(self) -> bool:
        """Whether nothing may run."""
        return self.ending is not None or self._run.dir.stopping

    @property
    def finishing(self) -> bool:
        """Whether the run stops after the feature in hand."""
        return self._run.dir.finish_file.exists()

    def note_requests(self) -> bool:
        """Journal what the operator's files ask for; True when that has just become a stop."""
        if self.ending is None and _identity(self._run.dir.private) != self._place:
            # Without its directory a run has neither a brake nor a journal that anybody could read; one that
            # was made anew under the old name is another.
            return self.end(Exit.FAILED, "now")
        requested = self._run.state.stop_requested
        if self._run.dir.stopping and requested not in ("pause", "now"):
            self._run.emit(ev.StopRequested(mode="pause"))
            return True
        if self.finishing and requested is None:
            self._run.emit(ev.StopRequested(mode="finish"))
        withdrawn = requested == "finish" and not self.finishing
        if withdrawn and self._run.state.stop_confirmed is None:
            self._run.emit(ev.StopCleared())
        limit_requests.take_up(self._run)
        self.warn()
        return False

    def warn(self) -> None:
        """Say of each limit, once, that most of it is used, and of the API, once, that it doesn't answer."""
        self._miss_answers()
        for hit in near(self._run.config.limits, self._run.state, self.now()):
            self._run.emit(ev.LimitNear(scope=hit.scope, limit=hit.name, value=hit.value, cap=hit.cap))

    def _miss_answers(self) -> None:
        """What the CLI and the engine do about a refusal is to try again, for hours if need be."""
        state = self._run.state
        if not state.out_of_reach or state.waiting_until or state.unanswered_since is None:
            return
        seconds = (state.active_at(self.now()) - state.unanswered_since) / 1000
        if seconds > self._run.config.timeouts.stall * 60:
            self._run.emit(ev.StallDetected(what=ev.NO_ANSWER, seconds=round(seconds, 1)))

    def now(self) -> str:
        """The time up to which the run works; while it waits for the operator, none passes."""
        if self._run.state.waits_for_operator:
            return ""
        self._run.note_jump()
        return now_iso()

    def end(self, code: Exit, mode: str) -> bool:
        """Have the run end with `code`; `mode` is `pause` or `now`. False when it is ending already."""
        first, self.ending = self.ending is None, code
        if first:
            self._run.emit(ev.StopRequested(mode=mode))
        return first

    def confirm(self, survivors: list[str]) -> None:
        """Journal that nothing runs any more, `survivors` aside."""
        mode = self._run.state.stop_requested or "pause"
        if self._run.state.stop_requested is None:
            self._run.emit(ev.StopRequested(mode=mode))
        self._run.emit(ev.StopConfirmed(mode=mode, survivors=survivors))

    async def hold(self) -> None:
        """Return when nothing holds the run. Raises EndOfRun where nobody waits at a console."""
        if self.on and self._run.state.stop_confirmed is None:
            self.confirm([])
        while self.ending is None and self._run.dir.stopping:
            if not self._run.console:
                raise EndOfRun(Exit.STOPPED, "AGENT_STOP is there")
            await asyncio.sleep(POLL)
        if self.ending is not None:
            if self._run.state.stop_confirmed is None:
                self.confirm([])
            raise EndOfRun(self.ending, "stopped by the operator")
        if self._run.state.stop_requested == "pause":
            self._run.emit(ev.StopCleared())

    async def sleep(self, seconds: float) -> None:
        """Wait, but not past a stop. Raises EndOfRun for a limit that is reached meanwhile.

        A machine that slept has waited too, by the one clock that went on; one whose time was set back, by
        the other.
        """
        ends = [now + seconds for now in self._clocks()]
        while all(now < end for now, end in zip(self._clocks(), ends, strict=True)) and not self.on:
            if (hit := self.limit(new_session=False)) is not None and hit.scope != SESSION:
                self.end_at(hit)
            await asyncio.sleep(POLL)
        await self.hold()

    def stop_if_finished(self) -> None:
        """To be asked between two features. Raises EndOfRun when the operator wants the run to stop there."""
        if not self.finishing:
            return
        self._run.dir.finish_file.unlink(missing_ok=True)
        if self._run.state.stop_requested is None:
            self._run.emit(ev.StopRequested(mode="finish"))
        self._run.emit(ev.StopConfirmed(mode="finish"))
        raise EndOfRun(Exit.STOPPED, "the feature in hand is finished, as asked by AGENT_FINISH")

    def limit(self, *, new_session: bool = True) -> Limit | None:
        """The limit that leaves no room for another session (or else another request), where there is one."""
        return reached(self._run.config.limits, self._run.state, new_session=new_session, at=self.now())

    def note_reached(self, hit: Limit) -> None:
        """Journal that a limit ends what it bounds."""
        self._run.emit(ev.LimitReached(scope=hit.scope, limit=hit.name, value=hit.value, cap=hit.cap))

    def end_at(self, hit: Limit) -> NoReturn:
        """Raises EndOfRun for a limit of the run, or of the phase that it is in."""
        self.note_reached(hit)
        raise EndOfRun(Exit.LIMIT, str(hit))


def _identity(folder: Path) -> tuple[int, int] | None:
    """Which directory this is, whatever its name; None where there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

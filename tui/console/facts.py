"""What the console knows of a run, read anew as often as anything changes."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from harness_core.agent.live import Live
from harness_core.layout import RunDir
from harness_core.machine.files import read_bounded
from harness_core.operator.control import numbers
from harness_core.record import events as ev
from harness_core.record.fold import Follower
from harness_core.record.state import RunState
from harness_core.record.status import Report, report
from tui.console.weather import Weather

REPORT_EVERY = 0.5
"""Seconds after which clocks, pids and stop files are looked at again, though no event came."""
AT_ONCE = 1 << 20
"""Bytes of the journal that are read in one look: some 30 ms."""
RUSH = 40
"""Events in one look that are more than anybody reads."""
_NOTHING = Live(session=0, role="", kind="", text="")


@dataclass(frozen=True)
class Past:
    """Where the replay of a past run is."""

    clock: str
    """The time then, here."""
    speed: float
    playing: bool
    share: float
    """How much of the journal was played, 0 to 1."""
    seq: int
    last: int
    """The newest event that was played, and the last one that there is."""
    ended: bool
    note: str = ""


@dataclass(frozen=True)
class Facts:
    """One look at a run. `state` is the fold itself: read it, and don't keep it."""

    run: RunDir
    report: Report
    state: RunState
    live: Live
    """The block that an agent is typing; its text is empty where none is."""
    reading: bool
    """Whether older events are still being read, so that sums aren't whole yet."""
    past: Past | None = None
    """Where the replay is, None for a run as it is now."""
    ours: bool = True
    """Whether Longwatch runs it, not another harness."""
    unread: int = 0
    """The operator's messages that lie there and that nobody has taken in."""

    limit: ev.RateLimited | None = None
    """The newest word on how much of the API's window is used."""
    retry: ev.Retry | None = None
    """The request that is being tried again."""

    @property
    def over(self) -> bool:
        """Whether the run has come to its end and nothing works on it any more."""
        return self.past is None and self.state.complete and not self.report.engine.alive

    @property
    def rests(self) -> bool:
        """Whether a run has more to do, and no engine that does it."""
        done = self.state.complete or self.report.engine.alive
        return self.past is None and bool(self.state.started) and not done

    @property
    def at_work(self) -> bool:
        """Whether an engine works on the run, in a replay: whether one did then."""
        if self.past is not None:
            return not (self.past.ended or self.state.ended)
        return self.report.engine.alive


def unread(run: RunDir, state: RunState) -> int:
    """How many messages of the operator lie there that no engine has taken in."""
    queued = sum(number > state.steer_newest for number in numbers(run.steering))
    return queued + sum(_holds_words(path) for path in (run.steer_file, run.steer_next_file))


def _holds_words(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.stat().st_size > 0
    return False


@runtime_checkable
class Looker(Protocol):
    """What shows something of a run."""

    def look(self, facts: Facts) -> None:
        """Take in what is known now."""


class Feed:
    """Reads a run on, cheaply, as often as it is asked."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._follower = Follower(run)
        self._reported = 0.0
        self._seen: tuple[object, ...] = ()
        self._live_mark: tuple[int, int] | None = None
        self._live = _NOTHING
        self._report: Report | None = None
        self._ours, self._unread = True, 0
        self._weather = Weather()
        self.rush = False
        """Whether events came faster than anybody reads them when last looked at."""

    def poll(self) -> Facts | None:
        """What is known now, or None when nothing has changed since the last look.

        Raises LongwatchError for a run that a newer Longwatch wrote.
        """
        new = self._follower.poll(AT_ONCE)
        self._weather.take(new)
        behind = bool(new) and self._behind()
        self.rush = len(new) >= RUSH and not behind
        typed = self._read_live()
        stop = (self.run.stopping, os.path.lexists(self.run.finish_file))
        now = time.monotonic()
        due = now - self._reported >= REPORT_EVERY
        if not (new or typed or due or stop != self._seen):
            return None
        if self._report is None or new or due or stop != self._seen:
            self._reported, self._seen = now, stop
            self._report = report(self.run, self._follower.state)
            self._ours, self._unread = self.run.run_json.exists(), unread(self.run, self._follower.state)
        return Facts(
            self.run,
            self._report,
            self._follower.state,
            self._live,
            behind,
            ours=self._ours,
            unread=self._unread,
            limit=self._weather.limit,
            retry=self._weather.retry,
        )

    def _behind(self) -> bool:
        with contextlib.suppress(OSError):
            return self.run.journal.stat().st_size > self._follower.tail.offset
        return False

    def _read_live(self) -> bool:
        """Whether what is being typed has changed."""
        try:
            found = os.stat(self.run.live)
            mark = (found.st_ino, found.st_mtime_ns)
        except OSError:
            mark = None
        if mark == self._live_mark:
            return False
        self._live_mark = mark
        live = _NOTHING
        with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            live = msgspec.json.decode(read_bounded(self.run.live) or b"", type=Live)
        changed = live != self._live
        self._live = live
        return changed

"""A run as its writer holds it: the directory, the journal with its fold, the repository, the settings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from harness_core.agent.mcp_servers import Servers
from harness_core.box.sandbox import Sandbox
from harness_core.config import RunConfig
from harness_core.layout import RunDir
from harness_core.machine import ballast
from harness_core.machine.gitfiles import GitFiles
from harness_core.machine.lock import Hold
from harness_core.record import events as ev
from harness_core.record import reduce
from harness_core.record.fold import SNAPSHOT_EVERY, save_snapshot
from harness_core.record.journal import Journal
from harness_core.record.state import OpenSession, RunState
from harness_core.secrets.redact import Redactor

if TYPE_CHECKING:
    from harness_core.machine.gitrepo import GitRepo

E = TypeVar("E", bound=ev.Event)


@dataclass(kw_only=True)
class Logbook:
    """What whoever works on a run writes by, an engine or a hook. `emit` is the only way into the journal."""

    dir: RunDir
    config: RunConfig
    journal: Journal
    state: RunState
    git: GitFiles
    redact: Redactor
    listeners: list[Callable[[ev.Event], None]] = field(default_factory=list)

    @property
    def session(self) -> OpenSession | None:
        """The session to which an event belongs that doesn't say so itself."""
        return self.state.open_session

    def emit(self, event: E) -> E:
        """Journal `event` with secrets taken out, fold it in, tell the listeners.

        What others did to the journal meanwhile is undone first, and told.
        """
        if (undone := self.journal.put_back()) is not None:
            self._write(ev.Error(message=f"{undone}: put back as far as it could be", kind="journal"))
        return self._write(event)

    def leave_out(self) -> str:
        """Have git pass over what doesn't belong into a commit, whoever makes it.

        Returns, in words, what that took, which is journaled; "" where it took nothing new.
        """
        try:
            left = self.git.leave_out()
        except OSError as error:
            self.emit(ev.Error(message=f"git can't be told what to pass over: {error}", kind="git"))
            return ""
        return self.emit(ev.Error(message=ballast.told(left), kind="left_out")).message if left else ""

    def _write(self, event: E) -> E:
        session = self.session
        if event.session is None and session is not None:
            event = msgspec.structs.replace(event, session=session.number, role=event.role or session.role)
        written = self.journal.append(self.redact.event(event))
        reduce.apply(self.state, written)
        for listener in self.listeners:
            listener(written)
        if written.seq % SNAPSHOT_EVERY == 0:
            # A snapshot only saves time; a disk that has no room for one is no reason to stop.
            with contextlib.suppress(OSError):
                save_snapshot(self.dir, self.state, self.journal.size)
        return written


@dataclass(kw_only=True)
class Run(Logbook):
    """What the parts of an engine share."""

    id: str
    epoch: int
    """Counts the engines that this run has had; part of the mark on every process of the run."""
    git: GitRepo
    servers: Servers = field(default_factory=Servers)
    sandbox: Sandbox = field(default_factory=Sandbox)
    console: bool = False
    """Whether a console watches: then the engine waits for the operator instead of ending."""

    def __post_init__(self) -> None:
        self._hold = Hold(self.dir, self.epoch)

    def emit(self, event: E) -> E:
        """As of a logbook. Raises RunLocked, and writes nothing, when another engine has the run."""
        self._hold.check()
        if isinstance(event, ev.RunResumed):
            self.journal.jumped()  # Up to here nothing of the run's time has passed.
        else:
            self.note_jump()
        return super().emit(event)

    def note_jump(self) -> None:
        """Journal that the clock has jumped, before anybody reckons with the time since the newest event."""
        if jump := self.journal.jumped():
            super().emit(ev.ClockJumped(ms=jump))

    @property
    def mark(self) -> str:
        return f"{self.id}:{self.epoch}"

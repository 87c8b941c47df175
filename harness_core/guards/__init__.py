"""Guards: functions from (tool call, what the guard may know) to a denial or nothing.

The order is fixed: stop, path, shell, secrets, browser, contract. They change nothing; some read files of the
run or ask git. Doubt, a crash and a timeout of a guard deny.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness_core.guards.ports import holders


class ToolCall(NamedTuple):
    """A tool call as the model made it. `input` is the tool's JSON input, untrusted."""

    tool: str
    input: Mapping[str, object]
    tool_use_id: str = ""
    agent: str | None = None
    """The subagent that made the call, or None for the main agent."""


class Process(NamedTuple):
    """A running process: its pid and its command line as one string."""

    pid: int
    command: str


class GuardContext(NamedTuple):
    """What guards may know of the run. What is only there to be asked for is asked for when a guard wants
    it."""

    root: Path
    """The run's directory, absolute and resolved."""
    cwd: Path | None = None
    """Where the session's shell stands, if not at the root: relative paths of a command start there."""
    stopping: bool = False
    read_only: bool = False
    """True for a role that may not change anything in the run (the evaluator)."""
    profile: str = "developer"
    """The shell guard's allowlist: `quickstart`, `developer` or `open`."""
    allow: frozenset[str] = frozenset()
    """Program names allowed on top of the profile."""
    deny: frozenset[str] = frozenset()
    """Program names taken out of the profile."""
    remotes: Callable[[], frozenset[str]] = frozenset
    """Remotes that a push may name."""
    own_processes: Callable[[], Sequence[Process]] = lambda: ()
    """Processes that the session itself started: the only ones it may signal."""
    all_processes: Callable[[], Sequence[Process]] = lambda: ()
    """Every process that the user could signal."""
    port_holders: Callable[[int], frozenset[int]] = holders
    """The pids of the processes that hold a port."""

    @property
    def git_remotes(self) -> frozenset[str]:
        """Remotes that a push may name, as they are configured now."""
        return self.remotes()


class Denial(NamedTuple):
    """Why a call may not run, in a sentence that the model can act on."""

    guard: str
    reason: str


Guard = Callable[[ToolCall, GuardContext], Denial | None]

"""Processes of a run: found by markers in their environment, ended one by one.

Every process that a session starts inherits `LONGWATCH_SESSION`, every process of a run
`LONGWATCH_RUN`; so a child that left its parent, its group and its terminal is still found. Signals go
to single pids whose start time still matches, never to a group or a name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness_core.machine.alive import is_alive, start_time

RUN_MARK = "LONGWATCH_RUN"
SESSION_MARK = "LONGWATCH_SESSION"
APP_MARK = "LONGWATCH_APP"
CLI_MARK = "LONGWATCH_CLI"
"""Names the CLI's own program to a session's processes."""
_COMMAND = 200
"""Characters of a command that are kept."""
_POLL = 0.01
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError)


@dataclass(frozen=True)
class Found:
    """A living process, bound to its start time so that a reused pid is never taken for it."""

    pid: int
    started: float
    command: str

    def __str__(self) -> str:
        return f"{self.pid} {self.command}"

    @property
    def alive(self) -> bool:
        return is_alive(self.pid, self.started)


def _describe(pid: int) -> Found | None:
    started = start_time(pid)
    if started is None:
        return None
    with contextlib.suppress(*_GONE):
        process = psutil.Process(pid)
        return Found(pid, started, (" ".join(process.cmdline()) or process.name())[:_COMMAND])
    return None


def marked(name: str, value: str) -> list[Found]:
    """The living processes of this user whose environment has `name` set to `value`, this one aside.

    A `value` that ends in `:` fits whatever follows.
    """
    mine = os.getpid()
    found = []
    for pid in psutil.pids():
        mark = None if pid == mine else _mark(pid, name)
        if mark is None or (mark != value and not (value.endswith(":") and mark.startswith(value))):
            continue
        described = _describe(pid)
        if described is not None:
            found.append(described)
    return found


def _mark(pid: int, name: str) -> str | None:
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            entries = stream.read().split(b"\0")
    except OSError:
        if os.path.isdir("/proc/self"):
            return None
    else:
        prefix = f"{name}=".encode()
        return next(
            (item[len(prefix) :].decode("utf-8", "replace") for item in entries if item.startswith(prefix)),
            None,
        )
    with contextlib.suppress(*_GONE):
        return psutil.Process(pid).environ().get(name)
    return None


def is_cli(found: Found) -> bool:
    """Whether it is the CLI of a session itself rather than something that the session runs."""
    path = _mark(found.pid, CLI_MARK)
    return path is not None and found.command.startswith(path[:_COMMAND])


def everyone() -> list[Found]:
    """Every process that could be signalled."""
    return [found for pid in psutil.pids() if (found := _describe(pid)) is not None]


def descendants(pids: Iterable[int]) -> list[Found]:
    """All living processes that these have started, at whatever remove, and that still hang on them."""
    children: dict[int, list[int]] = {}
    for pid in psutil.pids():
        if (above := _parent(pid)) is not None:
            children.setdefault(above, []).append(pid)
    found, left = [], list(pids)
    while left:
        for pid in children.pop(left.pop(), ()):
            left.append(pid)
            if (described := _describe(pid)) is not None:
                found.append(described)
    return found


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return int(stream.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return parent(pid)


def listening(pid: int) -> list[int]:
    """The TCP ports that a process listens on."""
    with contextlib.suppress(*_GONE):
        connections = psutil.Process(pid).net_connections(kind="tcp")
        return sorted({item.laddr.port for item in connections if item.status == psutil.CONN_LISTEN})
    return []


def listeners() -> dict[int, Found | None]:
    """Who listens on each TCP port of this machine; None where that can't be seen."""
    with contextlib.suppress(*_GONE):
        connections = psutil.net_connections(kind="tcp")
        return {
            item.laddr.port: _describe(item.pid) if item.pid else None
            for item in connections
            if item.status == psutil.CONN_LISTEN and item.laddr
        }
    return {}


def told(found: Found) -> str:
    """A process as an operator is told of it: pid, command, and the ports that it keeps open."""
    return " ".join([str(found), *(f":{port}" for port in listening(found.pid))])


def parent(pid: int) -> int | None:
    """The parent's pid, or None when the process is gone."""
    with contextlib.suppress(*_GONE):
        return int(psutil.Process(pid).ppid())
    return None


def folder(pid: int) -> Path | None:
    """The working directory of a process, or None where that can't be seen."""
    with contextlib.suppress(*_GONE):
        return Path(psutil.Process(pid).cwd())
    return None


def terminate(targets: Iterable[Found], grace: float = 0.5) -> list[Found]:
    """Ask each target to end, kill what is left after `grace` seconds, return what survived even that."""
    asked = list(targets)
    _signal(asked, signal.SIGTERM)
    return kill(_wait(asked, grace))


def kill(targets: Iterable[Found]) -> list[Found]:
    """Kill each target; returns what is still there a second later."""
    asked = list(targets)
    _signal(asked, signal.SIGKILL)
    return _wait(asked, 1.0)


def _signal(targets: Iterable[Found], number: signal.Signals) -> None:
    for target in targets:
        if target.alive:
            with contextlib.suppress(OSError):
                os.kill(target.pid, number)


def _wait(targets: Iterable[Found], seconds: float) -> list[Found]:
    """Wait until all are gone; returns those that aren't in time.

    None is reaped: a child's exit status is for whoever started it.
    """
    deadline = time.monotonic() + seconds
    while (left := [target for target in targets if target.alive]) and time.monotonic() < deadline:
        time.sleep(_POLL)
    return left

"""Processes of a run: found by markers in their environment and by descent, ended one by one.

Every process that a session starts inherits `LONGWATCH_SESSION`, every process of a run
`LONGWATCH_RUN`; so a child that left its parent, its group and its terminal is still found. Signals go
to single pids whose start time still matches, never to a group or a name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

RUN_MARK = "LONGWATCH_RUN"
SESSION_MARK = "LONGWATCH_SESSION"
APP_MARK = "LONGWATCH_APP"
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError)


@dataclass(frozen=True)
class Found:
    """A living process, bound to its start time so that a reused pid is never taken for it."""

    pid: int
    started: float
    command: str

    def __str__(self) -> str:
        return f"{self.pid} {self.command}"


def _describe(process: psutil.Process) -> Found | None:
    with contextlib.suppress(*_GONE):
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        command = " ".join(process.cmdline()) or process.name()
        return Found(process.pid, process.create_time(), command[:200])
    return None


def start_time(pid: int) -> float | None:
    """When the process of that pid started (seconds since the epoch), or None when there is none."""
    with contextlib.suppress(*_GONE):
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    return None


def is_alive(pid: int, started: float) -> bool:
    """Whether the process that had `pid` and started then still lives (not as a zombie)."""
    found = start_time(pid)
    return found is not None and abs(found - started) < 0.05


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
        with contextlib.suppress(*_GONE):
            described = _describe(psutil.Process(pid))
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


def descendants(pid: int) -> list[Found]:
    """The living children of `pid` and theirs."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except _GONE:
        return []
    return [found for child in children if (found := _describe(child)) is not None]


def everyone() -> list[Found]:
    """Every process that could be signalled."""
    return [found for process in psutil.process_iter() if (found := _describe(process)) is not None]


def terminate(targets: Iterable[Found], grace: float = 0.5) -> list[Found]:
    """Ask each target to end, kill what is left after `grace` seconds, return what survived even that."""
    processes = []
    for target in targets:
        with contextlib.suppress(*_GONE):
            process = psutil.Process(target.pid)
            if abs(process.create_time() - target.started) < 0.05:
                process.terminate()
                processes.append(process)
    _, stubborn = psutil.wait_procs(processes, timeout=grace)
    for process in stubborn:
        with contextlib.suppress(*_GONE):
            process.kill()
    _, left = psutil.wait_procs(stubborn, timeout=1.0)
    return [found for process in left if (found := _describe(process)) is not None]


def parent(pid: int) -> int | None:
    """The parent's pid, or None when the process is gone."""
    with contextlib.suppress(*_GONE):
        return int(psutil.Process(pid).ppid())
    return None

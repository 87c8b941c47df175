"""Whether a process lives: known by its start time too, so that a reused pid is never taken for it."""

from __future__ import annotations

import os
from pathlib import Path


def start_time(pid: int) -> float | None:
    """When the process of that pid started, or None when none lives there (a zombie doesn't).

    In seconds since the machine's own start: a time of day would move when the clock is set.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            # The name may hold blanks and brackets; behind its last bracket come state, parent, …
            state, *fields = stream.read().rpartition(b")")[2].split()
    except OSError:
        return None if os.path.isdir("/proc/self") else _start_time_elsewhere(pid)
    return None if state in (b"Z", b"X") else int(fields[18]) / os.sysconf("SC_CLK_TCK")


def _start_time_elsewhere(pid: int) -> float | None:
    import psutil  # noqa: PLC0415  (costs 10 ms that a console's first picture doesn't have)

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (psutil.Error, OSError):
        return None


def boot_id() -> str:
    """Names what the machine counts start times from: another one after each boot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def is_alive(pid: int, started: float) -> bool:
    """Whether the process that had `pid` and started then still lives (not as a zombie)."""
    return start_time(pid) == started

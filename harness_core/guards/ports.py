"""Who holds a port of this machine."""

from __future__ import annotations

UNKNOWN_PID = 0
"""Stands for a process that the system doesn't name to this user."""


def holders(port: int) -> frozenset[int]:
    """The pids of the processes that listen on a port or have it open."""
    import psutil  # noqa: PLC0415

    found = (one for one in psutil.net_connections("inet") if one.laddr and one.laddr.port == port)
    return frozenset(one.pid or UNKNOWN_PID for one in found if one.status not in ("TIME_WAIT", "CLOSE_WAIT"))

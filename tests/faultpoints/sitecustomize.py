"""Loaded by an engine that a test wants to die at one append of its journal; found by PYTHONPATH alone.

`LONGWATCH_TEST_DIES_AT=17:torn`: at the 17th record, with half of it written (`before` it, or `after` it, or
`lost` with all that isn't synced, as a machine does that loses power); `verdict:before`: at the first record
of that type.
"""

from __future__ import annotations

import os
import signal

_write = os.write
_sync = os.fdatasync
_point, _, _how = os.environ.get("LONGWATCH_TEST_DIES_AT", "0:after").partition(":")
_left = int(_point) if _point.isdecimal() else 1
_fits = b'{"type":"' + (b"" if _point.isdecimal() else _point.encode() + b'"')


_synced = 0


def _noted_sync(descriptor: int, /) -> None:
    global _synced  # noqa: PLW0603
    _sync(descriptor)
    if _is_journal(descriptor):
        _synced = os.fstat(descriptor).st_size


def _is_journal(descriptor: int) -> bool:
    return os.readlink(f"/proc/self/fd/{descriptor}").endswith("/journal.jsonl")


def _dying_write(descriptor: int, data: bytes, /) -> int:
    global _left  # noqa: PLW0603
    if bytes(data[: len(_fits)]) != _fits or not _is_journal(descriptor):
        return _write(descriptor, data)
    _left -= 1
    if _left:
        return _write(descriptor, data)
    if _how == "lost":
        os.ftruncate(descriptor, _synced)
    elif _how != "before":
        _write(descriptor, data[: len(data) // 2] if _how == "torn" else data)
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


if _left:
    os.write = _dying_write
    os.fdatasync = _noted_sync

"""The run's lock as a hook holds it: for the instant of one call, and never against an engine."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from harness_core.layout import RunDir

WITHIN = 10.0
"""Seconds that a call waits for other calls before it gives up, which denies."""
_POLL = 0.002
_ASK_AFTER = 0.05
"""Seconds of waiting after which it is worth knowing whether an engine has the lock."""


@contextlib.contextmanager
def locked(run: RunDir) -> Iterator[bool]:
    """Hold the run's lock; False when an engine has it, which then is the only one that may write.

    Raises TimeoutError when others hold it for too long.
    """
    run.private.mkdir(exist_ok=True)
    descriptor = os.open(run.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield _acquire(descriptor, run)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, run: RunDir) -> bool:
    started = asked = time.monotonic()
    while not _taken(descriptor):
        now = time.monotonic()
        if now - started > WITHIN:
            raise TimeoutError(f"{run.lock} was held for {WITHIN:.0f} s")
        if now - asked > _ASK_AFTER:
            from harness_core.machine.lock import engine_alive  # noqa: PLC0415

            if engine_alive(run):
                return False
            asked = time.monotonic()
        time.sleep(_POLL)
    return True


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK):
            raise
        return False
    return True

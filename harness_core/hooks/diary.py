"""A line for the journal from who has no time to load the journal: the few events that every call makes.

Under the run's lock a line goes to the end with the next `seq`; whatever is unusual there is left to
`journal.Journal`, which mends it. The lines are those of `events`.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping
from typing import Any

from harness_core.layout import RunDir
from harness_core.record.shorten import shortened
from harness_core.secrets.redact import Redactor

_TAIL = 64 << 10
ROLE = "agent"
"""Who acts in a session that no engine started."""


class Diary:
    """Appends to the journal of a run whose lock is held."""

    def __init__(self, run: RunDir, redact: Redactor) -> None:
        self._path = run.journal
        self._redact = redact

    def tell(self, kind: str, session: int | None, values: Mapping[str, Any]) -> None:
        """Append an event of that type. What is in `values` has its secrets taken out."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            last = _last_seq(descriptor)
            if last is None:
                from harness_core.record.journal import Journal  # noqa: PLC0415

                journal = Journal(self._path)
                last = journal.last_seq
                journal.close()
            head = {"type": kind, "seq": last + 1, "ts": _now(), "session": session, "role": ROLE}
            said = {**head, **shortened(values, self._redact.text)}
            line = (
                json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
            )
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        finally:
            os.close(descriptor)


def _last_seq(descriptor: int) -> int | None:
    """The `seq` of the last line; None when that can't be told at a glance."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return 0
    tail = os.pread(descriptor, _TAIL, max(0, size - _TAIL))
    if not tail.endswith(b"\n") or (size > _TAIL and tail.count(b"\n") < 2):
        return None
    try:
        seq = json.loads(tail.rstrip(b"\n").rpartition(b"\n")[2])["seq"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return seq if type(seq) is int and seq > 0 else None


def _now() -> str:
    at = time.time()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{int(at % 1 * 1000):03d}Z"

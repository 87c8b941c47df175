"""What a run's journal says of evidence: who made it, who opened it, which claim it carries."""

from __future__ import annotations

import contextlib
import os
import re
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness_core.record import events as ev

_CHUNK = 256 << 10
_AT_ONCE = 128
"""Chunks that are read in one go."""
_BREATH = 0.001
"""Seconds between two chunks, in which other threads get their turn."""
_CLAIMS_KEPT = 8
"""Of each path, the newest."""
_MARKS = (b'{"type":"evidence_', b'{"type":"feature_changed"', b'{"type":"session_')
"""How the lines of a journal begin that tell of evidence; all others are passed over unread."""
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True)
class Claim:
    """A content that a claim has bound to features."""

    path: str
    sha256: str
    size: int
    mtime_ns: int
    features: tuple[str, ...]
    session: int | None
    commit: str
    """The commit that has it, "" where the journal names none."""


@dataclass(slots=True)
class _Session:
    number: int
    start_ns: int
    end_ns: int | None = None


class Chronicle:
    """What a journal says of evidence. Reads on where it ended, and decodes only the lines that matter."""

    def __init__(self, journal: Path) -> None:
        self._path = journal
        self._begin()

    def _begin(self) -> None:
        self._inode = self._offset = 0
        self.taken = 0
        """How many events have told something."""
        self._inside = False
        """The next byte lies inside a line that was too long to be about evidence."""
        self.captured: dict[tuple[str, str], int] = {}
        """By path and sha256: the session that made it."""
        self.opened: dict[str, tuple[str, ...]] = {}
        """By sha256: the roles that opened it, in the order of their first opening."""
        self.claims: dict[str, tuple[Claim, ...]] = {}
        self._sessions: list[_Session] = []

    def read(self) -> bool:
        """Take in what was appended since the last time, up to some MiB of it; False when there is more."""
        with contextlib.suppress(OSError), self._path.open("rb", buffering=0) as stream:
            found = os.fstat(stream.fileno())
            if found.st_ino != self._inode or found.st_size < self._offset:
                self._begin()
                self._inode = found.st_ino
            for _ in range(_AT_ONCE):
                if not self._take(os.pread(stream.fileno(), _CHUNK, self._offset)):
                    return True
                time.sleep(_BREATH)
            return False
        return True

    def _take(self, chunk: bytes) -> bool:
        """Take in the whole lines of what stands at the offset; False when there is none yet."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._inside = len(chunk) == _CHUNK
            self._offset += len(chunk) if self._inside else 0
            return self._inside
        start = chunk.find(b"\n") + 1 if self._inside else 0
        self._inside = False
        for place in sorted(place for mark in _MARKS for place in _starts(chunk, mark, start, end)):
            with contextlib.suppress(ev.BadEvent):
                self.take(ev.decode(chunk[place : chunk.index(b"\n", place)]))
        self._offset += end
        return True

    def take(self, event: ev.Event) -> None:
        """Take one event in."""
        self.taken += 1
        if isinstance(event, ev.EvidenceCaptured):
            self.captured[event.path, event.sha256] = event.session or 0
        elif isinstance(event, ev.EvidenceRead):
            role, known = event.role or "agent", self.opened.get(event.sha256, ())
            if role not in known:
                self.opened[event.sha256] = (*known, role)
        elif isinstance(event, ev.FeatureChanged):
            for piece in event.evidence:
                self._claimed(event, piece)
        elif isinstance(event, ev.SessionStarted):
            if not self._sessions or self._sessions[-1].number != event.session:
                self._sessions.append(_Session(event.session or 0, _nanoseconds(event.ts)))
        elif isinstance(event, ev.SessionEnded) and self._sessions:
            self._sessions[-1].end_ns = _nanoseconds(event.ts)

    def _claimed(self, event: ev.FeatureChanged, piece: ev.BoundPiece) -> None:
        features = (event.feature, *piece.also_for)
        claim = Claim(
            piece.path,
            piece.sha256,
            piece.size,
            piece.mtime_ns,
            features,
            event.session,
            piece.commit if piece.commit and _COMMIT.fullmatch(piece.commit) else "",
        )
        known = self.claims.get(piece.path, ())
        if not known or known[-1].sha256 != claim.sha256 or known[-1].features != claim.features:
            self.claims[piece.path] = (*known[1 - _CLAIMS_KEPT :], claim)

    def session_at(self, time_ns: int) -> int | None:
        """The session that was going on then."""
        place = bisect_right(self._sessions, time_ns, key=lambda session: session.start_ns) - 1
        if place < 0:
            return None
        session = self._sessions[place]
        return session.number if session.end_ns is None or time_ns <= session.end_ns else None


def _starts(chunk: bytes, mark: bytes, start: int, end: int) -> Iterator[int]:
    """Where lines begin with `mark`."""
    at = chunk.find(mark, start, end)
    while at >= 0:
        if at == start or chunk[at - 1 : at] == b"\n":
            yield at
        at = chunk.find(mark, at + 1, end)


def _nanoseconds(ts: str) -> int:
    with contextlib.suppress(ValueError):
        return int(datetime.fromisoformat(ts).timestamp() * 1000) * 1_000_000
    return 0

"""What the journal tells about one feature: sessions, commits, verdicts, changes, evidence."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from harness_core.contract.record import Status
from harness_core.layout import RunDir
from harness_core.reading.sieve import Sieve
from harness_core.record import events as ev

MOST = 200
"""Of each sort, this many of the newest are kept."""


@dataclass(slots=True)
class Work:
    """A session that worked on the feature."""

    number: int
    role: str
    started: str
    reason: str = ""
    """How it ended; "" while it is open."""
    ms: int = 0
    turns: int = 0
    usd: float = 0.0
    denials: int = 0


@dataclass(frozen=True, slots=True)
class Bound:
    """A piece of evidence, and by which feature's claim it was bound when."""

    piece: ev.BoundPiece
    claimed_by: str
    ts: str


@dataclass(slots=True)
class _Kept:
    sessions: deque[Work] = field(default_factory=lambda: deque(maxlen=MOST))
    commits: deque[ev.Commit] = field(default_factory=lambda: deque(maxlen=MOST))
    verdicts: deque[ev.Verdict] = field(default_factory=lambda: deque(maxlen=MOST))
    changes: deque[ev.FeatureChanged] = field(default_factory=lambda: deque(maxlen=MOST))
    evidence: deque[Bound] = field(default_factory=lambda: deque(maxlen=MOST))


class Story:
    """Reads on in the journal; each list has the oldest first."""

    def __init__(self, run: RunDir, feature: str) -> None:
        self.feature = feature
        self._kept = _Kept()
        self._open: Work | None = None
        self._sieve = Sieve(
            run.journal,
            ev.SessionStarted,
            ev.SessionEnded,
            ev.GuardDecision,
            ev.FeatureChanged,
            ev.Verdict,
            ev.Commit,
        )

    @property
    def behind(self) -> bool:
        """Whether the journal has grown since the last read."""
        return self._sieve.behind

    def read_on(self) -> None:
        """Take in what is new. Reads a long journal for seconds: call it in a thread."""
        for event in self._sieve.read():
            self.take(event)

    @property
    def sessions(self) -> list[Work]:
        return list(self._kept.sessions)

    @property
    def commits(self) -> list[ev.Commit]:
        return list(self._kept.commits)

    @property
    def verdicts(self) -> list[ev.Verdict]:
        return list(self._kept.verdicts)

    @property
    def changes(self) -> list[ev.FeatureChanged]:
        return list(self._kept.changes)

    @property
    def evidence(self) -> list[Bound]:
        """Newest last; a content that was bound again stands where it was bound last."""
        newest = {(bound.piece.path, bound.piece.sha256): bound for bound in self._kept.evidence}
        return sorted(newest.values(), key=lambda bound: bound.ts)

    @property
    def status(self) -> Status | None:
        """As the newest change gives it, or None when there was none."""
        changes = self._kept.changes
        return changes[-1].to if changes else None

    def take(self, event: ev.Event) -> None:
        """Take one event in."""
        match event:
            case ev.SessionStarted():
                self._started(event)
            case ev.SessionEnded() if self._open is not None:
                work, self._open = self._open, None
                work.reason, work.ms = event.reason, event.ms
                work.turns, work.usd = event.turns, event.usd
            case ev.GuardDecision() if self._open is not None:
                self._open.denials += 1
            case ev.Commit() if self._open is not None:
                self._kept.commits.append(event)
            case ev.Verdict() if self.feature in event.scope or findings_on(event, self.feature):
                self._kept.verdicts.append(event)
            case ev.FeatureChanged():
                self._changed(event)

    def _started(self, event: ev.SessionStarted) -> None:
        number = event.session or 0
        goes_on = event.resumed and self._open is not None and self._open.number == number
        if goes_on:
            return
        self._open = None
        if event.feature == self.feature:
            self._open = Work(number, event.role or "", event.ts)
            self._kept.sessions.append(self._open)

    def _changed(self, event: ev.FeatureChanged) -> None:
        mine = event.feature == self.feature
        if mine:
            self._kept.changes.append(event)
        for piece in event.evidence:
            if mine or self.feature in piece.also_for:
                self._kept.evidence.append(Bound(piece, event.feature, event.ts))


def findings_on(verdict: ev.Verdict, feature: str) -> list[ev.Finding]:
    """What a verdict found wrong with a feature: what names it, and what names none while it was judged."""
    judged = feature in verdict.scope
    return [item for item in verdict.findings if item.feature == feature or (judged and item.feature is None)]

"""What the journal tells of a run's commits: who made which, and where the operator was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness_core.layout import RunDir
from harness_core.reading.sieve import Sieve
from harness_core.record import events as ev
from harness_core.record.history import OUTSIDE
from tui.console.git_log import Commit


@dataclass(frozen=True, slots=True)
class Maker:
    """Who made a commit, as far as the journal tells."""

    by: str
    session: int | None = None
    feature: str = ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A question to the operator, at the commit that was the newest then."""

    id: str
    kind: str
    decision: str = ""


@dataclass
class Chronicle:
    """Who made which commit, and where the operator was asked: read on from the journal, in a thread."""

    run: RunDir
    makers: dict[str, Maker] = field(default_factory=dict)
    """By sha."""
    checkpoints: dict[str, list[Checkpoint]] = field(default_factory=dict)
    """By the sha that was the newest when they were opened."""
    _features: dict[int, str] = field(default_factory=dict)
    _newest: str = ""
    _sieve: Sieve | None = None

    def read_on(self) -> bool:
        """Take in what is new; whether anything was."""
        if self._sieve is None or self._shrunk():
            self.makers, self.checkpoints, self._features, self._newest = {}, {}, {}, ""
            self._sieve = Sieve(
                self.run.journal, ev.Commit, ev.SessionStarted, ev.CheckpointOpened, ev.CheckpointDecided
            )
        news = False
        for event in self._sieve.read():
            news = True
            self._take(event)
        return news

    def _shrunk(self) -> bool:
        assert self._sieve is not None
        try:
            return self.run.journal.stat().st_size < self._sieve.offset
        except OSError:
            return self._sieve.offset > 0

    def _take(self, event: ev.Event) -> None:
        match event:
            case ev.SessionStarted(session=int(session), feature=feature):
                self._features[session] = feature or ""
            case ev.Commit():
                feature = self._features.get(event.session or 0, "")
                self.makers[event.sha] = Maker(event.by, event.session, feature)
                self._newest = event.sha
            case ev.CheckpointOpened() if self._newest:
                opened = self.checkpoints.setdefault(self._newest, [])
                opened[:] = [*(other for other in opened if other.id != event.id), _opened(event)]
            case ev.CheckpointDecided():
                for found in self.checkpoints.values():
                    found[:] = [_decided(one, event) for one in found]


def _opened(event: ev.CheckpointOpened) -> Checkpoint:
    return Checkpoint(event.id, event.kind)


def _decided(one: Checkpoint, event: ev.CheckpointDecided) -> Checkpoint:
    return Checkpoint(one.id, one.kind, event.decision) if one.id == event.id else one


@dataclass(frozen=True, slots=True)
class Group:
    """Commits that follow each other and were made by the same one in the same session, newest first."""

    maker: Maker
    commits: tuple[Commit, ...]

    @property
    def key(self) -> str:
        """Stays the same while newer commits come to the group."""
        return f"{self.maker.session or 'outside'}:{self.commits[-1].sha}"


def groups(commits: Sequence[Commit], makers: dict[str, Maker]) -> list[Group]:
    """The log by who made it. What the journal doesn't know was made outside, by its author."""
    found: list[tuple[Maker, list[Commit]]] = []
    for commit in commits:
        maker = makers.get(commit.sha)
        if maker is None or maker.by == OUTSIDE:
            maker = Maker(f"{OUTSIDE} · {commit.author}")
        if found and found[-1][0] == maker:
            found[-1][1].append(commit)
        else:
            found.append((maker, [commit]))
    return [Group(maker, tuple(made)) for maker, made in found]

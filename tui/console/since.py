"""What happened in a run since its operator last looked."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from harness_core.contract.record import Status
from harness_core.layout import RunDir
from harness_core.machine.files import read_bounded, write_whole
from harness_core.operator.bounds import named
from harness_core.reading.rows import decided
from harness_core.reading.sieve import Sieve
from harness_core.record import events as ev
from harness_core.record.journal import seq_before
from tui import recent

KEPT = 5
"""Of each sort of thing that is told one by one, this many of the newest."""
_SEEN_LIMIT = 4096
T = TypeVar("T")
_TOLD = (
    ev.FeatureChanged,
    ev.Commit,
    ev.GuardDecision,
    ev.ContractTampered,
    ev.Error,
    ev.LimitReached,
    ev.LimitNear,
    ev.StallDetected,
    ev.LoopDetected,
    ev.CheckpointOpened,
    ev.CheckpointDecided,
    ev.Verdict,
    ev.SteerQueued,
    ev.SteerDelivered,
    ev.SteerAcknowledged,
    ev.StopConfirmed,
    ev.RunResumed,
    ev.SessionEnded,
    ev.Cost,
)


class Seen(msgspec.Struct, frozen=True):
    """How far the operator has seen a run: the newest event, its time, and where in the journal it ends."""

    seq: int = 0
    ts: str = ""
    offset: int = 0


def _place(run_id: str) -> Path | None:
    # The id comes from a file of the run; it becomes a name only if it is a plain word.
    return recent.folder() / "seen" / f"{run_id}.json" if run_id.isalnum() and len(run_id) <= 64 else None


def last_seen(run_id: str) -> Seen:
    """Where the operator last looked; the run's beginning when he never did or nobody knows."""
    place = _place(run_id)
    if place is None:
        return Seen()
    try:
        return msgspec.json.decode(read_bounded(place, _SEEN_LIMIT) or b"{}", type=Seen)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Seen()


def remember(run_id: str, seen: Seen) -> None:
    """Keep how far the operator has seen. A disk that refuses costs a longer brief, nothing else."""
    place = _place(run_id)
    if place is not None and seen.seq > last_seen(run_id).seq:
        with contextlib.suppress(OSError):
            write_whole(place, msgspec.json.encode(seen), durable=False)


@dataclass
class Brief:
    """What happened after `start`, in numbers and in the newest of each sort."""

    start: Seen
    end: Seen
    changed: dict[str, tuple[Status, Status]] = field(default_factory=dict)
    """Features that stand elsewhere now: from where, to where."""
    commits: list[ev.Commit] = field(default_factory=list)
    commit_count: int = 0
    denials: Counter[str] = field(default_factory=Counter)
    """By guard."""
    tampered: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    trouble_count: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    refuted: list[str] = field(default_factory=list)
    """What verdicts found wrong."""
    decided: list[str] = field(default_factory=list)
    steering: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    usd: float = 0.0
    tokens: int = 0
    turns: int = 0


def brief(run: RunDir, start: Seen) -> Brief:
    """The events after `start`. Reads a long journal for seconds: call it in a thread."""
    offset = start.offset if start.offset and _fits(run, start) else 0
    sieve = Sieve(run.journal, *_TOLD, offset=offset)
    told = Brief(start, start)
    last = start
    for event in sieve.read():
        if event.seq > start.seq:
            _take(told, event)
            last = Seen(event.seq, event.ts, sieve.offset)
    told.end = last
    told.changed = {name: way for name, way in told.changed.items() if way[0] is not way[1]}
    return told


def _fits(run: RunDir, seen: Seen) -> bool:
    with contextlib.suppress(OSError):
        return seq_before(run.journal, seen.offset) == seen.seq
    return False


def _take(told: Brief, event: ev.Event) -> None:
    match event:
        case ev.FeatureChanged():
            before = told.changed.pop(event.feature, (event.from_, event.to))[0]
            told.changed[event.feature] = (before, event.to)
        case ev.Commit():
            told.commit_count += 1
            _keep(told.commits, event)
        case ev.GuardDecision():
            told.denials[event.guard] += 1
        case ev.ContractTampered():
            _keep(told.tampered, event.what)
        case ev.Verdict():
            told.verdicts[event.verdict] += 1
            for finding in event.findings:
                _keep(told.refuted, f"{finding.feature or 'the whole'}: {finding.where}")
        case ev.CheckpointOpened():
            _keep(told.decided, f"checkpoint {event.id} asked ({event.kind})")
        case ev.CheckpointDecided():
            _keep(told.decided, f"checkpoint {event.id}: {decided(event.decision)} by {event.by}")
        case ev.SteerQueued():
            told.steering["sent"] += 1
        case ev.SteerDelivered():
            told.steering["delivered"] += 1
        case ev.SteerAcknowledged():
            told.steering["acknowledged"] += 1
        case ev.SessionEnded():
            told.sessions += 1
        case ev.Cost():
            told.usd += event.usd
            told.tokens += event.tokens
            told.turns += event.turns
        case _:
            _trouble(told, event)


def _trouble(told: Brief, event: ev.Event) -> None:
    match event:
        case ev.Error():
            what = event.message
        case ev.LimitNear() | ev.LimitReached():
            near = "most of a limit is used" if isinstance(event, ev.LimitNear) else "limit reached"
            name = named(event.scope, event.limit)
            what = f"{near}: {name} {event.value:.4g} of {event.cap:g}"
        case ev.StallDetected():
            what = f"stalled for {event.seconds:g} s: {event.what}"
        case ev.LoopDetected():
            what = f"went round in a loop {event.times}×: {event.what}"
        case ev.StopConfirmed():
            what = f"stopped ({event.mode})"
        case ev.RunResumed():
            what = "a new engine took the run up"
        case _:
            return
    told.trouble_count += 1
    _keep(told.troubles, what)


def _keep(kept: list[T], item: T) -> None:
    kept.append(item)
    del kept[:-KEPT]

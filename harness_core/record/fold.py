"""A run's state as its journal gives it: read once, or followed.

Reading starts from the newest snapshot where there is one, so that a reader's start does not grow
with the length of the run. A snapshot is derived: deleting it costs time, nothing else.
"""

from __future__ import annotations

import msgspec

from harness_core.layout import FORMAT, RunDir
from harness_core.machine.files import write_whole
from harness_core.record import events as ev
from harness_core.record import reduce
from harness_core.record.journal import Tail, seq_before
from harness_core.record.state import RunState

SNAPSHOT_EVERY = 5000
"""Events between two snapshots."""
_SNAPSHOT_LIMIT = 64 << 20


class Snapshot(msgspec.Struct):
    """A fold of the journal's first `offset` bytes."""

    offset: int
    inode: int
    state: RunState
    format: int = FORMAT


def save_snapshot(run: RunDir, state: RunState, offset: int) -> None:
    """Keep `state` as the fold of the journal's first `offset` bytes."""
    snapshot = Snapshot(offset, run.journal.stat().st_ino, state)
    write_whole(run.snapshot, msgspec.json.encode(snapshot), durable=False)


def _load_snapshot(run: RunDir) -> tuple[RunState, int]:
    try:
        data = run.snapshot.read_bytes()[:_SNAPSHOT_LIMIT]
        snapshot = msgspec.json.decode(data, type=Snapshot)
        found = run.journal.stat()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return RunState(), 0
    fits = snapshot.format == FORMAT and snapshot.inode == found.st_ino
    if fits and seq_before(run.journal, snapshot.offset) == snapshot.state.last_seq:
        return snapshot.state, snapshot.offset
    return RunState(), 0


class Follower:
    """A run's state, kept up to date by reading on where the last read ended."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.state, offset = _load_snapshot(run)
        self.tail = Tail(run.journal, offset)

    def poll(self, limit: int = 4 << 20) -> list[ev.Event]:
        """Take in what was appended since the last poll, about `limit` bytes at most, and return it."""
        damaged = self.tail.damaged
        new = list(self.tail.read(limit))
        for event in new:
            reduce.apply(self.state, event)
        self.state.damaged += self.tail.damaged - damaged
        return new

    def catch_up(self) -> RunState:
        """The state at the journal's present end."""
        while self.poll():
            pass
        return self.state


def fold(run: RunDir) -> RunState:
    """The state of a run now. Raises NewerFormat for one that a newer Longwatch wrote."""
    return Follower(run).catch_up()

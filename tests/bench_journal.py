"""Runs of any length on disk, as an engine would have left them, made quickly."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness_core.contract.record import Status
from harness_core.layout import RunDir
from harness_core.record import events as ev
from harness_core.record.fold import Follower, save_snapshot
from harness_core.record.state import PASSING
from tests import scenes

FEATURES = 200
LAST_WORDS = "the-newest-words"
"""What the last event says."""
BEHIND = 4000
"""Events after the newest snapshot: about as many as there can be."""
_BEGAN = datetime(2026, 1, 5, 9, tzinfo=UTC)
_WORDS = [
    "the",
    "palette",
    "of",
    "this",
    "flag",
    "needs",
    "one",
    "more",
    "colour",
    "before",
    "its",
    "edge",
    "can",
    "be",
    "drawn",
    "as",
    "the",
    "page",
    "asks",
]


def lay_out(root: Path, count: int) -> RunDir:
    """A run of `count` events with its repository, notes, evidence and, where it is long, a snapshot."""
    scene = scenes.begun(root, scenes.contract(FEATURES, "{n}-th flag is drawn as the page asks"))
    scene.begin(2, "generator", "F001")
    scene.picture("F001-flag.png")
    writer = Writer(scene.run, scene.seq)
    writer.write(work(), count - scene.seq - 1 - BEHIND)
    if writer.seq > BEHIND:
        follower = Follower(scene.run)
        save_snapshot(scene.run, follower.catch_up(), follower.tail.offset)
    writer.write(work(), count - writer.seq - 1)
    writer.append(ev.Text(text=LAST_WORDS))
    return scene.run


def work() -> Iterator[ev.Event]:
    """What happens while agents build, without an end."""
    chance = random.Random(7)
    call = 0
    while True:
        feature = f"F{chance.randrange(1, FEATURES + 1):03d}"
        said = " ".join(chance.choices(_WORDS, k=chance.randrange(4, 40)))
        yield ev.Thinking(text=said[:60])
        yield ev.Text(text=f"{feature}: {said}")
        for _ in range(6):
            call += 1
            name = f"toolu_{call:08d}"
            yield ev.ToolUse(tool_use_id=name, tool="Bash", input={"command": f"python3 flags.py {call}"})
            yield ev.ToolResult(tool_use_id=name, ok=call % 9 > 0, ms=call % 900, output=said * 2)
        yield ev.Cost(usd=0.0001, tokens=900, phase="build", turns=1, context=call % 90_000)
        if call % 50 < 6:
            yield ev.EvidenceCaptured(path=f"screenshots/{feature}.png", sha256=f"{call:064x}", size=4096)
            status = chance.choice((Status.CLAIMED, Status.VERIFIED, Status.FAILING))
            yield ev.FeatureChanged(feature=feature, from_=Status.FAILING, to=status, by="generator")
            yield ev.Commit(sha=f"{call:040x}", subject=said[:60], by="generator")
        if call % 600 < 6:
            reason = "done" if status in PASSING else "timeout"
            yield ev.SessionEnded(reason=reason, ms=600_000, turns=90, usd=0.09)
            yield ev.SessionStarted(
                sdk_session=f"{call:036d}", model="sonnet", phase="build", feature=feature
            )


class Writer:
    """Appends events to a journal as an engine does: each line whole, with the next `seq`."""

    def __init__(self, run: RunDir, seq: int) -> None:
        self.run = run
        self.seq = seq
        self._session = 2

    def append(self, *happened: ev.Event, at: datetime | None = None) -> None:
        with self.run.journal.open("ab", buffering=0) as journal:
            journal.write(b"".join(self._line(event, at) for event in happened))

    def write(self, happened: Iterator[ev.Event], count: int) -> None:
        """The first `count` of these, half a second apart."""
        with self.run.journal.open("ab", buffering=1 << 20) as journal:
            for _ in range(count):
                journal.write(self._line(next(happened), _BEGAN + timedelta(seconds=self.seq / 2)))

    def _line(self, event: ev.Event, at: datetime | None) -> bytes:
        self.seq += 1
        self._session += isinstance(event, ev.SessionStarted)
        stamp = (at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        named = {name: getattr(event, name) for name in event.__struct_fields__}
        whole = named | {"seq": self.seq, "ts": stamp, "session": self._session, "role": "generator"}
        return ev.encode(type(event)(**whole))


def notes(size: int, sections: Sequence[str]) -> bytes:
    """Agents' notes of about `size` bytes: tables, lists and prose, and above them these sections."""
    lines = ["# Progress", "", *(part for title in sections for part in (f"## {title}", "", "- began", ""))]
    chance = random.Random(3)
    while size > 0:
        said = " ".join(chance.choices(_WORDS, k=14))
        part = [
            f"## Session {size}: {said[:30].strip()}",
            "",
            f"{said}. It took `python3 flags.py {size}` and **{size % 9}** looks.",
            "",
            *(f"- {said[place:]}" for place in range(4)),
            "",
            "| flag | colours | state |",
            "| --- | --- | --- |",
            *(f"| F{place:03d} | {said[:12]} | drawn |" for place in range(6)),
            "",
        ]
        size -= sum(len(row) + 1 for row in part)
        lines += part
    return "\n".join(lines).encode()


def contract(text: str) -> bytes:
    """A contract's file whose features all say this."""
    return json.dumps(scenes.contract(FEATURES, text), indent=1).encode()


def replace(path: Path, data: bytes) -> None:
    """As most programs save: a new file in the place of the old one."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(data)
    os.replace(new, path)

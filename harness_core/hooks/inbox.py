"""Whether the operator has said anything, at a glance; and whether what was handed over has arrived."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from harness_core.hooks.shelf import Common, Session, Waiting
from harness_core.layout import RunDir
from harness_core.machine.files import read_end
from harness_core.operator.transcript import ANSWERED, SAID, kind_of

SETTLED = 0.1
"""Seconds without a change after which a message without an end of line counts as whole."""
_TAIL = 4 << 20


def spoken(run: RunDir, common: Common, *, session_start: bool) -> bool:
    """Whether there is a message that is due, or that nobody has taken in yet."""
    if "now" in common.due or (session_start and common.due):
        return True
    if run.steer_file.exists() or run.steer_next_file.exists():
        return True
    try:
        names = os.listdir(run.steering)
    except FileNotFoundError:
        return False
    return any(name.startswith("inbox-") or _number(name) > common.steer_taken for name in names)


def _number(name: str) -> int:
    number, dot, suffix = name.partition(".")
    return int(number) if dot and suffix == "json" and number.isdecimal() else 0


def let_settle(run: RunDir) -> None:
    """Give who is writing a message the time to end its line."""
    for path in _inboxes(run):
        try:
            age = time.time() - path.stat().st_mtime
        except OSError:
            continue
        if age < SETTLED and not read_end(path, 1).endswith(b"\n"):
            time.sleep(SETTLED - max(age, 0.0) + 0.01)


def _inboxes(run: RunDir) -> Iterator[Path]:
    yield from (run.steer_file, run.steer_next_file)
    if run.steering.is_dir():
        yield from run.steering.glob("inbox-*")


class Receipts:
    """What became of earlier messages, and to which call of which session the next ones go."""

    def __init__(
        self, arrived: list[str], lost: list[str], session: str, tool_use_id: str | None, transcript: str
    ) -> None:
        self.arrived = arrived
        """Their agent has answered."""
        self.lost = lost
        """They never came into the conversation, or it has ended: they are due again."""
        self.session = session
        self.tool_use_id = tool_use_id
        self.transcript = transcript


def arrivals(
    waiting: Sequence[Waiting], session: Session, is_over: Callable[[str], bool]
) -> tuple[list[str], list[str]]:
    """The messages that arrived, and those that are lost, of what was handed to `session` or to one that
    `is_over`."""
    arrived: list[str] = []
    lost: list[str] = []
    for item in waiting:
        if item.session != session.id:
            if is_over(item.session):
                lost.append(item.id)
            continue
        lines = read_end(Path(item.transcript), _TAIL).splitlines() if item.transcript else []
        told = _last(lines, f"steering message {item.id} from the operator".encode(), SAID)
        answered = _last(lines, b'"type":"assistant"', ANSWERED)
        if told is not None:
            if answered is not None and answered > told:
                arrived.append(item.id)
            continue
        given = _last(lines, item.tool_use_id.encode(), SAID) if item.tool_use_id else None
        if given is not None and answered is not None and answered > given:
            lost.append(item.id)
    return arrived, lost


def _last(lines: Sequence[bytes], mark: bytes, kinds: Collection[str]) -> int | None:
    """The last line of these kinds that has the mark in it."""
    places = range(len(lines) - 1, -1, -1)
    return next((at for at in places if mark in lines[at] and kind_of(lines[at]) in kinds), None)

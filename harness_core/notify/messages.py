"""What is worth a message, in which words, and how often: pure functions of events and times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from harness_core.errors import Exit
from harness_core.operator.bounds import RUN, SESSION, named, whose
from harness_core.record import events as ev
from harness_core.safe import one_line

EVERY = 60.0
"""Seconds in which at most one message of a kind goes out; what comes meanwhile becomes one."""
_LENGTH = 300


class Kind(StrEnum):
    """What a message is about."""

    DONE = "done"
    WAITING = "waiting"
    FAILED = "failed"
    LIMIT = "limit"
    STALL = "stall"


_TITLES = {
    Kind.DONE: "done",
    Kind.WAITING: "waits for you",
    Kind.FAILED: "has failed",
    Kind.LIMIT: "limit",
    Kind.STALL: "is held up",
}


@dataclass(frozen=True)
class Message:
    """Plain text: a title, and a sentence."""

    kind: Kind
    title: str
    body: str
    count: int = 1
    """Of how many it is the newest."""

    @property
    def text(self) -> str:
        more = self.count - 1
        return f"{self.body} (and {more} more like it)" if more else self.body


def message(kind: Kind, run: str, body: str) -> Message:
    """A message with nothing in it that could act on what shows it."""
    return Message(kind, one_line(f"{run}: {_TITLES[kind]}", _LENGTH), one_line(body, _LENGTH))


def of_event(event: ev.Event, run: str) -> Message | None:
    """What an event of the run with that name tells an operator who looks elsewhere."""
    match event:
        case ev.RunEnded(exit=Exit.DONE):
            return message(Kind.DONE, run, event.reason)
        case ev.RunEnded(exit=Exit.FAILED):
            return message(Kind.FAILED, run, event.reason)
        case ev.CheckpointOpened():
            return message(Kind.WAITING, run, f"checkpoint {event.id}: {event.summary}")
        case ev.LimitNear() | ev.LimitReached() if event.scope == SESSION:
            # The run goes on with the next one.
            return None
        case ev.LimitNear():
            what = named(event.scope, event.limit)
            return message(Kind.LIMIT, run, f"{what}: {event.value:.4g} of {event.cap:g} is used")
        case ev.LimitReached():
            what = f"{named(RUN, event.limit)} {event.cap:g}{whose(event.scope)}"
            return message(Kind.LIMIT, run, f"{what} is reached: the run ends")
        case ev.RateLimited(status="rejected"):
            until = f" until {event.resets_at}" if event.resets_at else ""
            return message(Kind.LIMIT, run, f"the account's usage limit: the run waits{until}")
        case ev.StallDetected():
            return message(Kind.STALL, run, _stall(event))
        case ev.LoopDetected():
            return message(Kind.STALL, run, f"{event.what}, {event.times} times")
    return None


def _stall(event: ev.StallDetected) -> str:
    if event.what in (ev.SILENCE, ev.NO_ANSWER):
        return f"{event.what} for {event.seconds:.0f} s"
    return f"{event.what} took more time than it may, and was ended after {event.seconds:.0f} s"


class Throttle:
    """Lets one message of a kind through in `EVERY` seconds, and makes one of what came meanwhile. Times are
    seconds of a monotonic clock, handed in."""

    def __init__(self) -> None:
        self._free: dict[Kind, float] = {}
        self._kept: dict[Kind, Message] = {}

    def offer(self, message: Message, now: float) -> list[Message]:
        """The message where it may go out now; else it is kept."""
        if now >= self._free.get(message.kind, now) and message.kind not in self._kept:
            self._free[message.kind] = now + EVERY
            return [message]
        before = self._kept.get(message.kind)
        self._kept[message.kind] = replace(message, count=before.count + 1 if before else 1)
        return []

    def due(self, now: float) -> list[Message]:
        """The kept messages whose time has come."""
        kinds = [kind for kind in self._kept if now >= self._free[kind]]
        for kind in kinds:
            self._free[kind] = now + EVERY
        return [self._kept.pop(kind) for kind in kinds]

    def wait(self, now: float) -> float | None:
        """Seconds until `due` has something, None while nothing is kept."""
        return min((max(0.0, self._free[kind] - now) for kind in self._kept), default=None)

    def rest(self) -> list[Message]:
        """All that is kept: nothing comes after it."""
        kept, self._kept = list(self._kept.values()), {}
        return kept

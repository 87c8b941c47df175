"""What a reader of a journal wants to see of it: by role, session, kind and words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from harness_core.errors import Mistake
from harness_core.record import events as ev
from tui.console.journal_entries import Entry

KINDS: dict[str, tuple[type[ev.Event], ...]] = {
    "text": (ev.Text,),
    "thinking": (ev.Thinking,),
    "tool": (ev.ToolUse, ev.ToolResult, ev.GuardDecision),
    "session": (ev.SessionStarted, ev.SessionEnded),
    "phase": (ev.PhaseStarted, ev.PhaseEnded),
    "run": (ev.RunStarted, ev.RunResumed, ev.RunEnded),
    "feature": (ev.FeatureChanged, ev.ContractFrozen, ev.ContractChanged),
    "verdict": (ev.Verdict,),
    "evidence": (ev.EvidenceCaptured, ev.EvidenceRead),
    "commit": (ev.Commit,),
    "steer": (ev.SteerQueued, ev.SteerDelivered, ev.SteerAcknowledged),
    "stop": (ev.StopRequested, ev.StopConfirmed, ev.StopCleared),
    "checkpoint": (ev.CheckpointOpened, ev.CheckpointDecided),
    "limit": (ev.LimitReached, ev.LimitNear, ev.LimitsChanged, ev.RateLimited, ev.Retry),
    "error": (ev.Error, ev.ContractTampered, ev.StallDetected, ev.LoopDetected),
    "app": (ev.AppChanged,),
    "cost": (ev.Cost,),
}
"""What `kind:` knows, besides `denied`, `failed` and the journal's own names of types."""
OF_CALLS = ("denied", "failed")
_TYPES = {str(kind.__struct_config__.tag): kind for kinds in KINDS.values() for kind in kinds}
_PLAIN: re.Pattern[str] = re.compile(r"[\x20-\x7e]*")
_NOT_ONLY_ASCII = {sign.encode(): sign.lower().encode() for sign in "\u212a\u0130"}
"""The letters beyond ASCII whose lower case has one of ASCII: the Kelvin sign, and I with a dot."""
_UNSAID = {"seq", "ts", "session", "role", "tool_use_id", "sha256", "blob", "agent"}
"""Fields that a search for words leaves out, since nearly every event has them."""


@dataclass(frozen=True)
class Filter:
    """What a reader wants to see; empty parts ask for nothing."""

    roles: tuple[str, ...] = ()
    sessions: tuple[tuple[int, int], ...] = ()
    kinds: tuple[str, ...] = ()
    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.roles or self.sessions or self.kinds or self.text)

    def wants(self, entry: Entry) -> bool:
        event = entry.event
        if self.roles and not (event.role or "").startswith(self.roles):
            return False
        if self.sessions and not any(low <= (event.session or 0) <= high for low, high in self.sessions):
            return False
        if self.kinds and not any(_is_kind(entry, kind) for kind in self.kinds):
            return False
        return not self.text or self.text in _all_words(entry).lower()

    def may_hold(self, data: bytes) -> bool:
        """Whether bytes of a journal can hold anything wanted: a quick look that never says no wrongly."""
        return (
            (not self.roles or any(f'"role":"{role}'.encode() in data for role in self.roles))
            and (not self.kinds or any(mark in data for kind in self.kinds for mark in _marks(kind)))
            and (not self.text or may_say(data, sure_of(self.text)))
        )


def _is_kind(entry: Entry, kind: str) -> bool:
    event = entry.event
    if kind == "denied":
        return entry.denial is not None or isinstance(event, ev.GuardDecision)
    if kind == "failed":
        outcome = event if isinstance(event, ev.ToolResult) else entry.outcome
        return outcome is not None and not outcome.ok
    types = KINDS.get(kind) or (_TYPES[kind],)
    return isinstance(event, types)


def _all_words(entry: Entry) -> str:
    return "\n".join(words_of(event) for event in (entry.event, entry.outcome, entry.denial) if event)


def parse_filter(text: str) -> Filter:
    """A filter as it is typed: `role:generator session:3 kind:tool,error words`.

    Raises Mistake for what it can't mean.
    """
    parts: dict[str, list[str]] = {"role": [], "session": [], "kind": []}
    rest = []
    for word in text.split():
        name, colon, value = word.partition(":")
        if colon and name in parts:
            parts[name] += [item for item in value.lower().split(",") if item]
        else:
            rest.append(word)
    for kind in parts["kind"]:
        if kind not in KINDS and kind not in OF_CALLS and kind not in _TYPES:
            raise Mistake(f"no kind {kind}: {', '.join((*KINDS, *OF_CALLS))}")
    return Filter(
        roles=tuple(parts["role"]),
        sessions=tuple(map(_span, parts["session"])),
        kinds=tuple(parts["kind"]),
        text=" ".join(rest).lower(),
    )


def _span(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    try:
        return int(low), int(high) if dash else int(low)
    except ValueError:
        raise Mistake(f"no session {text}: write session:3 or session:3-7") from None


def _marks(kind: str) -> list[bytes]:
    """Bytes of which a line of that kind has one, or, of a call, the line of what came of it."""
    if kind in OF_CALLS:
        return [b'"guard_decision"' if kind == "denied" else b'"ok":false']
    types = KINDS.get(kind) or (_TYPES[kind],)
    return [f'"{event.__struct_config__.tag}"'.encode() for event in types]


# --- Words -------------------------------------------------------------------------------------------


def words_of(event: ev.Event) -> str:
    """All text of an event that a search looks through."""
    if isinstance(event, ev.ToolUse):
        return f"{event.tool}\n" + "\n".join(map(str, _leaves(event.input)))
    skipped = _UNSAID - {"session", "role"} if isinstance(event, ev.SessionStarted) else _UNSAID
    values = msgspec.structs.asdict(event)
    return "\n".join(
        str(leaf) for name, value in values.items() if name not in skipped for leaf in _leaves(value)
    )


def _leaves(value: object) -> Iterator[object]:
    """What stands in a value, however deep, without the names."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not None:
        yield value


def sure_of(words: str) -> bytes:
    """Bytes that every line with these words has, in lower case: their longest run of plain characters."""
    escaped = json.dumps(words.lower(), ensure_ascii=False)[1:-1]
    longest: str = max(_PLAIN.findall(escaped), key=len)
    return longest.encode()


def may_say(data: bytes, sure: bytes) -> bool:
    """Whether bytes of a journal can hold words of which `sure_of` gives `sure`."""
    data = data.lower()
    for sign, lower in _NOT_ONLY_ASCII.items():
        data = data.replace(sign, lower)
    return sure in data

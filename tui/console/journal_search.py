"""Looking through a whole journal: for words, for trouble, and only at what a reader has chosen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness_core import events as ev
from harness_core.errors import Mistake
from tui.console.journal_window import (
    CHUNK,
    Entry,
    Line,
    entry_of,
    head,
    line_end,
    lines_after,
    lines_before,
    opened,
    whole_end,
)

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
    "limit": (ev.LimitReached, ev.RateLimited, ev.Retry),
    "error": (ev.Error, ev.ContractTampered, ev.StallDetected, ev.LoopDetected),
    "app": (ev.AppChanged,),
    "cost": (ev.Cost,),
}
"""What `kind:` knows, besides `denied`, `failed` and the journal's own names of types."""
OF_CALLS = ("denied", "failed")
_TYPES = {str(kind.__struct_config__.tag): kind for kinds in KINDS.values() for kind in kinds}
_TROUBLE = frozenset(
    str(kind.__struct_config__.tag)
    for kind in (
        ev.Error,
        ev.GuardDecision,
        ev.ContractTampered,
        ev.StallDetected,
        ev.LoopDetected,
        ev.LimitReached,
    )
)
_FALLIBLE = frozenset(("tool_result", "app_changed"))


def is_trouble(data: bytes) -> bool:
    """Whether a line is an error, a denial, a failed call or tampering."""
    found = head(data)
    if found is None:
        return False
    return found.type in _TROUBLE or (found.type in _FALLIBLE and found.ok is False)


def words_of(event: ev.Event) -> str:
    """All text of an event that a search looks through."""
    if isinstance(event, ev.ToolUse):
        return f"{event.tool}\n" + "\n".join(map(str, _leaves(event.input)))
    skipped = {"seq", "ts", "session", "role", "tool_use_id", "sha256", "blob", "agent"}
    if isinstance(event, ev.SessionStarted):
        skipped -= {"session", "role"}
    values = msgspec.structs.asdict(event)
    return "\n".join(
        str(leaf) for name, value in values.items() if name not in skipped for leaf in _leaves(value)
    )


def _leaves(value: object) -> Iterator[object]:
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


# --- Filters -----------------------------------------------------------------------------


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
        return not self.text or self.text in _all_words(entry).casefold()


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
        text=" ".join(rest).casefold(),
    )


def _span(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    try:
        return int(low), int(high) if dash else int(low)
    except ValueError:
        raise Mistake(f"no session {text}: write session:3 or session:3-7") from None


# --- Search -----------------------------------------------------------------------------

Test = Callable[[Line], bool]
Cancelled = Callable[[], bool]


def look_for(words: str, wanted: Callable[[Entry], bool]) -> Test:
    """A test for lines of wanted entries that say `words`, in any case."""
    needle = words.casefold()
    escaped = json.dumps(needle, ensure_ascii=False)[1:-1].encode("utf-8", "replace")

    def test(line: Line) -> bool:
        # Lower case by bytes is quick, and right for what a plain needle can match.
        if needle.isascii() and escaped not in line.data.lower():
            return False
        entry = entry_of(line)
        return needle in words_of(entry.event).casefold() and wanted(entry)

    return test


def find(
    path: Path, start: int, step: int, test: Test, cancelled: Cancelled, *, wraps: bool = False
) -> int | None:
    """Where the next line that passes `test` begins: behind the line at `start`, or before it for `step` -1.

    None where there is none, or when `cancelled` says so.
    """
    with opened(path) as file:
        if file is None:
            return None
        fd, size = file[0], whole_end(*file[:2])
        here = min(start, size) if step < 0 else line_end(fd, start) or size
        for first, last in ((here, size), (0, here)) if step > 0 else ((0, here), (here, size)):
            pieces = _forwards(fd, first, last) if step > 0 else _backwards(fd, first, last)
            for lines in pieces:
                if cancelled():
                    return None
                found = next((line.offset for line in lines if test(line)), None)
                if found is not None:
                    return found
            if not wraps:
                return None
    return None


def _forwards(fd: int, start: int, end: int) -> Iterator[list[Line]]:
    while start < end and (lines := lines_after(fd, start, 4 * CHUNK)):
        yield lines
        start = lines[-1].offset + lines[-1].size


def _backwards(fd: int, start: int, end: int) -> Iterator[list[Line]]:
    while end > start and (lines := lines_before(fd, end, 4 * CHUNK)):
        yield lines[::-1]
        end = lines[0].offset

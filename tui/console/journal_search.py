"""Looking through a whole journal: for words, or for trouble."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness_core.record import events as ev
from tui.console.journal_entries import Accept, entry_of
from tui.console.journal_filter import may_say, sure_of, words_of
from tui.console.journal_lines import CHUNK, Line, Piece, Step, line_end, opened, piece_at, whole_end

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
_TROUBLE_MARKS = re.compile(b'"ok":false|"type":"(?:' + "|".join(sorted(_TROUBLE)).encode() + b')"')
_PIECE = 4 * CHUNK


@dataclass(frozen=True)
class Test:
    """What a search looks for: first whether bytes can hold it, then whether a line does."""

    may_hold: Callable[[bytes], bool]
    passes: Callable[[Line], bool]


def said(words: str, wanted: Accept) -> Test:
    """Lines of wanted entries that say `words`, in any case."""
    needle, sure = words.lower(), sure_of(words)

    def may_hold(data: bytes) -> bool:
        return may_say(data, sure)

    def passes(line: Line) -> bool:
        if not may_hold(line.data):
            return False
        entry = entry_of(line)
        return needle in words_of(entry.event).lower() and wanted(entry)

    return Test(may_hold, passes)


def trouble(wanted: Accept) -> Test:
    """Errors, denials, failed calls, tampering."""

    def may_hold(data: bytes) -> bool:
        return _TROUBLE_MARKS.search(data) is not None

    def passes(line: Line) -> bool:
        return may_hold(line.data) and _is_trouble(line.data) and wanted(entry_of(line))

    return Test(may_hold, passes)


class _Head(msgspec.Struct):
    """What tells whether an event is trouble, read without the rest."""

    type: str = ""
    ok: bool | None = None


_heads = msgspec.json.Decoder(_Head)


def _is_trouble(data: bytes) -> bool:
    try:
        head = _heads.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return head.type in _TROUBLE or (head.type in _FALLIBLE and head.ok is False)


def find(
    path: Path,
    start: int,
    step: Step,
    test: Test,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    wraps: bool = False,
) -> int | None:
    """Where the next line that passes `test` begins: behind the line at `start`, or before it for `step` -1.

    None where there is none, or when `cancelled` says so.
    """
    with opened(path) as file:
        if file is None:
            return None
        size = whole_end(file)
        here = min(start, size) if step < 0 else line_end(file.fd, start) or size
        behind, beyond = ((0, here), (here, size))[::step]
        for first, last in (beyond, behind) if wraps else (beyond,):
            for piece in _pieces(file.fd, first, last, step):
                if cancelled():
                    return None
                if not test.may_hold(piece.data):
                    continue
                for line in piece.lines()[::step]:
                    if first <= line.offset < last and test.passes(line):
                        return line.offset
    return None


def _pieces(fd: int, first: int, last: int, step: Step) -> Iterator[Piece]:
    """The pieces between two places, in that direction; the last may reach beyond."""
    edge = first if step > 0 else last
    while (edge < last if step > 0 else edge > first) and (piece := piece_at(fd, edge, step, _PIECE)):
        yield piece
        edge = piece.edge(step)

"""Text with the names of its kinds: broken into lines, cut, searched. A pane turns kinds into colours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich.cells import cell_len, chop_cells

Span = tuple[str, str]
"""Text, and the kinds that it is of, separated by spaces."""
Line = tuple[Span, ...]

_WORD = re.compile(r"\S+\s*|\s+")


def wrapped(spans: Sequence[Span], width: int, first: Line = (), rest: Line = ()) -> Iterator[Line]:
    """Spans as lines of at most `width` cells, broken between words; `first` and `rest` stand before them."""
    plain = "".join(text for text, _ in spans)
    room = max(1, width - max(width_of(first), width_of(rest)))
    cuts = [0, *_breaks(plain, room), len(plain)]
    lead = first
    for start, end in pairwise(cuts):
        yield (*lead, *stretch(spans, start, end))
        lead = rest


def width_of(line: Line) -> int:
    """Its cells."""
    return sum(cell_len(text) for text, _ in line)


def _breaks(plain: str, room: int) -> Iterator[int]:
    """The offsets at which new lines begin."""
    used = 0
    for found in _WORD.finditer(plain):
        word, start = found[0], found.start()
        size = cell_len(word.rstrip())
        if used and used + size > room:
            yield start
            used = 0
        if size > room:
            for piece in chop_cells(word.rstrip(), room)[:-1]:
                start += len(piece)
                yield start
            size = cell_len(plain[start : found.start() + len(word.rstrip())])
        used += size + len(word) - len(word.rstrip())


def stretch(spans: Sequence[Span], start: int, end: int) -> Iterator[Span]:
    """The spans from one offset in their text to another."""
    at = 0
    for text, kinds in spans:
        low, high = max(start - at, 0), min(end - at, len(text))
        if low < high:
            yield text[low:high], kinds
        at += len(text)
        if at >= end:
            return


def trimmed(line: Line) -> Line:
    """Without blanks at its end."""
    return (*line[:-1], (line[-1][0].rstrip(), line[-1][1])) if line else ()


def fitted(spans: Sequence[Span], width: int) -> list[Span]:
    """The spans as far as they have room on one line."""
    end = len(chop_cells("".join(text for text, _ in spans), width)[0])
    return list(stretch(spans, 0, end))


def at_breaks(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """The spans, broken at line breaks."""
    row: list[Span] = []
    for text, kinds in spans:
        parts = text.split("\n")
        for part in parts[:-1]:
            yield [*row, (part, kinds)]
            row = []
        row.append((parts[-1], kinds))
    yield row


def marked(line: Line, wanted: str) -> Line:
    """The line with the kind `found` wherever `wanted` stands in it, in upper or lower case."""
    plain = "".join(text for text, _ in line)
    folded, wanted = plain.casefold(), wanted.casefold()
    if not wanted or wanted not in folded or len(folded) != len(plain):
        return line
    spans: list[Span] = []
    end = 0
    while (start := folded.find(wanted, end)) >= 0:
        spans += stretch(line, end, start)
        end = start + len(wanted)
        spans += [(text, f"{kinds} found") for text, kinds in stretch(line, start, end)]
    return (*spans, *stretch(line, end, len(plain)))

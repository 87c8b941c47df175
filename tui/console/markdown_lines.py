"""Notes in Markdown as lines for a screen, made piece by piece.

The notes of a long run are large and are rewritten all the time. So they are split into small blocks, a block
becomes lines only when somebody is about to see it, and what stays the same from one version to the next is
kept. Nothing here knows Textual: a line is text with the names of its kinds, which a pane turns into colours.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Span = tuple[str, str]
"""Text, and the kinds that it is of, separated by spaces."""
Line = tuple[Span, ...]

KINDS = ("h1", "h2", "h3", "strong", "em", "s", "code", "link", "quote", "mark", "rule", "head")
_SOFT = 600
"""Characters of a block from which on a paragraph or an item begins a new one."""
_HARD = 1500
"""Characters from which on a block ends with its line."""
_PARSED = 2000
"""Characters of a block, that is of a single line in it, beyond which it is shown as it was written."""
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}\s+(\S.*?)[\s#]*$")
_ITEM = re.compile(r"([-*+]|\d{1,9}[.)])\s")
_WORD = re.compile(r"\S+\s*|\s+")
_ORDER = re.compile(r"\d{4}-\d\d-\d\d|\d+")
_TABLE_GAP = 2
_LEAST_COLUMN = 4


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415  (costs 30 ms that a start doesn't have)

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


@dataclass(frozen=True, slots=True)
class Block:
    """A small piece of the notes that can be shown by itself."""

    text: str
    heading: str = ""
    """The heading that it begins with."""


# --- Splitting ------------------------------------------------------------------------------


def split(text: str) -> list[Block]:
    """The notes as blocks. Each heading begins one; a long code block is continued in the next."""
    blocks: list[Block] = []
    lines: list[str] = []
    size, fence, blank = 0, "", False

    def flush() -> None:
        nonlocal size
        if lines:
            heading = _HEADING.match(lines[0])
            blocks.append(Block("\n".join(lines), heading[1] if heading else ""))
        lines.clear()
        size = 0

    for line in text.split("\n"):
        opened = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if fence:
            if size > _HARD:
                lines.append(fence)
                flush()
                lines.append(fence)
            if opened and opened[1].startswith(fence) and not line.strip(" `~"):
                fence = ""
        else:
            plain = bool(line) and line[0] not in " \t"
            apart = plain and size > _SOFT and (blank or _ITEM.match(line) is not None)
            if size > _HARD or apart or (line.lstrip(" ").startswith("#") and _HEADING.match(line)):
                flush()
            if opened:
                fence = opened[1]
        lines.append(line)
        size += len(line) + 1
        blank = not line.strip()
    flush()
    return blocks


def newest(before: Sequence[Block], now: Sequence[Block]) -> int | None:
    """The block of the section that changed last: a new heading before a new text; None when nothing did."""
    known = {block.text for block in before}
    fresh = [place for place, block in enumerate(now) if block.text not in known]
    if not fresh:
        return None
    headings = {block.heading for block in before}
    added = [place for place in fresh if now[place].heading and now[place].heading not in headings]
    if added:
        return added[-1] if added[-1] > len(now) // 2 else added[0]
    old = {line for block in before for line in block.text.split("\n")}
    return max(fresh, key=lambda place: sum(line not in old for line in now[place].text.split("\n")))


def first_look(blocks: Sequence[Block]) -> int:
    """The block to begin with where nothing is known of earlier versions.

    It is the last heading where the headings count up to it, as sessions and dates do; else the beginning.
    """
    numbered = [
        (found[0], place)
        for place, block in enumerate(blocks)
        if block.heading and (found := _ORDER.search(block.heading))
    ]
    if len(numbered) < 2:
        return 0
    first, last = numbered[0][0], numbered[-1][0]
    rising = (len(first), first) < (len(last), last)
    return numbered[-1][1] if rising else 0


# --- The whole, as far as it is known -----------------------------------------------------------------------


class Paper:
    """The notes at one width. Blocks that nobody has looked at have an estimated height."""

    def __init__(self, blocks: Sequence[Block], width: int, before: Paper | None = None) -> None:
        self.blocks = blocks
        self.width = max(1, width)
        same = before is not None and before.width == self.width
        kept = before.made if same and before is not None else {}
        self.made: dict[str, list[Line]] = {
            block.text: kept[block.text] for block in blocks if block.text in kept
        }
        """What has been made into lines, by the block's text."""
        self._heights = [self._height(block) for block in blocks]
        self._tops: list[int] = []
        self._measure()

    def _height(self, block: Block) -> int:
        made = self.made.get(block.text)
        if made is not None:
            return len(made)
        return sum(1 + max(0, len(line) - 1) // self.width for line in block.text.split("\n"))

    def _measure(self) -> None:
        self._tops = [0, *accumulate(self._heights)]

    @property
    def height(self) -> int:
        """Lines in all."""
        return self._tops[-1]

    def top(self, place: int) -> int:
        """The line at which a block begins."""
        return self._tops[place]

    def at(self, y: int) -> tuple[int, int]:
        """The block that line `y` belongs to, and the line's number in it."""
        place = max(0, min(bisect_right(self._tops, y) - 1, len(self.blocks) - 1))
        return place, max(0, y - self._tops[place])

    def line(self, y: int) -> Line:
        """A line as it is drawn: empty where it isn't made yet, or there is none."""
        if not 0 <= y < self.height:
            return ()
        place, inside = self.at(y)
        made = self.made.get(self.blocks[place].text, [])
        return made[inside] if inside < len(made) else ()

    def make(self, place: int) -> bool:
        """Make a block's lines; whether its height differs from what was thought."""
        block = self.blocks[place]
        made = self.made.get(block.text)
        if made is None:
            made = self.made[block.text] = rendered(block.text, self.width)
        if self._heights[place] == len(made):
            return False
        self._heights[place] = len(made)
        self._measure()
        return True

    def look(self, y: int, rows: int) -> int:
        """Make all that `rows` lines from `y` on show. Returns where the same text now begins."""
        if not self.blocks:
            return 0
        place, inside = self.at(y)
        self.make(place)
        inside = min(inside, max(0, self._heights[place] - 1))
        ahead = self._heights[place] - inside
        following = place
        while ahead < rows and following + 1 < len(self.blocks):
            following += 1
            self.make(following)
            ahead += self._heights[following]
        preceding = place
        behind = inside
        while ahead + behind < rows and preceding > 0:
            preceding -= 1
            self.make(preceding)
            behind += self._heights[preceding]
        return max(0, min(self._tops[place] + inside, self.height - rows))

    def find(self, wanted: str, y: int, step: int) -> int | None:
        """The next line with `wanted` in it from line `y` on, going round; None where there is none.

        What is looked through is the text as it was written; only blocks that hold it are made.
        """
        if not self.blocks:
            return None
        start, _ = self.at(max(0, min(y, self.height - 1)))
        count = len(self.blocks)
        for turn in range(count + 1):
            place = (start + step * turn) % count
            if wanted.casefold() not in self.blocks[place].text.casefold():
                continue
            self.make(place)
            lines = self.made[self.blocks[place].text]
            hits = [self._tops[place] + n for n, line in enumerate(lines) if marked(line, wanted) != line]
            if turn == 0:
                hits = [hit for hit in hits if (hit >= y if step > 0 else hit <= y)]
            if hits:
                return hits[0] if step > 0 else hits[-1]
        return None

    def headings(self) -> list[int]:
        """The blocks that begin with a heading."""
        return [place for place, block in enumerate(self.blocks) if block.heading]

    def section(self, place: int) -> int:
        """The block with the heading that a block stands under."""
        return next((found for found in range(place, 0, -1) if self.blocks[found].heading), 0)

    def view_of(self, place: int, rows: int) -> int:
        """Where a view of `rows` lines begins that shows a block, with its heading where both have room."""
        if not self.blocks:
            return 0
        # Of other notes than these it may be a place that these don't reach.
        place = min(place, len(self.blocks) - 1)
        self.look(self._tops[place], rows)
        heading = self.section(place)
        begin = self._tops[heading]
        if self._tops[place + 1] - begin > rows:
            begin = self._tops[place]
        return self.look(begin, rows)

    def place_of(self, block: Block, near: int) -> int:
        """Where a block of another version stands in this one: the same text closest to `near`."""
        same = [place for place, other in enumerate(self.blocks) if other.text == block.text]
        last = max(0, len(self.blocks) - 1)
        return min(same, key=lambda place: abs(place - near)) if same else min(near, last)


# --- One block ------------------------------------------------------------------------------


def rendered(text: str, width: int) -> list[Line]:
    """A block as lines of at most `width` cells."""
    if len(text) > _PARSED:
        return [line for part in text.split("\n") for line in wrapped([(part, "")], width)]
    lines = _Renderer(width).render(_parser().parse(text))
    tail = len(text) - len(text.rstrip("\n"))
    return lines + [()] * max(0, tail)


def wrapped(spans: Sequence[Span], width: int, first: Line = (), rest: Line = ()) -> Iterator[Line]:
    """Spans as lines of at most `width` cells, broken between words; `first` and `rest` stand before them."""
    plain = "".join(text for text, _ in spans)
    room = max(1, width - max(_cells(first), _cells(rest)))
    cuts = [0, *_breaks(plain, room), len(plain)]
    lead = first
    for start, end in pairwise(cuts):
        yield (*lead, *_part(spans, start, end))
        lead = rest


def _cells(line: Line) -> int:
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


def _part(spans: Sequence[Span], start: int, end: int) -> Iterator[Span]:
    at = 0
    for text, kinds in spans:
        low, high = max(start - at, 0), min(end - at, len(text))
        if low < high:
            yield text[low:high], kinds
        at += len(text)
        if at >= end:
            return


@dataclass
class _Frame:
    """Something that text stands in: what comes before its first line, and before the others."""

    first: Line
    rest: Line
    used: bool = False


@dataclass
class _Renderer:
    """Goes through a block's tokens once and collects lines."""

    width: int
    lines: list[Line] = field(default_factory=list)
    frames: list[_Frame] = field(default_factory=list)
    kind: str = ""
    """The kind of all text where it stands: in a heading, in a quote."""
    end: int = 0
    """The source line up to which everything is shown."""

    def render(self, tokens: Sequence[Token]) -> list[Line]:
        place = 0
        while place < len(tokens):
            token = tokens[place]
            if token.type == "table_open":
                close = next(i for i in range(place, len(tokens)) if tokens[i].type == "table_close")
                self._gap(token)
                self._table(tokens[place:close])
                place = close
            else:
                self._token(token)
            place += 1
        return self.lines

    def _token(self, token: Token) -> None:
        match token.type:
            case "heading_open":
                self.kind = f"h{min(3, int(token.tag[1]))}"
            case "heading_close":
                self.kind = ""
            case "blockquote_open":
                self.frames.append(_Frame((("▎ ", "quote"),), (("▎ ", "quote"),)))
            case "list_item_open":
                mark = f"{token.info}{token.markup} " if token.info else "• "
                self.frames.append(_Frame(((mark, "mark"),), ((" " * cell_len(mark), ""),)))
            case "blockquote_close" | "list_item_close":
                self.frames.pop()
            case "inline":
                self._gap(token)
                self._wrap(_spans(token.children or (), self.kind))
            case "fence" | "code_block":
                self._gap(token)
                for line in token.content.removesuffix("\n").split("\n"):
                    self._wrap([("  " + line.expandtabs(4), "code")])
            case "hr":
                self._gap(token)
                self._wrap([("─" * self._room(), "rule")])

    def _gap(self, token: Token) -> None:
        """Leave a line empty where the source does."""
        start, end = token.map or (self.end, self.end)
        if start > self.end and self.lines:
            self.lines.append(())
        self.end = end

    def _room(self) -> int:
        return max(1, self.width - sum(_cells(frame.rest) for frame in self.frames))

    def _wrap(self, spans: Sequence[Span]) -> None:
        first = tuple(span for frame in self.frames for span in (frame.rest if frame.used else frame.first))
        rest = tuple(span for frame in self.frames for span in frame.rest)
        for frame in self.frames:
            frame.used = True
        for part in _rows(spans):
            self.lines.extend(wrapped(part, self.width, first, rest))
            first = rest

    def _table(self, tokens: Sequence[Token]) -> None:
        rows: list[list[list[Span]]] = []
        for token in tokens:
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append(_spans(token.children or (), "head" if len(rows) == 1 else ""))
        widths = _columns(rows, self._room())
        for number, row in enumerate(rows):
            self._table_row(row, widths)
            if number == 0:
                self._wrap([("─" * min(self._room(), sum(widths) + _TABLE_GAP * (len(widths) - 1)), "rule")])

    def _table_row(self, row: Sequence[list[Span]], widths: Sequence[int]) -> None:
        cells = [list(wrapped(cell, width)) for cell, width in zip(row, widths, strict=False)]
        for height in range(max((len(cell) for cell in cells), default=0)):
            spans: list[Span] = []
            for cell, width in zip(cells, widths, strict=False):
                part = _trimmed(cell[height]) if height < len(cell) else ()
                spans += [*part, (" " * (width - _cells(part) + _TABLE_GAP), "")]
            self._wrap(_fit(spans, self._room()))


def _trimmed(line: Line) -> Line:
    return (*line[:-1], (line[-1][0].rstrip(), line[-1][1])) if line else ()


def _fit(spans: Sequence[Span], width: int) -> list[Span]:
    """The spans as far as they have room on one line."""
    end = len(chop_cells("".join(text for text, _ in spans), width)[0])
    return list(_part(spans, 0, end))


def _columns(rows: Sequence[Sequence[Sequence[Span]]], room: int) -> list[int]:
    """How wide a table's columns are: as wide as they need, the widest giving way where there is no room."""
    count = max((len(row) for row in rows), default=0)
    widths = [
        max((_cells(tuple(row[column])) for row in rows if column < len(row)), default=1) or 1
        for column in range(count)
    ]
    spare = room - _TABLE_GAP * (count - 1)
    while sum(widths) > spare and max(widths, default=0) > _LEAST_COLUMN:
        widest = widths.index(max(widths))
        others = sorted(widths)[-2] if count > 1 else 0
        over = sum(widths) - spare
        widths[widest] -= max(1, min(over, widths[widest] - max(others, _LEAST_COLUMN)))
    return widths


def _rows(spans: Sequence[Span]) -> Iterator[list[Span]]:
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
        spans += _part(line, end, start)
        end = start + len(wanted)
        spans += [(text, f"{kinds} found") for text, kinds in _part(line, start, end)]
    return (*spans, *_part(line, end, len(plain)))


_OPENED = {"strong_open": "strong", "em_open": "em", "s_open": "s", "link_open": "link"}
_CLOSED = {"strong_close": "strong", "em_close": "em", "s_close": "s", "link_close": "link"}


def _spans(tokens: Sequence[Token], kind: str) -> list[Span]:
    """A paragraph's text, and what it is of where."""
    spans: list[Span] = []
    open_kinds = [kind] if kind else []
    for token in tokens:
        match token.type:
            case "softbreak":
                spans.append((" ", " ".join(open_kinds)))
            case "hardbreak":
                spans.append(("\n", ""))
            case "code_inline":
                spans.append((token.content, " ".join((*open_kinds, "code"))))
            case "image":
                spans.append((f"[{token.content or 'picture'}]", " ".join((*open_kinds, "link"))))
            case opened if opened in _OPENED:
                open_kinds.append(_OPENED[opened])
            case closed if closed in _CLOSED:
                if _CLOSED[closed] in open_kinds:
                    open_kinds.remove(_CLOSED[closed])
            case _:
                spans.append((token.content, " ".join(open_kinds)))
    return spans

"""A piece of Markdown as lines for a screen. Nothing here knows Textual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from rich.cells import cell_len

from tui.console.spans import Line, Span, at_breaks, fitted, trimmed, width_of, wrapped

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

KINDS = ("h1", "h2", "h3", "strong", "em", "s", "code", "link", "quote", "mark", "rule", "head")
_PARSED = 2000
"""Characters of a block, that is of a single line in it, beyond which it is shown as it was written."""
_TABLE_GAP = 2
_LEAST_COLUMN = 4


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415  (costs 30 ms that a start doesn't have)

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def rendered(text: str, width: int) -> list[Line]:
    """A block as lines of at most `width` cells."""
    if len(text) > _PARSED:
        return [line for part in text.split("\n") for line in wrapped([(part, "")], width)]
    lines = _Renderer(width).render(_parser().parse(text))
    tail = len(text) - len(text.rstrip("\n"))
    return lines + [()] * max(0, tail)


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
        return max(1, self.width - sum(width_of(frame.rest) for frame in self.frames))

    def _wrap(self, spans: Sequence[Span]) -> None:
        first = tuple(span for frame in self.frames for span in (frame.rest if frame.used else frame.first))
        rest = tuple(span for frame in self.frames for span in frame.rest)
        for frame in self.frames:
            frame.used = True
        for part in at_breaks(spans):
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
                part = trimmed(cell[height]) if height < len(cell) else ()
                spans += [*part, (" " * (width - width_of(part) + _TABLE_GAP), "")]
            self._wrap(fitted(spans, self._room()))


def _columns(rows: Sequence[Sequence[Sequence[Span]]], room: int) -> list[int]:
    """How wide a table's columns are: as wide as they need, the widest giving way where there is no room."""
    count = max((len(row) for row in rows), default=0)
    widths = [
        max((width_of(tuple(row[column])) for row in rows if column < len(row)), default=1) or 1
        for column in range(count)
    ]
    spare = room - _TABLE_GAP * (count - 1)
    while sum(widths) > spare and max(widths, default=0) > _LEAST_COLUMN:
        widest = widths.index(max(widths))
        others = sorted(widths)[-2] if count > 1 else 0
        over = sum(widths) - spare
        widths[widest] -= max(1, min(over, widths[widest] - max(others, _LEAST_COLUMN)))
    return widths


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

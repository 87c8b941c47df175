"""A report as Markdown. What comes from outside stays text: it can't become a link, a picture or HTML."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from harness_core.evidence.files import Kind
from harness_core.report.document import (
    Block,
    Bullets,
    Curve,
    Document,
    Door,
    Exhibit,
    Fold,
    Heading,
    Look,
    Mark,
    Paragraph,
    Passage,
    Table,
    Words,
)

_ACTIVE = re.compile(r"([\\`*_\[\]|~])")
_FIRST = re.compile(r"^(?:([-+=#>])|(\d+)([.)])(?=\s|$))")
"""What at a line's beginning makes a list, a heading or a quotation of it."""
_LINK = re.compile(r"(?i)(?:\b(https?|ftp|mailto|xmpp)(:))|\b(www)(\.)")
_MOST_LINES = 40


def markdown(document: Document, door: Door, root: Path, folder: Path) -> str:
    """`document` for a file in `folder`. `root` is the run's directory, where its evidence lies."""
    return _Writer(door, root, folder).write(document)


class _Writer:
    def __init__(self, door: Door, root: Path, folder: Path) -> None:
        self._door = door
        self._base = os.path.relpath(root, folder)
        self._in_table = False

    def write(self, document: Document) -> str:
        blocks = [f"# Report: {self._plain(document.title)}", *self._blocks(document.blocks)]
        return "\n\n".join(blocks) + "\n"

    def _blocks(self, blocks: Iterable[Block]) -> Iterator[str]:
        for block in blocks:
            match block:
                case Heading():
                    yield f"{'#' * block.level} {self._plain(block.text)}"
                case Paragraph():
                    yield self._words(block.words)
                case Bullets():
                    yield "\n".join(f"- {self._words(item)}" for item in block.items)
                case Table():
                    yield self._table(block)
                case Passage():
                    yield self._passage(block.text)
                case Exhibit():
                    yield self._exhibit(block)
                case Fold():
                    yield f"### {self._words(block.words)}"
                    yield from self._blocks(block.blocks)
                case Curve():
                    continue

    # --- Words ----------------------------------------------------------------------------------------

    def _words(self, words: Words) -> str:
        return "".join(self._word(word) for word in words)

    def _word(self, word: str | Mark) -> str:
        if isinstance(word, str):
            return self._plain(word)
        if word.look is Look.CODE:
            return self._code(word.text)
        text = self._plain(word.text)
        return f"**{text}**" if word.look in (Look.STRONG, Look.STATUS) and text.strip() else text

    def _plain(self, text: str) -> str:
        """Text that means nothing to Markdown. A space at its ends joins it to what stands beside it."""
        line = self._door.line(text)
        line = _ACTIVE.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;"))
        line = _LINK.sub(lambda m: f"{m[1] or m[3]}\\{m[2] or m[4]}", line)
        line = _FIRST.sub(lambda m: f"\\{m[1]}" if m[1] else f"{m[2]}\\{m[3]}", line)
        lead, trail = text[:1] == " ", text[-1:] == " "
        return f"{' ' if lead else ''}{line}{' ' if trail and line else ''}"

    def _code(self, text: str) -> str:
        line = self._door.line(text)
        if not line:
            return ""
        if self._in_table:
            # There a bar ends the cell, in code too; nowhere else would the backslash go away.
            line = line.replace("|", "\\|")
        fence = "`" * (_longest_run(line) + 1)
        gap = " " if "`" in line else ""
        return f"{fence}{gap}{line}{gap}{fence}"

    # --- Blocks ---------------------------------------------------------------------------------------

    def _table(self, table: Table) -> str:
        self._in_table = True
        rows = [[self._words(cell) for cell in row] for row in table.rows]
        if table.total:
            rows.append([f"**{text}**" if text else "" for text in map(self._words, table.total)])
        rule = [":--" if place < table.left else "--:" for place in range(len(table.heads))]
        cells = [[self._plain(head) for head in table.heads], rule, *rows]
        self._in_table = False
        return "\n".join(f"| {' | '.join(row)} |" for row in cells)

    def _passage(self, text: str) -> str:
        shown = "\n".join(self._door.text(text).splitlines()[:_MOST_LINES])
        fence = "`" * max(3, _longest_run(shown) + 1)
        return f"{fence}text\n{shown}\n{fence}"

    def _exhibit(self, exhibit: Exhibit) -> str:
        name = self._door.line(exhibit.piece.path)
        words = f"{self._code(name)}: {self._words(exhibit.words)}"
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            return words
        link = quote(os.path.normpath(f"{self._base}/{name}"))
        picture = f"![{self._plain(path.name)}]({link})\n" if exhibit.piece.kind is Kind.PICTURE else ""
        return f"{picture}{words}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)

"""A report as one page of HTML that asks for nothing else: its pictures stand in it, and it has no script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from harness_core.reading.evidence_content import Unseen
from harness_core.report.album import Album, Picture
from harness_core.report.curve import curve
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

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_CLASS = re.compile(r"[^a-z]+")


def page(document: Document, door: Door, album: Album) -> str:
    """`document` as a whole page."""
    return "\n".join(_Writer(door, album).write(document)) + "\n"


class _Writer:
    def __init__(self, door: Door, album: Album) -> None:
        self._door = door
        self._album = album
        self._title = ""

    def write(self, document: Document) -> Iterator[str]:
        self._title = document.title
        title = self._plain(f"{document.title}: report")
        yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
        yield f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">'
        yield f"<title>{title}</title>"
        yield f"<style>\n{Path(__file__).with_name('page.css').read_text(encoding='utf-8')}</style>"
        yield f"</head>\n<body>\n<main>\n<h1>{self._plain(document.title)}</h1>"
        yield from self._blocks(document.blocks)
        yield "</main>\n</body>\n</html>"

    def _blocks(self, blocks: Iterable[Block]) -> Iterator[str]:
        for block in blocks:
            match block:
                case Heading():
                    yield f"<h{block.level}>{self._plain(block.text)}</h{block.level}>"
                case Paragraph():
                    yield f"<p>{self._words(block.words)}</p>"
                case Bullets():
                    items = "\n".join(f"<li>{self._words(item)}</li>" for item in block.items)
                    yield f"<ul>\n{items}\n</ul>"
                case Table():
                    yield from self._table(block)
                case Passage():
                    yield f"<pre>{escape(self._door.text(block.text))}</pre>"
                case Exhibit():
                    yield from self._exhibit(block)
                case Curve():
                    yield curve(block)
                case Fold():
                    yield from self._fold(block)

    # --- Words ----------------------------------------------------------------------------------------

    def _plain(self, text: str) -> str:
        return escape(self._door.line(text))

    def _words(self, words: Words) -> str:
        return "".join(self._word(word) for word in words)

    def _word(self, word: str | Mark) -> str:
        if isinstance(word, str):
            lead, trail = (" " if end == " " else "" for end in (word[:1], word[-1:]))
            return f"{lead}{self._plain(word)}{trail if word.strip() else ''}"
        text = self._plain(word.text)
        match word.look:
            case Look.STRONG:
                return f"<strong>{text}</strong>"
            case Look.CODE:
                return f"<code>{text}</code>"
            case Look.MUTED:
                lead = " " if word.text[:1] == " " else ""
                trail = " " if word.text[-1:] == " " else ""
                return f'{lead}<span class="muted">{text}</span>{trail}'
            case Look.STATUS:
                return f'<span class="status {_CLASS.sub("", word.text.lower())[:20]}">{text}</span>'

    # --- Blocks ---------------------------------------------------------------------------------------

    def _table(self, table: Table) -> Iterator[str]:
        heads = "".join(
            f"<th{_side(place, table)}>{self._plain(head)}</th>" for place, head in enumerate(table.heads)
        )
        times = ' class="times"' if table.heads[0] == "time" else ""
        yield f'<div class="wide"><table{times}>\n<thead><tr>{heads}</tr></thead>\n<tbody>'
        for row in table.rows:
            yield f"<tr>{self._cells(row, table)}</tr>"
        yield "</tbody>"
        if table.total:
            yield f"<tfoot><tr>{self._cells(table.total, table)}</tr></tfoot>"
        yield "</table></div>"

    def _cells(self, row: Iterable[Words], table: Table) -> str:
        return "".join(f"<td{_side(place, table)}>{self._words(cell)}</td>" for place, cell in enumerate(row))

    def _fold(self, fold: Fold) -> Iterator[str]:
        if not fold.blocks:
            yield f'<p class="bare">{self._words(fold.words)}</p>'
            return
        yield f"<details{' open' if fold.open else ''}><summary>{self._words(fold.words)}</summary>"
        yield from self._blocks(fold.blocks)
        yield "</details>"

    def _exhibit(self, exhibit: Exhibit) -> Iterator[str]:
        name = self._plain(exhibit.piece.path)
        yield "<figure>"
        try:
            shown = self._album.show(exhibit.piece)
        except Unseen as why:
            yield f'<p class="unseen">Can\'t be shown: {self._plain(str(why))}</p>'
        else:
            if isinstance(shown, Picture):
                size = f'width="{shown.width}" height="{shown.height}"'
                yield f'<img src="{shown.uri}" {size} alt="{name}" loading="lazy">'
            else:
                yield f"<pre>{escape(self._door.text(chr(10).join(shown)))}</pre>"
        yield f"<figcaption><code>{name}</code> {self._words(exhibit.words)}</figcaption>\n</figure>"


def _side(place: int, table: Table) -> str:
    return "" if place < table.left else ' class="figure"'

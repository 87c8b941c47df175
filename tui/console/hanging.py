"""Lines that keep their indent where they are wrapped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static

from harness_core.safe import safe
from tui.console.sinks import words
from tui.console.wrapping import wrap

Rows: TypeAlias = Sequence[tuple[str, str]]
"""Lines, each with its style."""


class Hanging(Static):
    """As high as its lines need in the width that there is."""

    def __init__(self, rows: Rows, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows = tuple(rows)

    def show(self, rows: Rows) -> None:
        """Show these instead."""
        self._rows = tuple(rows)
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(self._pieces(width)))

    def render(self) -> Content:
        pieces = self._pieces(self.content_size.width)
        return Content("\n").join([words(text, style) for text, style in pieces])

    def _pieces(self, width: int) -> list[tuple[str, str]]:
        return [
            (piece, style)
            for text, style in self._rows
            for line in safe(text).expandtabs(4).split("\n")
            for piece in wrap(line, width)
        ]

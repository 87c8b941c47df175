"""A text to move in that has no cursor."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll

from tui.console import keys


class Scroll(VerticalScroll):
    """Textual's, with the keys of the panes."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.MOVES)

    def action_move(self, step: int) -> None:
        self.scroll_relative(y=step, animate=False)

    def action_page(self, step: int) -> None:
        self.scroll_relative(y=step * max(1, self.size.height - 1), animate=False)

    def action_first(self) -> None:
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        self.scroll_end(animate=False)

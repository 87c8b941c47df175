"""What all cards have in common."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget


class Card(Vertical, can_focus=True):
    """A question at the foot of the screen. `escape` puts it away; nothing is decided by that."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "put_away", "back", show=True)]
    DEFAULT_CSS = """
    Card {
        height: auto;
        padding: 0 1;
        border: round $warning;
        border-title-style: bold;
        background: $surface;
    }
    """

    @property
    def first(self) -> Widget:
        """What takes the keys when the card is put up."""
        return self

    def action_put_away(self) -> None:
        self.remove()

"""What all cards have in common."""

from __future__ import annotations

from typing import ClassVar

from textual.await_remove import AwaitRemove
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from tui.console.sinks import words


class Card(Vertical, can_focus=True):
    """A question at the foot of the screen. `escape` puts it away; nothing is decided by that. When it goes,
    the keys go back to where they were."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "put_away", "back", show=True)]
    DEFAULT_CSS = """
    Card {
        height: auto;
        padding: 0 1;
        border: round $warning;
        border-title-style: bold;
        background: $surface;
    }
    Card #how { color: $text-muted; }
    Card #wrong { color: $error; display: none; }
    """

    _before: Widget | None = None
    """What had the keys when the card was put up."""
    gone = False
    """Whether it is answered or put away. Keys typed ahead may still come; they mean nothing any more."""

    def on_mount(self) -> None:
        self._before = self.screen.focused
        # What was said before mustn't stand over what is asked now.
        self.app.clear_notifications()

    @property
    def first(self) -> Widget:
        """What takes the keys when the card is put up."""
        return self

    def say_wrong(self, text: str) -> None:
        """Say what is wrong with what was typed, in the card's `#wrong`."""
        note = self.query_one("#wrong", Static)
        note.update(words(text))
        note.display = True

    def keep(self) -> None:
        """Hand over what would be lost with the card."""

    def action_put_away(self) -> None:
        self.remove()

    def remove(self) -> AwaitRemove:
        if not self.gone:
            self.keep()
        self.gone = True
        # Textual would give them to whatever stands next.
        focused = self.screen.focused
        if focused and self in focused.ancestors_with_self and self._before and self._before.is_attached:
            self.screen.set_focus(self._before)
        return super().remove()

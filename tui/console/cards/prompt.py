"""One line to type at the foot of the screen: what to search for, what to show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Input

from harness_core.safe import one_line
from tui.console.cards.card import Card
from tui.console.sinks import line


class PromptCard(Card):
    """Asks for a line. Enter calls `done` with it, escape doesn't; then the keys go where they were."""

    DEFAULT_CSS = """
    PromptCard Input, PromptCard Input:focus {
        height: 1; border: none; padding: 0; background: $surface;
    }
    """

    def __init__(self, title: str, initial: str, done: Callable[[str], None]) -> None:
        super().__init__()
        self.border_title = line(title)
        self._initial = one_line(initial)
        self._done = done

    def compose(self) -> ComposeResult:
        yield Input(self._initial, select_on_focus=True, compact=True)

    async def put_up(self, screen: Screen[Any]) -> None:
        """Show it, in the place of a card that is there. When this returns it has the keys."""
        for other in screen.query(Card):
            await other.remove()
        await screen.mount(self)
        screen.set_focus(self.query_one(Input))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.gone:
            return
        self.action_put_away()
        self._done(event.value.strip())

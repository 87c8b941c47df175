"""A choice between a few keys: how to stop, how to leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from tui.console.cards.card import Card
from tui.console.sinks import words


@dataclass(frozen=True)
class Option:
    """One answer: its key, what it says, what it does. A `grave` one wants its key twice."""

    key: str
    label: str
    do: Callable[[], object]
    grave: bool = False


class ChoiceCard(Card):
    """Asks once; the first answer ends it."""

    def __init__(self, title: str, options: Sequence[Option]) -> None:
        super().__init__()
        self.border_title = words(title)
        self._options = options
        self._sure: str | None = None

    def compose(self) -> ComposeResult:
        yield Static(self._lines(), id="options")

    def _lines(self) -> Content:
        rows = []
        for option in self._options:
            again = "  press it again to do it" if option.key == self._sure else ""
            rows.append(f" {option.key}   {option.label}{again}")
        return words("\n".join([*rows, " esc back"]))

    def on_key(self, event: events.Key) -> None:
        if self.gone:
            event.stop()
            return
        chosen = next((option for option in self._options if option.key == event.character), None)
        if chosen is None:
            return
        event.stop()
        if chosen.grave and self._sure != chosen.key:
            self._sure = chosen.key
            self.query_one("#options", Static).update(self._lines())
            return
        self.remove()
        chosen.do()

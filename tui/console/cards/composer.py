"""A few lines to write: to the agent, or why something is sent back."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Static, TextArea

from harness_core.safe import safe
from tui.console.cards.card import Card
from tui.console.sinks import words


class _Lines(TextArea):
    """Enter sends; a new line is ctrl+j."""

    async def _on_key(self, event: events.Key) -> None:
        card = self.query_ancestor(Composer)
        if event.key == "enter":
            event.prevent_default().stop()
            card.send()
        elif event.key == "ctrl+j":
            event.prevent_default().stop()
            self.insert("\n")
        elif event.key == "tab":
            event.prevent_default().stop()
            card.turn()
        else:
            await super()._on_key(event)


class Composer(Card):
    """Asks for words. `send` is called with them and the mode chosen; it returns what is wrong with them, or
    "" when they are on their way."""

    DEFAULT_CSS = """
    Composer TextArea {
        height: auto; min-height: 2; max-height: 6;
        border: none; background: $surface; padding: 0;
    }
    """

    def __init__(self, title: str, send: Callable[[str, str], str], modes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.border_title = words(title)
        self._send = send
        self._modes = modes
        self._mode = 0

    def compose(self) -> ComposeResult:
        yield _Lines(soft_wrap=True, tab_behavior="focus", compact=True)
        yield Static(self._how(), id="how")
        yield Static(id="wrong")

    @property
    def first(self) -> Widget:
        return self.query_one(_Lines)

    def _how(self) -> str:
        how = "enter sends · ctrl+j new line"
        if not self._modes:
            return how
        listed = "  ".join(
            f"({'•' if place == self._mode else ' '}) {mode}" for place, mode in enumerate(self._modes)
        )
        return f"{listed}   tab changes · {how}"

    def turn(self) -> None:
        """Choose the next mode."""
        if self._modes:
            self._mode = (self._mode + 1) % len(self._modes)
            self.query_one("#how", Static).update(words(self._how()))

    def send(self) -> None:
        if self.gone:
            return
        mode = self._modes[self._mode] if self._modes else ""
        wrong = self._send(safe(self.query_one(_Lines).text), mode)
        if wrong:
            self.say_wrong(wrong)
        else:
            self.remove()

"""The limits of a run, its phases and its sessions with what is used of each, and a line to change them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Static

from harness_core.errors import Mistake
from harness_core.limits import Usage, lines, spoken
from tui.console.cards.card import Card
from tui.console.sinks import words

Changes = dict[str, float | None]


class LimitsCard(Card):
    """Enter calls `change` with what the line asks for; an empty line changes nothing."""

    DEFAULT_CSS = """
    LimitsCard Input, LimitsCard Input:focus { height: 1; border: none; padding: 0; background: $surface; }
    LimitsCard VerticalScroll { height: auto; max-height: 12; }
    """

    def __init__(self, shown: Sequence[Usage], change: Callable[[Changes], None]) -> None:
        super().__init__()
        self.border_title = words("Limits")
        self._shown = shown
        self._change = change

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(words("\n".join(lines(self._shown))))
        yield Input(placeholder="usd 50, hours none, session usd 2, build turns 300", compact=True)
        yield Static("enter changes them from the next request on · none takes one away · esc back", id="how")
        yield Static(id="wrong")

    @property
    def first(self) -> Widget:
        return self.query_one(Input)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.gone:
            return
        if not event.value.strip():
            self.action_put_away()
            return
        try:
            self._change(spoken(event.value))
        except Mistake as mistake:
            self.say_wrong(str(mistake))
        else:
            self.action_put_away()

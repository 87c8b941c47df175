"""All keys, from their registry."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.console import keys
from tui.console.scroll import Scroll
from tui.console.sinks import words

WIDTH = 92
_KEYS = 18
_FRAME = 8


class HelpScreen(ModalScreen[None]):
    """Goes with escape, q or ?."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,f1", "dismiss", "back")]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 92; max-width: 100%; height: auto; max-height: 90%;
        padding: 1 2; border: round $primary; background: $surface;
    }
    """

    def __init__(self, chosen: Mapping[str, str]) -> None:
        """`chosen`: the user's own keys, by the names of actions."""
        super().__init__()
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        with Scroll() as box:
            box.border_title = "Keys"
            for title, group in keys.GROUPS.items():
                rows = [row for key in group for row in _rows(key, self._chosen, self.app.size.width)]
                yield Static(words(title, "bold $primary"))
                yield Static(words("\n".join(rows) + "\n"))


def _rows(key: keys.Key, chosen: Mapping[str, str], width: int) -> list[str]:
    """The key and what it does, which goes on below itself where it is too long."""
    pressed = (chosen.get(key.id) or key.shown_as or key.keys).replace(",", " ")
    told = textwrap.wrap(key.help, min(WIDTH, width) - _FRAME - _KEYS)
    return [f"{pressed if not place else '':{_KEYS}}{text}" for place, text in enumerate(told)]

"""All keys, from their registry."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.console import keys
from tui.console.sinks import words


class HelpScreen(ModalScreen[None]):
    """Goes with escape, q or ?."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,f1", "dismiss", "back")]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 76; max-width: 100%; height: auto; max-height: 90%;
        padding: 1 2; border: round $primary; background: $surface;
    }
    """

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "Keys"
            for title, group in keys.GROUPS.items():
                rows = [f"{key.shown_as or key.keys.replace(',', ' '):18} {key.help}" for key in group]
                yield Static(words(title, "bold"))
                yield Static(words("\n".join(rows) + "\n"))

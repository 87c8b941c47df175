"""A line to type in at the bottom of a list or a screen: what to search for, what to filter by."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from tui.console.sinks import line


class AskedLine(Input):
    """Hands on what is typed, as it is typed. Enter keeps it, escape takes it back; both go."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "take_back", "back", show=True)]
    DEFAULT_CSS = """
    AskedLine {
        dock: bottom; height: 1; border: none; padding: 0; background: $surface;
        &:focus { border: none; }
    }
    """

    def __init__(self, what: str, typed: Callable[[str], None]) -> None:
        super().__init__(placeholder=line(what).plain, compact=True)
        self._typed = typed
        self._back_to: Widget | None = None

    def on_mount(self) -> None:
        self._back_to = self.screen.focused
        self.focus()

    @on(Input.Changed)
    def _hand_on(self, event: Input.Changed) -> None:
        event.stop()
        self._typed(event.value)

    @on(Input.Submitted)
    def _keep(self, event: Input.Submitted) -> None:
        event.stop()
        self._leave()

    def action_take_back(self) -> None:
        self._typed("")
        self._leave()

    def _leave(self) -> None:
        if self._back_to is not None:
            self._back_to.focus()
        self.remove()

"""The panes by name, where only one has room: a click goes to one."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message
from textual.widgets import Static

from tui.console.sinks import words

_BETWEEN = "  "


class Tabs(Static):
    """One line."""

    class Chosen(Message):
        """A tab was clicked on."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(id="tabs")
        self._names = names

    def show(self, shown: str) -> None:
        """Mark the pane that is shown."""
        tabs = (f"[{n} {p}]" if p == shown else f" {n} {p} " for n, p in enumerate(self._names, 1))
        self.update(words(_BETWEEN.join(tabs)))

    def on_click(self, event: events.Click) -> None:
        left = event.get_content_offset(self)
        end = -len(_BETWEEN)
        for number, name in enumerate(self._names, 1):
            start = end + len(_BETWEEN)
            end = start + len(f"[{number} {name}]")
            if left is not None and start <= left.x < end:
                self.post_message(self.Chosen(name))

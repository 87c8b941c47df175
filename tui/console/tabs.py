"""The panes by name, where only one has room: a click goes to one."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message
from textual.widgets import Static

from tui.console import hints
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
        tabs = (f"[{label}]" if name == shown else f" {label} " for name, label in self._labels)
        self.update(words(_BETWEEN.join(tabs)))

    @property
    def _labels(self) -> list[tuple[str, str]]:
        """Each pane with the key that goes there."""
        return [(name, f"{hints.of(self)[name]} {name}") for name in self._names]

    def on_click(self, event: events.Click) -> None:
        left = event.get_content_offset(self)
        end = -len(_BETWEEN)
        for name, label in self._labels:
            start = end + len(_BETWEEN)
            end = start + len(f"[{label}]")
            if left is not None and start <= left.x < end:
                self.post_message(self.Chosen(name))

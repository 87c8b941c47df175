"""What all panes have in common."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import ClassVar

from textual.widget import Widget

from tui.console.facts import Facts
from tui.console.keys import Key


class Pane(Widget):
    """A framed part of the screen that shows one thing about a run.

    The screen calls `look` when the run's state has changed, and `files_changed` with what the file system
    reports. A pane reads files in threads and draws what it has; it never waits.
    """

    NAME: ClassVar[str] = ""
    """As the keys and the layout call it."""
    TITLE: ClassVar[str] = ""
    KEYS: ClassVar[Sequence[Key]] = ()
    """Its own keys, which go before those of the run."""

    DEFAULT_CSS = """
    Pane {
        border: round $foreground 25%;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        padding: 0 1;
    }
    Pane:focus-within, Pane:focus {
        border: round $primary;
        border-title-color: $primary;
        border-title-style: bold;
    }
    """

    def __init__(self) -> None:
        super().__init__(id=self.NAME)
        self.facts: Facts | None = None

    def on_mount(self) -> None:
        self.border_title = self.TITLE

    def focus_inside(self) -> None:
        """Take the keys: the pane itself or what it holds."""
        target = self if self.can_focus else next((node for node in self.query("*") if node.focusable), None)
        if target is not None:
            target.focus()

    def look(self, facts: Facts) -> None:
        """Take in what is known of the run now."""
        self.facts = facts

    def files_changed(self, paths: AbstractSet[Path]) -> None:
        """Files of the run have changed; an empty set means: look yourself, nobody knows."""

    def subject(self) -> Path | None:
        """The file that `e` would open in an editor."""
        return None

    def copied(self) -> str:
        """The text that `y` would copy."""
        return ""

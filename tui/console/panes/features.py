"""The features pane."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from harness_core.layout import RunDir
from tui.console.panes.pane import Pane


class FeaturesPane(Pane, can_focus=True):
    """To come."""

    NAME = "features"
    TITLE = "Features"

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self.run_dir = run

    def compose(self) -> ComposeResult:
        yield Static("features")

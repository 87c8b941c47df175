"""What the run costs, by phase."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.console import costs
from tui.console.facts import Facts
from tui.console.sinks import MUTED, words


class CostsScreen(ModalScreen[None]):
    """A table that goes on while it is looked at. `y` copies it for a report."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,c", "dismiss", "back"),
        Binding("y", "copy", "copy", tooltip="Copy the table as Markdown."),
    ]
    DEFAULT_CSS = """
    CostsScreen {
        align: center middle;
        & > VerticalScroll {
            width: auto; max-width: 100%; height: auto; max-height: 90%; padding: 1 2;
            border: round $primary; background: $surface;
            border-title-style: bold; border-title-color: $primary; border-subtitle-color: $foreground 60%;
        }
        & Static { width: auto; }
    }
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._facts = facts
        self._markdown = ""

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "Costs by phase"
            box.border_subtitle = "y copy as Markdown · esc back"
            yield Static(id="table")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self._show()

    def look(self, facts: Facts) -> None:
        """Take in what is known now."""
        self._facts = facts
        if self.is_mounted:
            self._show()

    def _show(self) -> None:
        facts = self._facts
        markdown = costs.markdown(facts.state, facts.report)
        if markdown != self._markdown:
            self._markdown = markdown
            self.query_one("#table", Static).update(Content("\n").join(self._lines()))

    def _lines(self) -> Iterator[Content]:
        state, report = self._facts.state, self._facts.report
        if not state.phases:
            yield words(
                "Nothing has cost anything yet." if state.started else "Longwatch has run nothing here."
            )
            return
        table = costs.table(state)
        widths = table.widths
        running = state.open_session.phase if state.open_session else ""
        yield words(costs.aligned(costs.HEADS, widths), MUTED)
        for phase, row in zip(state.phases, table.rows, strict=True):
            yield words(costs.aligned(row, widths), "bold $primary" if phase.name == running else "")
        yield words("─" * (sum(widths) + 2 * len(widths) - 2), MUTED)
        yield words(costs.aligned(table.total, widths), "bold")
        yield Content("")
        for item in costs.below(report):
            yield words(item, MUTED)
        if running:
            yield words("the running phase's time is added when it ends", MUTED)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._markdown)
        self.notify("copied")

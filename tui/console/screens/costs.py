"""What the run costs, by phase."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from harness_core.reading import costs
from tui.console.facts import Facts
from tui.console.screens.page import Page
from tui.console.sinks import MUTED, words


class CostsScreen(Page):
    """A table that goes on while it is looked at. `y` copies it for a report."""

    DEFAULT_CSS = """
    CostsScreen > VerticalScroll { width: auto; }
    CostsScreen #page { width: auto; }
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._facts = facts
        self._shown = ""

    def title_line(self) -> Content:
        return Content("Costs by phase")

    def copied(self) -> str:
        return costs.markdown(self._facts.state, self._facts.report)

    def look(self, facts: Facts) -> None:
        """Take in what is known now."""
        self._facts = facts
        text = self.copied()
        if text != self._shown:
            self._shown = text
            self.refresh_page()

    def lines(self) -> Iterator[Content]:
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

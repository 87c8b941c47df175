"""The lines of a journal that are in view, drawn by the line API."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from harness_core.reading.rows import Look
from tui.console.journal_entries import Entry
from tui.console.journal_layout import Laid, Pos
from tui.console.journal_place import Place


class JournalPage(Widget, can_focus=True):
    """Draws a place in a journal: each piece of text in its look, the cursor, what was searched for."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"look--{look}" for look in Look),
        "look--cursor",
        "look--match",
    }
    """
    | Class | Description |
    | :- | :- |
    | `look--…` | A piece of text in that `Look`. |
    | `look--cursor` | The line under the cursor. |
    | `look--match` | What a search has found. |
    """
    DEFAULT_CSS = """
    JournalPage {
        height: 1fr;
        & .look--plain { color: $foreground; }
        & .look--dim { color: $foreground 60%; }
        & .look--thought { color: $foreground 60%; text-style: italic; }
        & .look--strong { color: $foreground; text-style: bold; }
        & .look--session { color: $primary; text-style: bold; }
        & .look--session-end { color: $primary 80%; }
        & .look--good { color: $success; }
        & .look--good-head { color: $success; text-style: bold; }
        & .look--warn { color: $warning; }
        & .look--warn-head { color: $warning; text-style: bold; }
        & .look--error { color: $error; }
        & .look--error-head { color: $error; text-style: bold; }
        & .look--receipt { color: $secondary; }
        & .look--checkpoint { color: $secondary; text-style: bold; }
        & .look--commit { color: $accent; }
        & .look--cursor { background: $foreground 15%; }
        & .look--match { background: $warning; color: $background; }
    }
    """

    place: Place
    """What is drawn. Whoever says what its entries look like sets it."""

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        """What was searched for last: it is marked wherever it is seen."""
        self._base: Style | None = None
        """The view's own style: Textual works it out anew whenever it is asked."""

    @property
    def page(self) -> list[tuple[Pos, Laid]]:
        """The lines in view."""
        return self.place.page

    @property
    def entry(self) -> Entry | None:
        """The entry under the cursor."""
        return self.place.entry

    def copied(self) -> str:
        """The entry under the cursor, as it is shown."""
        return "\n".join("".join(text for _, text in line).strip() for line in self.place.lines).strip()

    # --- Drawing ---------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        page = self.page
        base = self._base = self._base or self.rich_style
        if y >= len(page):
            return Strip.blank(self.size.width, base)
        pos, laid = page[y]
        under = Style()
        if pos == self.place.cursor and not self.place.follow and self.has_focus:
            under = Style(bgcolor=self.get_component_rich_style("look--cursor").bgcolor)
        segments = [piece for look, text in laid for piece in self._pieces(look, text, under)]
        return Strip(segments).adjust_cell_length(self.size.width, base + under)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._base = None

    def _pieces(self, look: Look, text: str, under: Style) -> list[Segment]:
        """A text in its look, with what was searched for marked."""
        style = self.get_component_rich_style(f"look--{look}") + under
        needle, lower = self.words.lower(), text.lower()
        # Where lower case changes lengths, places don't agree; then nothing is marked.
        if not needle or needle not in lower or len(lower) != len(text):
            return [Segment(text, style)]
        mark = self.get_component_rich_style("look--match")
        pieces, start = [], 0
        while (found := lower.find(needle, start)) >= 0:
            pieces += [Segment(text[start:found], style), Segment(text[found : found + len(needle)], mark)]
            start = found + len(needle)
        return [piece for piece in [*pieces, Segment(text[start:], style)] if piece.text]

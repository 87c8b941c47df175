"""What all pages have in common that cover the panes: a text to scroll, to copy, to leave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.console import hints, keys
from tui.console.scroll import Scroll
from tui.console.sinks import line


class Page(ModalScreen[None]):
    """A framed page. A subclass gives its lines and says `refresh_page` when they have changed."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.PAGE)
    DEFAULT_CSS = """
    Page {
        align: center middle;
        & > VerticalScroll {
            border: round $primary; padding: 1 2; background: $surface; scrollbar-size-vertical: 1;
            height: auto; max-height: 94%; max-width: 100%;
            border-title-style: bold; border-title-color: $primary; border-subtitle-color: $foreground 60%;
        }
    }
    """

    def title_line(self) -> Content:
        """What stands in the frame."""
        raise NotImplementedError

    def lines(self) -> Iterator[Content]:
        """The page as it is now."""
        raise NotImplementedError

    def copied(self) -> str:
        """The text that `y` copies."""
        return Content("\n").join(self.lines()).plain + "\n"

    def compose(self) -> ComposeResult:
        with Scroll() as box:
            box.border_title = self.title_line()
            box.border_subtitle = line(hints.of(self)("copy_page", "close_page"))
            yield Static(id="page")

    def on_mount(self) -> None:
        self.query_one(Scroll).focus()
        self.refresh_page()

    def refresh_page(self) -> None:
        """Show the lines as they are now."""
        for page in self.query("#page").results(Static):
            page.update(Content("\n").join(self.lines()))

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.copied())
        self.notify("copied", markup=False)

    def action_close(self) -> None:
        self.dismiss()

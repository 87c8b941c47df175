"""What a run needs from this machine, and whether it is there."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from harness_core.safe import one_line
from tui.console.scroll import Scroll
from tui.console.sinks import MUTED, words
from tui.doctor.check import Check, Mark
from tui.doctor.examination import examine

_INDENT = 18
_WIDTH = 50
"""Characters of what a check says, on each of its lines."""
_GLYPHS = {Mark.OK: ("✓", "$success"), Mark.WARN: ("○", "$warning"), Mark.FAIL: ("✗", "$error")}


class DoctorScreen(ModalScreen[None]):
    """Goes with escape or q."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "back")]
    DEFAULT_CSS = """
    DoctorScreen { align: center middle; }
    DoctorScreen > VerticalScroll {
        width: 76; max-width: 100%; height: auto; max-height: 90%;
        padding: 1 2; border: round $primary; border-title-style: bold; background: $surface;
    }
    """

    def compose(self) -> ComposeResult:
        with Scroll() as box:
            box.border_title = "Doctor"
            box.border_subtitle = "esc back"
            yield Static("looking …", id="checks")

    def on_mount(self) -> None:
        self._look()

    @work(thread=True, exit_on_error=False)
    def _look(self) -> None:
        done: list[Check] = []
        for check in examine():
            done.append(check)
            self.app.call_from_thread(self._show, list(done))

    def _show(self, done: list[Check]) -> None:
        self.query_one("#checks", Static).update(Content("\n").join([_line(check) for check in done]))


def _line(check: Check) -> Content:
    glyph, style = _GLYPHS[check.mark]
    said = textwrap.wrap(one_line(check.says), _WIDTH) or [""]
    mend = textwrap.wrap(f"→ {one_line(check.mend)}", _WIDTH) if check.mend else []
    under = "".join(f"\n{'':{_INDENT}}{row}" for row in mend)
    return Content.assemble(
        (f"{glyph} ", style),
        (f"{one_line(check.name):{_INDENT - 2}}", "bold"),
        words(f"\n{'':{_INDENT}}".join(said)),
        words(under, MUTED),
    )

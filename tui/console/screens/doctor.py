"""What a run needs from this machine, and whether it is there."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from harness_core.safe import one_line
from tui.console.aside import aside
from tui.console.screens.page import Page
from tui.console.sinks import MUTED, words
from tui.doctor.check import Check, Mark
from tui.doctor.examination import examine

_INDENT = 18
_WIDTH = 50
"""Characters of what a check says, on each of its lines."""
_GLYPHS = {Mark.OK: ("✓", "$success"), Mark.WARN: ("○", "$warning"), Mark.FAIL: ("✗", "$error")}


class DoctorScreen(Page):
    """Fills as the checks are made. Goes with enter too."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "close", "back")]
    DEFAULT_CSS = """
    DoctorScreen > VerticalScroll { width: 76; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._done: list[Check] = []
        self._broken = ""

    def title_line(self) -> Content:
        return Content("Doctor")

    def on_mount(self) -> None:
        self._look()

    def _lost(self, why: str) -> None:
        self._broken = why
        self.refresh_page()

    @aside("the doctor", broke=_lost)
    def _look(self) -> None:
        for check in examine():
            self.app.call_from_thread(self._take, check)

    def _take(self, check: Check) -> None:
        self._done.append(check)
        self.refresh_page()

    def lines(self) -> Iterator[Content]:
        yield from map(_line, self._done)
        if self._broken:
            yield words(self._broken, "$error")
        elif not self._done:
            yield words("looking …")


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

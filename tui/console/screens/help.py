"""All keys, from their registry."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from tui.console import hints, keys
from tui.console.hints import Hints
from tui.console.screens.page import Page
from tui.console.sinks import words

WIDTH = 92
_KEYS = 18
_FRAME = 8


class HelpScreen(Page):
    """Goes with `?` too."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,f1", "close", "back")]
    DEFAULT_CSS = """
    HelpScreen > VerticalScroll { width: 92; }
    """

    def title_line(self) -> Content:
        return Content("Keys")

    def lines(self) -> Iterator[Content]:
        shown, width = hints.of(self), self.app.size.width
        for place, (title, group) in enumerate(keys.GROUPS.items()):
            if place:
                yield Content("")
            yield words(title, "bold $primary")
            for key in group:
                yield from _rows(key, shown, width)


def _rows(key: keys.Key, shown: Hints, width: int) -> Iterator[Content]:
    """The key and what it does, which goes on below itself where it is too long."""
    told = textwrap.wrap(key.help, min(WIDTH, width) - _FRAME - _KEYS)
    for place, text in enumerate(told):
        yield words(f"{'' if place else shown.all(key.id):{_KEYS}}{text}")

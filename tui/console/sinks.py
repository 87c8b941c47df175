"""The only ways by which text gets onto the console's screen.

Agents, files and commits say what they like. Textual passes control characters on to the terminal and reads
square brackets as markup, in nearly all of its widgets; so all text goes through `words` or `line`, and
`VisibleOnly` takes out of every drawn line what a mistake elsewhere would let through.
"""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter

from harness_core.safe import one_line, safe

MUTED = "$foreground 60%"
"""The style of what matters less. ($text-muted is made for CSS: as a style of text it shines.)"""


def words(text: str, style: str = "") -> Content:
    """Text of several lines, as what it is: neither markup nor control characters act."""
    shown = safe(text).expandtabs(4)
    return Content.styled(shown, style) if style else Content(shown)


def line(text: str, style: str = "", width: int = 0) -> Content:
    """The same on one line, cut to `width` characters where one is given."""
    shown = one_line(text, width)
    return Content.styled(shown, style) if style else Content(shown)


class VisibleOnly(LineFilter):
    """Deletes what isn't visible from every line that is drawn, whoever drew it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [segment if segment.control else _visible(segment) for segment in segments]


def _visible(segment: Segment) -> Segment:
    text = segment.text
    return segment if text.isascii() and text.isprintable() else Segment(safe(text), segment.style)

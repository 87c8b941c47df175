"""Draws without any colour: what colours say is said by bold, dim and reversed text, as far as that goes."""

from __future__ import annotations

from functools import lru_cache

from rich.color import Color as RichColour
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

_LIT = 0.12
"""Brightness from which on a ground is one that stands out: a cursor, a pill."""
_QUIET = 0.75
"""Brightness of a grey below which text matters less."""


class Colourless(LineFilter):
    """Takes the colours out of every line. It is made for a theme with a black ground."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment
            if segment.control or segment.style is None
            else Segment(segment.text, _plain(segment.style))
            for segment in segments
        ]


@lru_cache(4096)
def _plain(style: Style) -> Style:
    text, ground = (style.bgcolor, style.color) if style.reverse else (style.color, style.bgcolor)
    reverse = _brightness(ground) > _LIT
    dim = bool(style.dim) or (not reverse and _is_grey(text) and _brightness(text) < _QUIET)
    return style.without_color + Style(reverse=reverse, dim=dim)


def _is_grey(colour: RichColour | None) -> bool:
    return colour is not None and colour.triplet is not None and len(set(colour.triplet)) == 1


def _brightness(colour: RichColour | None) -> float:
    return Color.from_rich_color(colour).brightness if colour is not None and colour.triplet else 0.0

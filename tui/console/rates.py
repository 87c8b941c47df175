"""How many features pass: the rates as bars, the counts by status, and the burn-up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, zip_longest

from textual.content import Content
from textual.widget import Widget

from harness_core.reading import burnup, contract_view
from harness_core.reading.contract_view import Standing
from tui.console.looks import LOOKS
from tui.console.sinks import MUTED, line, words

WIDE = 68
"""Cells from which on the pane has columns: the plot stands beside the rates."""
RATES_WIDE = 34
PLOT = 5
"""Lines of the plot, without its axis."""


class Rates(Widget):
    """Pass rates as bars, the counts by status, and the burn-up where there is room for it.

    What it shows is set from outside; `redraw` shows it.
    """

    DEFAULT_CSS = """
    Rates { height: auto; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.standings: Sequence[Standing] = ()
        self.draft = False
        """Whether they are of a contract that may still change: nothing passes or fails by that."""
        self.points: tuple[burnup.Point, ...] = ()
        """The burn-up, as far as it was read."""
        self.span = (0.0, 0.0)
        """From when to when the run goes, in seconds since the epoch."""
        self.room = (0, 0)
        """Cells and lines of the whole pane."""
        self._content = Content("")

    @property
    def plots(self) -> bool:
        """Whether there is room for the plot."""
        width, height = self.room
        return height >= (14 if width >= WIDE else 22)

    @property
    def _lines(self) -> int:
        return self._content.plain.count("\n") + 1 if self._content else 0

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return self._lines

    def render(self) -> Content:
        return self._content

    def redraw(self) -> None:
        """Show what is known now. The screen is laid out anew only where that takes more or fewer lines."""
        before = self._lines
        self._content = self._made()
        self.refresh(layout=self._lines != before)

    def _made(self) -> Content:
        width, height = self.room
        if not self.standings or not width:
            return Content("")
        if self.draft:
            return words(f"a draft of {len(self.standings)} features, not frozen yet", MUTED)
        wide = width >= WIDE
        rates = self._rates(RATES_WIDE if wide else width, height)
        if self.plots and self.points:
            plot = self._plot(width - RATES_WIDE - 3 if wide else width)
            rates = _beside(rates, plot) if wide else [*rates, *plot]
        gap = [Content("")] if height >= 14 else []
        return Content("\n").join([*rates, *gap])

    def _rates(self, width: int, height: int) -> list[Content]:
        tallies = contract_view.tallies(self.standings)
        passing = sum(tally.passing for tally in tallies)
        lines = [_rate("", passing, len(self.standings), width, 0), _counts(self.standings, width)]
        most = 4 if self.plots or height >= 18 else 2 if height >= 14 else 0
        if len(tallies) > 1 and most:
            shown = tallies[:most] if len(tallies) <= most else tallies[: most - 1]
            names = max(len(line(tally.category, width=16).plain) for tally in shown)
            lines += [_rate(tally.category, tally.passing, tally.total, width, names + 1) for tally in shown]
            if len(shown) < len(tallies):
                lines.append(words(f"and {len(tallies) - len(shown)} more categories", MUTED))
        return lines

    def _plot(self, width: int) -> list[Content]:
        top = str(max(point.total for point in self.points))
        start, end = self.span
        elapsed = burnup.clock(end - start)
        room = width - len(top) - 1
        columns = burnup.columns(self.points, start, max(end, start + 1), room)
        rows = burnup.drawn(columns, PLOT)
        marks = [top, *[""] * (PLOT - 2), "0"]
        lines = [
            Content.assemble((f"{mark:>{len(top)}}▕", MUTED), _coloured(row))
            for mark, row in zip(marks, rows, strict=True)
        ]
        axis = f"{' ' * len(top)} {'▔' * (room - len(elapsed) - 1)} {elapsed}"
        return [*lines, words(axis, MUTED)]


def _rate(name: str, passing: int, total: int, width: int, names: int) -> Content:
    """A bar with its name, in a column of `names` cells, and its numbers behind it."""
    label = f" {passing}/{total} {passing * 100 // total:>3}%"
    room = max(4, width - names - max(13, len(label)))
    filled = passing * room // total if passing < total else room
    filled = max(filled, 1) if passing else 0
    done = "bold $success" if passing == total else "bold"
    named = line(name, MUTED, 16)
    return Content.assemble(
        named,
        " " * max(0, names - named.cell_length),
        ("━" * filled, "$success"),
        ("╌" * (room - filled), MUTED),
        (f"{label:>13}", done if not name else MUTED),
    )


def _counts(found: Sequence[Standing], width: int) -> Content:
    """How many stand where; it explains the glyphs where there is room."""
    each = contract_view.counts(found)
    for named in (True, False):
        parts = [
            Content.styled(
                f"{LOOKS[status].glyph} {count}{f' {status.value}' if named else ''}", LOOKS[status].style
            )
            for status, count in each
        ]
        joined = Content("  ").join(parts)
        if joined.cell_length <= width:
            break
    return joined


def _coloured(row: str) -> Content:
    """A line of the plot: what passes stands out from the goal."""
    pieces = ("".join(run) for _, run in groupby(row, key=lambda cell: cell in burnup.EIGHTHS))
    return Content.assemble(
        *((piece, "$success" if piece[0] in burnup.EIGHTHS else MUTED) for piece in pieces)
    )


def _beside(left: Sequence[Content], right: Sequence[Content]) -> list[Content]:
    """Two columns, the first as wide as the rates."""
    return [
        Content.assemble(one, " " * (RATES_WIDE + 3 - one.cell_length), two)
        for one, two in zip_longest(left, right, fillvalue=Content(""))
    ]

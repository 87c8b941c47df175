"""The features: how many pass, since when, and where each of them stands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from textual import work
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from harness_core.contract import Status
from harness_core.layout import RunDir
from tui.console import burnup, contract_view
from tui.console.burnup import BurnUp
from tui.console.contract_view import Standing, View
from tui.console.facts import Facts
from tui.console.line_list import LineList, Row
from tui.console.looks import LOOKS
from tui.console.panes.pane import Pane
from tui.console.screens.feature import FeatureScreen
from tui.console.sinks import MUTED, line, words

WIDE = 68
"""Cells from which on a row has columns and the plot stands beside the rates."""
RATES_WIDE = 34
PLOT = 5
"""Lines of the plot, without its axis."""
REDRAW = 5.0
"""Seconds after which the plot's time has gone on enough to draw it again."""


class Rates(Widget):
    """Pass rates as bars, the counts by status, and the burn-up where there is room for it."""

    DEFAULT_CSS = """
    Rates { height: auto; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.standings: Sequence[Standing] = ()
        self.points: tuple[burnup.Point, ...] = ()
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

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return self._content.plain.count("\n") + 1 if self.standings else 0

    def render(self) -> Content:
        return self._content

    def redraw(self) -> None:
        """Show what is known now. The screen is laid out anew only where that takes more or fewer lines."""
        before = self._content.plain.count("\n"), bool(self._content)
        self._content = self._made()
        self.refresh(layout=before != (self._content.plain.count("\n"), bool(self._content)))

    def _made(self) -> Content:
        width, height = self.room
        if not self.standings or not width:
            return Content("")
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
    """A bar with its numbers behind it."""
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
    pieces = ("".join(run) for _, run in groupby(row, key=lambda cell: cell in burnup.EIGHTHS))
    return Content.assemble(
        *((piece, "$success" if piece[0] in burnup.EIGHTHS else MUTED) for piece in pieces)
    )


def _beside(left: Sequence[Content], right: Sequence[Content]) -> list[Content]:
    rows = max(len(left), len(right))
    padded = [*left, *[Content("")] * (rows - len(left))]
    others = [*right, *[Content("")] * (rows - len(right))]
    return [
        Content.assemble(one, " " * (RATES_WIDE + 3 - one.cell_length), two)
        for one, two in zip(padded, others, strict=True)
    ]


class FeatureList(LineList):
    """The features by status. Its filter knows `status:` and `category:`."""

    filter_title = "Show only features with (status:failing, category:style, any words)"

    def __init__(self) -> None:
        super().__init__(empty="reading the contract …")
        self.standings: dict[str, Standing] = {}

    def fits(self, row: Row, wanted: str) -> bool:
        return contract_view.fits(self.standings[row.key], wanted)

    def take(self, found: Sequence[Standing], width: int) -> None:
        self.standings = {item.id: item for item in found}
        ids = min(16, max((_width(item.id) for item in found), default=0))
        tries = max((len(_tries(item)) for item in found), default=0)
        self.show([Row(item.id, _row(item, ids, tries, columns=width >= WIDE)) for item in found])


def _tries(item: Standing) -> str:
    """A space and how often it was tried without success, where that matters."""
    return f" ×{item.attempts}" if item.attempts and not item.passes else ""


@lru_cache(4096)
def _width(name: str) -> int:
    return len(line(name).plain)


@lru_cache(4096)
def _row(item: Standing, ids: int, tries: int, *, columns: bool) -> Content:
    look = LOOKS[item.status]
    tried = _tries(item)
    parts: list[Content | str | tuple[str, str]] = [
        ("▶" if item.in_hand else " ", "bold $primary"),
        (f"{look.glyph} ", look.style),
        line(item.id, "bold" if item.in_hand else "", ids).pad_right(max(0, ids - _width(item.id))),
    ]
    if columns:
        parts += [" ", (f"{item.status.value:9}", look.style), (tried.ljust(tries), "$warning")]
    elif tried:
        parts.append((tried, "$warning"))
    muted = MUTED if item.status is Status.SKIPPED else ""
    return Content.assemble(*parts, " ", line(item.description, muted))


class FeaturesPane(Pane):
    """Rates above, the list below."""

    NAME = "features"
    TITLE = "Features"
    DEFAULT_CSS = """
    FeaturesPane > #wrong { display: none; color: $error; height: auto; max-height: 4; text-style: bold; }
    """

    class Read(Message):
        """The contract was read."""

        def __init__(self, view: View) -> None:
            super().__init__()
            self.view = view

    class Plotted(Message):
        """The burn-up was read on."""

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self.run_dir = run
        self._view: View | None = None
        self._mark: tuple[object, ...] | None = None
        self._shown: tuple[object, ...] = ()
        self._burnup = BurnUp(run)
        self._burning = False
        self._burned: tuple[object, ...] = ()
        self._drawn = 0.0
        self._wrong = ""
        self._opened: FeatureScreen | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="wrong")
        yield Rates()
        yield FeatureList()

    def on_resize(self) -> None:
        self.query_one(Rates).room = (self.content_size.width, self.content_size.height)
        self._shown = ()
        self._show()

    # --- What comes in ---------------------------------------------------------------------------------

    def look(self, facts: Facts) -> None:
        super().look(facts)
        self._read_changed()
        self._show()

    def files_changed(self, paths: AbstractSet[Path]) -> None:
        self._read_changed()

    def _read_changed(self) -> None:
        found = contract_view.mark(self.run_dir)
        if found != self._mark:
            self._mark = found
            self._read()

    @work(thread=True, exclusive=True, group="contract", exit_on_error=False)
    def _read(self) -> None:
        self.post_message(self.Read(contract_view.read(self.run_dir)))

    def on_features_pane_read(self, message: Read) -> None:
        self._view = message.view
        self._shown = ()
        self._show()

    # --- What is shown ---------------------------------------------------------------------------------

    def _fingerprint(self, facts: Facts) -> tuple[object, ...]:
        state, report = facts.state, facts.report
        standing = tuple((kept.status, kept.attempts, kept.seq) for kept in state.features.values())
        at_work = state.open_session.feature if state.open_session else None
        return (state.contract_sha, standing, at_work, report.contract_error, report.writing)

    def _show(self) -> None:
        facts = self.facts
        if facts is None or self._view is None:
            return
        fingerprint = self._fingerprint(facts)
        rates = self.query_one(Rates)
        if fingerprint != self._shown:
            self._shown = fingerprint
            found = contract_view.standings(self._view, facts.state)
            self._say_wrong(facts)
            rates.standings = found
            self.query_one(FeatureList).take(found, self.content_size.width)
            if self._opened is not None and self._opened.is_current:
                self._opened.restate(self.query_one(FeatureList).standings)
            self._draw(facts)
        elif facts.report.engine.alive and time.monotonic() - self._drawn > REDRAW:
            self._draw(facts)
        if rates.plots and fingerprint[:2] != self._burned and not self._burning:
            self._burning = True
            self._burned = fingerprint[:2]
            self._burn()

    def _draw(self, facts: Facts) -> None:
        self._drawn = time.monotonic()
        rates = self.query_one(Rates)
        start = burnup.seconds(facts.state.started) or 0.0
        last = burnup.seconds(facts.state.last_ts) or start
        rates.span = (start, time.time() if facts.report.engine.alive else last)
        rates.points = self._burnup.points
        rates.redraw()

    def _say_wrong(self, facts: Facts) -> None:
        assert self._view is not None
        being_written = facts.report.engine.alive and not self._view.frozen
        wrong = facts.report.contract_error or ("" if being_written else self._view.error)
        if wrong == f"{self._view.name} isn't there." and not facts.state.features:
            wrong = ""
        if wrong != self._wrong:
            self._wrong = wrong
            note = self.query_one("#wrong", Static)
            note.display = bool(wrong)
            note.update(words(f"✗ {wrong}"))
        writing = facts.report.writing
        features = self.query_one(FeatureList)
        features.empty = "there is no contract yet"
        if writing:
            features.empty = f"the contract is being written: {writing.written} of {writing.of} features"

    @work(thread=True, group="burnup", exit_on_error=False)
    def _burn(self) -> None:
        self._burnup.read_on()
        self.post_message(self.Plotted())

    def on_features_pane_plotted(self) -> None:
        self._burning = False
        if self.facts is not None:
            self._draw(self.facts)

    # --- Keys ------------------------------------------------------------------------------------------

    def on_line_list_opened(self, message: LineList.Opened) -> None:
        standing = self.query_one(FeatureList).standings[message.key]
        features = self._view.features if self._view else ()
        feature = next((one for one in features if one.id == message.key), None)
        self._opened = FeatureScreen(self.run_dir, standing, feature)
        self.app.push_screen(self._opened)

    def on_line_list_sifted(self) -> None:
        note = self.query_one(FeatureList).note
        self.border_subtitle = line(note)

    def subject(self) -> Path | None:
        return self.run_dir.contract if self.run_dir.contract.is_file() else None

    def copied(self) -> str:
        features = self.query_one(FeatureList)
        item = features.standings.get(features.cursor_key)
        return f"{item.id} ({item.status.value}): {item.description}" if item else ""

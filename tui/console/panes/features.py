"""The features: how many pass, and where each of them stands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from pathlib import Path

from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from harness_core.contract.record import Status
from harness_core.layout import RunDir
from harness_core.reading import burnup, contract_view
from harness_core.reading.burnup import BurnUp
from harness_core.reading.contract_view import Standing, View
from tui.console.aside import aside
from tui.console.facts import Facts
from tui.console.line_list import LineList, Row
from tui.console.looks import LOOKS
from tui.console.panes.pane import Pane
from tui.console.rates import WIDE, Rates
from tui.console.screens.feature import FeatureScreen
from tui.console.sinks import MUTED, line, words

REDRAW = 5.0
"""Seconds after which the plot's time has gone on enough to draw it again."""


class FeatureList(LineList):
    """The features by status. Its filter knows `status:` and `category:`."""

    filter_title = "Show only features with (status:failing, category:style, any words)"

    def __init__(self) -> None:
        super().__init__(empty="reading the contract …")
        self.standings: dict[str, Standing] = {}

    def fits(self, row: Row, wanted: str) -> bool:
        return contract_view.fits(self.standings[row.key], wanted)

    def take(self, found: Sequence[Standing], width: int) -> None:
        """Show these, in rows of that many cells."""
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
        """The contract as it was read last, None before."""
        self._mark: tuple[object, ...] | None = None
        """Its files as they were then."""
        self._shown: tuple[object, ...] = ()
        """The state that is on the screen; () when all has to be shown anew."""
        self._wrong = ""
        self._broken = ""
        """What broke down the reading of the contract, "" when it was read."""
        self._drawn = 0.0
        """When the rates were drawn."""
        self._burnup = BurnUp(run)
        self._burning = False
        """Whether the burn-up is being read on."""
        self._burned: tuple[object, ...] = ()
        """The state for which it was read last."""
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

    def _lost(self, why: str) -> None:
        self._broken = why
        self._take(self._view or View(self.run_dir.contract.name))

    @aside("reading the contract", exclusive=True, group="contract", broke=_lost)
    def _read(self) -> None:
        self.post_message(self.Read(contract_view.read(self.run_dir)))

    def on_features_pane_read(self, message: Read) -> None:
        self._broken = ""
        self._take(message.view)

    def _take(self, view: View) -> None:
        self._view = view
        self._shown = ()
        self._show()

    # --- What is shown ---------------------------------------------------------------------------------

    def _show(self) -> None:
        facts, view = self.facts, self._view
        if facts is None or view is None:
            return
        fingerprint = _fingerprint(facts)
        if fingerprint != self._shown:
            self._shown = fingerprint
            self._show_all(facts, view)
        elif facts.report.engine.alive and time.monotonic() - self._drawn > REDRAW:
            self._draw(facts)
        of_burnup = fingerprint[:2]
        if self.query_one(Rates).plots and of_burnup != self._burned and not self._burning:
            self._burning = True
            self._burned = of_burnup
            self._burn()

    def _show_all(self, facts: Facts, view: View) -> None:
        found = contract_view.standings(view, facts.state)
        self._say_wrong(self._broken or _wrong_with(view, facts))
        features = self.query_one(FeatureList)
        features.empty = "the contract can't be shown" if self._broken else "there is no contract yet"
        if writing := facts.report.writing:
            features.empty = f"contract: {writing.written} of {writing.of} features written"
        features.take(found, self.content_size.width)
        if self._opened is not None and self._opened.is_current:
            self._opened.restate(features.standings)
        rates = self.query_one(Rates)
        rates.standings = found
        rates.draft = bool(facts.state.started) and not facts.state.contract_sha
        self._draw(facts)

    def _draw(self, facts: Facts) -> None:
        self._drawn = time.monotonic()
        rates = self.query_one(Rates)
        start = burnup.seconds(facts.state.started) or 0.0
        last = burnup.seconds(facts.state.last_ts) or start
        rates.span = (start, time.time() if facts.report.engine.alive else last)
        rates.points = self._burnup.points
        rates.redraw()

    def _say_wrong(self, wrong: str) -> None:
        if wrong != self._wrong:
            self._wrong = wrong
            note = self.query_one("#wrong", Static)
            note.display = bool(wrong)
            note.update(words(f"✗ {wrong}"))

    def _lost_burnup(self, why: str) -> None:
        self._burning = False

    @aside("reading how the features grew", group="burnup", broke=_lost_burnup)
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

    @property
    def feature(self) -> str:
        """The feature under the cursor, "" where there is none."""
        return self.query_one(FeatureList).cursor_key

    def subject(self) -> Path | None:
        return self.run_dir.contract if self.run_dir.contract.is_file() else None

    def copied(self) -> str:
        features = self.query_one(FeatureList)
        item = features.standings.get(features.cursor_key)
        return f"{item.id} ({item.status.value}): {item.description}" if item else ""


def _fingerprint(facts: Facts) -> tuple[object, ...]:
    """Changes when what the pane shows does; its first two parts, when the burn-up does."""
    state, report = facts.state, facts.report
    standing = tuple((kept.status, kept.attempts, kept.seq) for kept in state.features.values())
    at_work = state.open_session.feature if state.open_session else None
    return (state.contract_sha, standing, at_work, report.contract_error, report.writing)


def _wrong_with(view: View, facts: Facts) -> str:
    """What is wrong with the contract, "" where nothing is, or where it is only not there yet."""
    being_written = facts.report.engine.alive and not view.frozen
    return facts.report.contract_error or ("" if being_written else view.error)

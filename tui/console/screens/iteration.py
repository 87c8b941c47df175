"""One iteration of a design: how it was judged, what it looked like then, what it changed."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Footer, Static

from harness_core.grading.verdicts import overruled
from harness_core.layout import RunDir
from harness_core.operator.control import Checkpoint
from harness_core.reading.evidence_list import Listing
from tui.console import hints, review
from tui.console.aside import aside
from tui.console.hanging import Hanging
from tui.console.review import Made
from tui.console.screens.review import Piece, ReviewScreen, changes, evidence_title, findings, scores
from tui.console.scroll import Scroll
from tui.console.sinks import MUTED, line, words


class IterationScreen(ReviewScreen):
    """A review of the iteration that stands if the operator approves."""

    DEFAULT_CSS = """
    IterationScreen #pieces { height: auto; }
    """

    def __init__(self, run: RunDir, asked: Checkpoint, number: int, overrides: Sequence[str] = ()) -> None:
        super().__init__(run, asked, None, overrides)
        self._number = number
        self._made = Made()

    def compose(self) -> ComposeResult:
        yield Static(self._head(), id="asked")
        with Scroll():
            yield Hanging([("reading the journal …", f"italic {MUTED}")], id="verdict")
            yield Hanging([], id="findings")
            yield Vertical(id="pieces")
            yield Hanging([("reading the changes …", f"italic {MUTED}")], id="diff")
        yield Footer(compact=True, show_command_palette=False)

    def _head(self) -> Content:
        if self._gone:
            return super()._head()
        one = next(one for one in self._asked.iterations if one.number == self._number)
        title = f"? iteration {one.number} of {len(self._asked.iterations)} · {one.total:.1f} of 10"
        shown = hints.of(self)
        said = f"approve, and this one stands; escape, and {shown['up']} and {shown['down']} choose another"
        return Content("\n").join([line(title, "bold $warning"), words(said)])

    def _lost_iteration(self, why: str) -> None:
        for place in self.query("#verdict").results(Hanging):
            place.show([(why, "$error")])
        self.show_changes([])

    @aside("reading the iteration", exclusive=True, broke=_lost_iteration)
    def _read(self) -> None:
        self.app.call_from_thread(self._show_made, review.iteration(self._run_dir, self._asked, self._number))

    def _show_made(self, made: Made) -> None:
        if not self.is_attached:
            return
        self._made = made
        shown = hints.of(self)
        verdict, newest = made.verdict, self._asked.iterations[-1].number
        if verdict is not None and self._overrides and self._number == newest:
            verdict = overruled(verdict, self._overrides)
        unread = [("The journal has no verdict on it.", MUTED)]
        self.query_one("#verdict", Hanging).show(scores(verdict) if verdict else unread)
        self.query_one("#findings", Hanging).show(findings(verdict, (), shown) if verdict else [])
        pieces = [Piece(item.file.path, item.sha256) for item in made.pieces]
        self.query_one("#pieces").mount(evidence_title(bool(pieces)), *pieces)
        self.show_changes([(made.trouble, MUTED)] if made.trouble else changes(made.diff))

    def open_piece(self, path: str) -> None:
        order = [item.key for item in self._made.pieces]
        key = next(item.key for item in self._made.pieces if item.file.path == path)
        self._show(Listing(tuple(self._made.pieces)), key, order)

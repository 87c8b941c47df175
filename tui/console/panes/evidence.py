"""The evidence pane: what there is to show, newest first, and a picture of the one under the cursor."""

from __future__ import annotations

import time
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from harness_core.layout import EVIDENCE_DIR, RunDir
from harness_core.reading.evidence_list import Evidence, Item, Listing
from tui.console import evidence_words, keys
from tui.console.aside import aside
from tui.console.facts import Facts
from tui.console.line_list import LineList, Row
from tui.console.outside import open_and_say
from tui.console.panes.pane import Pane
from tui.console.preview import Preview
from tui.console.sinks import line, words

if TYPE_CHECKING:
    from tui.console.screens.picture import PictureScreen

JOURNAL_EVERY = 0.3
"""Seconds between two looks because of events, however fast they come."""
AGES_EVERY = 10_000_000_000
"""Nanoseconds after which ages are said anew."""
BESIDE, STACKED = 70, 18
"""From which width the picture stands beside the list, and from which height below it."""
NEAR = 40
"""Rows around the cursor whose sha256 is worked out."""
_EMPTY = f"No evidence yet. Agents put pictures and logs into {EVIDENCE_DIR}/."


class EvidencePane(Pane):
    """Lists evidence and shows the selected piece where there is room."""

    NAME = "evidence"
    TITLE = "Evidence"
    KEYS = keys.EVIDENCE
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(KEYS)
    DEFAULT_CSS = """
    EvidencePane {
        layout: vertical;
        #evidence-side { height: auto; }
        #evidence-side > Preview { display: none; }
        #evidence-side > Static {
            height: auto; max-height: 2; color: $foreground 60%;
            text-wrap: nowrap; text-overflow: ellipsis;
        }
        &.-bare #evidence-side { display: none; }
        &.-stacked #evidence-side { height: 74%; padding-top: 1; }
        &.-stacked #evidence-side > Preview { display: block; }
        &.-beside { layout: horizontal; }
        &.-beside #evidence-list { width: 30; }
        &.-beside #evidence-side { width: 1fr; height: 1fr; padding-left: 2; }
        &.-beside #evidence-side > Preview { display: block; }
        &.-beside.-roomy #evidence-list { width: 60; }
    }
    """

    class Looked(Message):
        """A look at the evidence is done; no rows where they are what they were."""

        def __init__(self, listing: Listing, rows: list[Row] | None) -> None:
            super().__init__()
            self.listing = listing
            self.rows = rows

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self.run_dir = run
        self.listing = Listing()
        self.list = LineList(empty="looking …", id="evidence-list")
        self._preview = Preview(run)
        self._words = Static(id="evidence-caption")
        self._evidence = Evidence(run)
        self._looking = False
        self._again = False
        """Files have changed since the look that is going on has begun."""
        self._soon = False
        """A look at the journal is on its way."""
        self._seq = -1
        self._drawn: tuple[object, ...] = ()
        """What the rows in the list were made of."""
        self._large: PictureScreen | None = None

    def compose(self) -> ComposeResult:
        yield self.list
        with Vertical(id="evidence-side"):
            yield self._preview
            yield self._words

    @property
    def selected(self) -> Item | None:
        """The piece under the cursor."""
        return self.listing.find(self.list.cursor_key)

    # --- When to look ------------------------------------------------------------------------------------

    def look(self, facts: Facts) -> None:
        super().look(facts)
        if facts.state.last_seq != self._seq:
            self._seq = facts.state.last_seq
            self._look_soon()

    def files_changed(self, paths: AbstractSet[Path]) -> None:
        folder = self.run_dir.evidence
        if not paths or any(folder == path or folder in path.parents for path in paths):
            self._look_now()

    def on_show(self) -> None:
        self._look_now()

    def on_resize(self) -> None:
        width, height = self.content_size
        self.set_class(width >= BESIDE, "-beside")
        self.set_class(width >= 110, "-roomy")
        self.set_class(width < BESIDE and height >= STACKED, "-stacked")
        self.call_after_refresh(self._look_now)

    def _look_soon(self) -> None:
        if not self._soon:
            self._soon = True
            self.set_timer(JOURNAL_EVERY, self._look_at_journal)

    def _look_at_journal(self) -> None:
        self._soon = False
        if not self._looking:
            self._begin(at_files=False)

    def _look_now(self) -> None:
        if self._looking:
            self._again = True
        else:
            self._again = False
            self._begin(at_files=True)

    def _begin(self, *, at_files: bool) -> None:
        # A pane that nobody sees looks when it is shown.
        if self.size and self.is_attached and self.facts is not None:
            self._looking = True
            features = tuple(self.facts.state.features)
            self._look(features, self._near(), self.list.content_size.width - 1, at_files)

    def _near(self) -> frozenset[str]:
        """The paths of the rows in sight."""
        rows, top = self.list.rows, self.list.scroll_offset.y
        shown = rows[max(0, top - NEAR) : top + self.list.size.height + NEAR]
        cursor = self.list.cursor_key
        return frozenset(key.partition("\0")[0] for key in (cursor, *(row.key for row in shown)))

    def _lost(self, why: str) -> None:
        self._looking = self._again = False
        self._drawn = ()
        self.list.empty = why
        self.list.refresh()

    @aside("looking at the evidence", group="evidence", broke=_lost)
    def _look(self, features: tuple[str, ...], near: frozenset[str], width: int, at_files: bool) -> None:
        listing = self._evidence.look(features, near, at_files=at_files)
        now = time.time_ns()
        made_of = (listing, width, now // AGES_EVERY)
        rows = None
        if made_of != self._drawn:
            rows = [Row(item.key, evidence_words.row(item, width, now)) for item in listing.items]
            self._drawn = made_of
        self.post_message(self.Looked(listing, rows))

    # --- What is shown -----------------------------------------------------------------------------------

    def on_evidence_pane_looked(self, looked: Looked) -> None:
        self._looking = False
        if not self.is_attached:
            return
        self.listing = listing = looked.listing
        if looked.rows is not None:
            self.list.empty = listing.trouble or _EMPTY
            self.list.show(looked.rows)
        if self._again or not listing.whole:
            self._look_now()
        if self._large is not None:
            self._large.take(listing)
        self.set_class(not listing.items, "-bare")
        self._describe()

    def _describe(self) -> None:
        item = self.selected
        number = len(self.listing.items) + self.listing.left_out
        note = self.list.note or (f"{number} piece{'s' * (number != 1)}" if number else "")
        if note != self.border_subtitle:
            self.border_subtitle = line(note)
        if self.screen.is_active:
            self._preview.show(item)
        caption = words(self._caption(item, self._preview.pixels)) if item else Content()
        if self._words.content != caption:
            self._words.update(caption)

    def _caption(self, item: Item, pixels: tuple[int, int] | None) -> str:
        if self.has_class("-beside"):
            where = evidence_words.whereabouts(item, time.time_ns())
            return f"{where}\n{evidence_words.looks(item, pixels)}"
        return (
            evidence_words.looks(item, pixels) if self.has_class("-stacked") else evidence_words.brief(item)
        )

    def on_preview_drawn(self) -> None:
        self._describe()

    @on(LineList.Moved)
    def _moved(self) -> None:
        self._describe()
        item = self.selected
        if item is not None and not item.sha256 and not item.file.flaw:
            self._look_now()

    @on(LineList.Sifted)
    def _sifted(self) -> None:
        self._describe()

    # --- Keys --------------------------------------------------------------------------------------------

    def subject(self) -> Path | None:
        item = self.selected
        return self.run_dir.root / item.file.path if item else None

    def copied(self) -> str:
        item = self.selected
        return item.file.path if item else ""

    @on(LineList.Opened)
    def _open(self) -> None:
        self._show_large(compare=False)

    def action_compare(self) -> None:
        self._show_large(compare=True)

    def _show_large(self, *, compare: bool) -> None:
        from tui.console.screens.picture import PictureScreen  # noqa: PLC0415

        item = self.selected
        if item is None:
            self._say_nothing_there()
        else:
            shown = [row.key for row in self.list.rows]
            self._large = PictureScreen(
                self.run_dir, self.listing, shown, item.key, self.list.move_to, compare=compare
            )
            self.app.push_screen(self._large, self._back)

    def _back(self, _: None) -> None:
        self._large = None
        self.call_after_refresh(self._describe)

    def action_outside(self) -> None:
        if self.selected is None:
            self._say_nothing_there()
        else:
            open_and_say(self, self.run_dir, self.selected.file)

    def _say_nothing_there(self) -> None:
        self.notify("no piece of evidence is here to be opened", severity="warning", markup=False)

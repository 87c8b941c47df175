"""One piece of evidence on the whole screen, or two side by side: before and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Self

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.geometry import Region
from textual.screen import Screen
from textual.widgets import Footer, Static

from harness_core.layout import RunDir
from harness_core.reading.evidence_list import Item, Listing
from tui.console import evidence_words, hints, keys
from tui.console.outside import open_and_say
from tui.console.preview import Preview
from tui.console.sinks import line


class PictureScreen(Screen[None]):
    """Shows a piece large. `order` are the keys of the list that it was opened from; `moved` is told to
    which of them the user has gone."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.PICTURE, keys.EVIDENCE, keys.MOVES)
    DEFAULT_CSS = """
    PictureScreen {
        background: $background;
        #picture-head { height: auto; max-height: 6; padding: 0 1; background: $panel; }
        #picture-body { height: 1fr; padding: 1 1 0 1; }
        #picture-before { padding-right: 1; }
        &.-compare #picture-after { padding-left: 1; }
        #picture-body > Vertical > Static {
            height: 3; color: $foreground 80%; text-wrap: nowrap; text-overflow: ellipsis;
        }
        #picture-before, #picture-after > Static { display: none; }
        &.-compare #picture-before, &.-compare #picture-after > Static { display: block; }
        Preview { margin-bottom: 1; }
    }
    """

    def __init__(
        self,
        run: RunDir,
        listing: Listing,
        order: Sequence[str],
        key: str,
        moved: Callable[[str], None],
        *,
        compare: bool = False,
    ) -> None:
        super().__init__()
        self.run_dir = run
        self._listing = listing
        self._order = list(order)
        self._key = key
        self._moved = moved
        self._head = Static(id="picture-head")
        self._before, self._after = Preview(run, id="before"), Preview(run, id="after")
        self._before_words, self._after_words = Static(id="before-words"), Static(id="after-words")
        self.set_class(compare, "-compare")

    def compose(self) -> ComposeResult:
        yield self._head
        with Horizontal(id="picture-body"):
            with Vertical(id="picture-before"):
                yield self._before_words
                yield self._before
            with Vertical(id="picture-after"):
                yield self._after_words
                yield self._after
        yield Footer(compact=True, show_command_palette=False)

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        # What happens on the screen below asks for regions of this one, through which nothing of it is seen:
        # pictures would be sent to the terminal again and again.
        if regions and not layout and not recompose:
            return self
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    @property
    def item(self) -> Item | None:
        """What is shown; None when it is gone."""
        return self._listing.find(self._key)

    @property
    def comparing(self) -> bool:
        return self.has_class("-compare")

    def on_mount(self) -> None:
        self._show()

    def on_preview_drawn(self) -> None:
        self._describe()

    def take(self, listing: Listing) -> None:
        """Go on with what is known of the evidence now."""
        self._listing = listing
        if self.is_attached:
            self._show()

    # --- What is shown -----------------------------------------------------------------------------------

    def _show(self) -> None:
        item = self.item
        before = self._listing.before(item) if item and self.comparing else None
        self._after.show(item)
        self._before.show(before)
        self._describe()

    def _describe(self) -> None:
        item, now = self.item, time.time_ns()
        if item is None:
            _say(self._head, line("It is gone."))
            return
        place = self._order.index(self._key) + 1 if self._key in self._order else 0
        pixels = self._after.pixels
        _say(self._head, evidence_words.header(item, f"{place} of {len(self._order)}", pixels, now))
        if self.comparing:
            before = self._listing.before(item)
            nothing = line(f"Nothing earlier of {evidence_words.features(item) or 'this'}.")
            words = evidence_words.take(before, "before", now) if before else nothing
            _say(self._before_words, words)
            _say(self._after_words, evidence_words.take(item, "after", now))

    # --- Keys --------------------------------------------------------------------------------------------

    def action_close(self) -> None:
        self.dismiss(None)

    def action_step(self, step: int) -> None:
        known = [key for key in self._order if key == self._key or self._listing.find(key)]
        place = known.index(self._key) + step if self._key in known else 0
        if 0 <= place < len(known):
            self._key = known[place]
            self._moved(self._key)
            self._show()

    def action_compare(self) -> None:
        self.toggle_class("-compare")
        self._show()

    def action_outside(self) -> None:
        if self.item is not None:
            open_and_say(self, self.run_dir, self.item.file)

    def action_edit(self) -> None:
        outside = f"{hints.of(self)['outside']} opens it outside"
        self.notify(f"evidence isn't edited: {outside}", markup=False)

    def action_copy(self) -> None:
        if self.item is not None:
            self.app.copy_to_clipboard(self.item.file.path)
            self.notify("copied", markup=False)

    def action_move(self, step: int) -> None:
        for preview in (self._before, self._after):
            preview.scroll_relative(y=step, animate=False)

    def action_page(self, step: int) -> None:
        for preview in (self._before, self._after):
            preview.scroll_relative(y=step * max(1, preview.size.height - 1), animate=False)

    def action_first(self) -> None:
        for preview in (self._before, self._after):
            preview.scroll_home(animate=False)

    def action_last(self) -> None:
        for preview in (self._before, self._after):
            preview.scroll_end(animate=False)


def _say(place: Static, text: Content) -> None:
    # Saying the same again would have the screen laid out and its pictures sent anew.
    if place.content != text:
        place.update(text)

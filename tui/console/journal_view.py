"""A journal on the screen: its lines, and the keys that move, search, filter and open them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.worker import get_current_worker

from harness_core.errors import Mistake
from harness_core.safe import one_line
from tui.console import hints, keys
from tui.console.aside import aside
from tui.console.cards.prompt import PromptCard
from tui.console.journal_entries import Entry
from tui.console.journal_filter import Filter, parse_filter
from tui.console.journal_layout import PIECES, Laid
from tui.console.journal_lines import Step, offset_of
from tui.console.journal_page import JournalPage
from tui.console.journal_place import Place
from tui.console.journal_search import Test, find, said, trouble
from tui.console.journal_window import JournalWindow

FILTER_HELP = "Show only · role:generator session:3-5 kind:tool,error words · empty: all"
SEARCH_HELP = "Search the whole journal"
_WHEEL = 3
"""Lines that one step of the wheel moves."""
_BATCH = 200
"""Entries that a filter's thread brings at a time."""


def local_time(ts: str) -> str:
    """The time of day of an event, here."""
    try:
        return datetime.fromisoformat(ts).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return ""


class JournalView(JournalPage):
    """Lines of a journal with a cursor, search and a filter. What inherits it says how entries look."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.LINES, keys.STREAM)

    class Moved(Message):
        """Something has changed of what a frame says about the view."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, JournalView.Moved)

    def __init__(self, path: Path, *, joined: bool = True) -> None:
        super().__init__()
        self.window = JournalWindow(path, self.wants, joined=joined)
        self.place = Place(self.window, self)
        self.filter = Filter()
        self.filter_text = ""
        self.told = ""
        """What a search has to say, such as that it found nothing; a move takes it away."""
        self.opened: set[int] = set()
        """Offsets of the entries that are shown in full."""
        self._hit: tuple[int, int] | None = None
        """The entry that a search went to, and the event in it that was found."""
        self._searching = False
        self._broken = ""
        """What broke down the look for entries that the filter lets through."""

    # --- For those who say what an entry looks like -----------------------------------------------

    def shows(self, entry: Entry) -> bool:
        """Whether such an entry has a line at all."""
        return True

    def lay(self, entry: Entry, width: int) -> list[Laid]:
        """The lines of an entry."""
        raise NotImplementedError

    def laid_by(self, entry: Entry) -> object:
        """What those lines hang on, besides the entry and the width."""
        return entry.offset in self.opened

    def last_lines(self) -> list[Laid]:
        """Lines below the last entry."""
        return []

    def can_open(self, entry: Entry) -> bool:
        """Whether an entry has more to show than its line."""
        return False

    # --- What there is to say ---------------------------------------------------------------------

    def title(self, name: str) -> str:
        """What stands at a frame's upper edge."""
        return f"{name} · {self.filter_text}" if self.filter else name

    def where(self) -> str:
        """What stands at its lower edge: what a search says, what is new, how far through this is."""
        parts = [self.told] if self.told else []
        if not self.place.follow:
            if self.window.new:
                parts.append(f"+{self.window.new:,} new · {hints.of(self)['last']} returns")
            time = local_time(self.entry.event.ts) if self.entry else ""
            parts += [f"{self.place.share:.0%}", *([time] if time else [])]
        elif self.window.size:
            parts.append("following")
        return " · ".join(parts)

    def nothing(self, *, looking: bool) -> str:
        if looking:
            return self._broken or "looking through the journal …"
        if self.filter and self.window.size:
            return f"nothing is like that · {hints.of(self)['give_up']} shows all"
        return "Nothing has happened here yet."

    # --- The run goes on --------------------------------------------------------------------------

    def on_mount(self) -> None:
        self.window.to_end()
        self.redraw()

    def on_resize(self) -> None:
        self.redraw()

    def advance(self) -> None:
        """Look at what was appended to the journal."""
        if self.window.advance(follow=self.place.follow):
            if self.place.follow or self.place.has_changed():
                self.redraw()
            else:
                self.post_message(self.Moved())

    def redraw(self) -> None:
        """Lay out anew: at the same place, or at the end for one who follows."""
        self.place.renew()
        self.refresh()
        self.post_message(self.Moved())

    # --- Moving -----------------------------------------------------------------------------------

    def action_move(self, lines: int) -> None:
        self._moved(self.place.move(lines))

    def action_page(self, pages: int) -> None:
        self._moved(self.place.scroll(pages * max(self.size.height - 1, 1)))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._moved(self.place.scroll(-_WHEEL))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._moved(self.place.scroll(_WHEEL))

    def action_first(self) -> None:
        self.place.to_start()
        self._moved()

    def action_last(self) -> None:
        """Back to the end, and stay there."""
        self.place.to_end()
        self.redraw()

    def go_to(self, offset: int) -> None:
        """Show the event at `offset`, with the cursor on it."""
        self.place.to(offset)
        self._moved()

    def go_to_seq(self, seq: int) -> None:
        """Show the event of that number, or the next one that has a line."""
        offset = offset_of(self.window.path, seq)
        if offset is not None:
            self.go_to(offset)

    def _moved(self, anything: bool = True) -> None:
        if anything:
            self.told = ""
            self.redraw()

    def on_click(self, event: events.Click) -> None:
        if self.place.to_row(event.y):
            self._moved()
            self.action_open()

    def action_open(self) -> None:
        """Show the entry under the cursor in full, or on its line alone again."""
        entry = self.entry
        if entry is not None and self.can_open(entry):
            self.opened ^= {entry.offset}
            self.place.to_entry(entry)
            self._moved()

    # --- Search -----------------------------------------------------------------------------------

    async def action_search(self) -> None:
        await PromptCard(SEARCH_HELP, self.words, self._search_for).put_up(self.screen)

    def _search_for(self, words: str) -> None:
        self.words = words
        self.redraw()
        if words:
            # Who stands at the end has nothing below to look through.
            self.action_match(-1 if self.place.follow else 1)

    def action_match(self, step: Step) -> None:
        if self.words:
            test = said(self.words, self.wants)
            self._go_looking(step, test, f"“{one_line(self.words, 30)}”", wraps=True)

    def action_trouble(self, step: Step) -> None:
        self._go_looking(step, trouble(self.wants), "trouble", wraps=False)

    def _go_looking(self, step: Step, test: Test, what: str, *, wraps: bool) -> None:
        self._searching = True
        self.told = f"looking for {what} · {hints.of(self)['give_up']} gives up"
        self.post_message(self.Moved())
        self._look(self._looked_at(), step, test, what, wraps)

    def _looked_at(self) -> int:
        """Where the next search starts: at what the last one found, while the cursor stands there."""
        if self.place.follow:
            return self.window.seen
        at = self.place.cursor[0]
        return self._hit[1] if self._hit and self._hit[0] == at else at

    def _lost_search(self, why: str) -> None:
        self._searching = False
        self.told = why
        self.redraw()

    @aside("the search", exclusive=True, group="search", broke=_lost_search)
    def _look(self, start: int, step: Step, test: Test, what: str, wraps: bool) -> None:
        worker = get_current_worker()
        found = find(self.window.path, start, step, test, lambda: worker.is_cancelled, wraps=wraps)
        if not worker.is_cancelled:
            self.app.call_from_thread(self._looked, found, what, wraps)

    def _looked(self, found: int | None, what: str, wraps: bool) -> None:
        self._searching = False
        if found is None:
            self.told = f"{what} not found" if wraps else f"no {what} that way"
            self.redraw()
            return
        self.go_to(found)
        if self.entry is not None:
            self._hit = (self.entry.offset, found)
            self._show_match(self.entry)

    def _show_match(self, entry: Entry) -> None:
        """Open the entry when what was found isn't on its line."""
        needle = self.words.lower()
        seen = any(needle in "".join(text for _, text in line).lower() for line in self.place.lines)
        if not seen and entry.offset not in self.opened:
            self.action_open()

    def action_give_up(self) -> None:
        """One thing at a time: the search that runs, its marks, the filter."""
        if self._searching:
            self.workers.cancel_group(self, "search")
            self._searching = False
        elif self.words:
            self.words = ""
        elif self.filter:
            self._set_filter("")
        self.told = ""
        self.redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "give_up":
            return bool(self._searching or self.words or self.told or self.filter)
        return True

    # --- Filter -----------------------------------------------------------------------------------

    def wants(self, entry: Entry) -> bool:
        """Whether an entry is to be seen now."""
        return self.shows(entry) and (not self.filter or self.filter.wants(entry))

    async def action_filter(self) -> None:
        await PromptCard(FILTER_HELP, self.filter_text, self._set_filter).put_up(self.screen)

    def _set_filter(self, text: str) -> None:
        try:
            self.filter = parse_filter(text)
        except Mistake as error:
            self.app.notify(one_line(str(error)), severity="warning", markup=False)
            return
        self.filter_text = one_line(text)
        self._broken = ""
        self.workers.cancel_group(self, "fill")
        self.window.reader.may_hold = self.filter.may_hold if self.filter else lambda _: True
        # What a filter lets through may be far away: that is a thread's work.
        self.place.layout.pieces = 1 if self.filter else PIECES
        if self.place.follow:
            self.window.to_end()
        else:
            self.window.to(self.place.cursor[0])
        self.redraw()

    def look_further(self, step: Step) -> None:
        if not self._broken:
            self._fill(step)

    def _lost_filter(self, why: str) -> None:
        self._broken = self.told = why
        self.redraw()

    @aside("the filter", exclusive=True, group="fill", broke=_lost_filter)
    def _fill(self, step: Step) -> None:
        worker, chosen = get_current_worker(), self.filter
        edge = self.window.edge(step)
        found, reached = self.window.reader.read(
            edge, step, pieces=-1, enough=_BATCH, cancelled=lambda: worker.is_cancelled
        )
        if not worker.is_cancelled:
            self.app.call_from_thread(self._filled, step, edge, found, reached, chosen)

    def _filled(self, step: Step, edge: int, found: list[Entry], reached: int, chosen: Filter) -> None:
        if self.filter is chosen and edge == self.window.edge(step):
            self.window.put(step, found, reached)
            self.redraw()

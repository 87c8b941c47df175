"""A journal as lines on the screen: drawn by the line API around a place in the file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, work
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.worker import get_current_worker

from harness_core.errors import Mistake
from harness_core.safe import one_line
from tui.console import keys
from tui.console.cards.prompt import PromptCard
from tui.console.journal_entries import Entry
from tui.console.journal_filter import Filter, parse_filter
from tui.console.journal_layout import PIECES, Laid, Layout, Pos
from tui.console.journal_lines import Step, offset_of
from tui.console.journal_search import Test, find, said, trouble
from tui.console.journal_window import JournalWindow
from tui.console.rows import Look

FILTER_HELP = "Show only · role:generator session:3-5 kind:tool,error words · empty: all"
SEARCH_HELP = "Search the whole journal"
_NEAR = 100
"""Entries from either end of what is in memory at which more is read."""
_WHEEL = 3
_BATCH = 200
"""Entries that a filter's thread brings at a time."""


def local_time(ts: str) -> str:
    """The time of day of an event, here."""
    try:
        return datetime.fromisoformat(ts).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return ""


class JournalView(Widget, can_focus=True):
    """Lines of a journal with a cursor, search and a filter."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.LINES, keys.STREAM)
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"look--{look}" for look in Look),
        "look--cursor",
        "look--match",
    }
    DEFAULT_CSS = """
    JournalView {
        height: 1fr;
        & .look--plain { color: $foreground; }
        & .look--dim { color: $foreground 60%; }
        & .look--thought { color: $foreground 60%; text-style: italic; }
        & .look--strong { color: $foreground; text-style: bold; }
        & .look--session { color: $primary; text-style: bold; }
        & .look--session-end { color: $primary 80%; }
        & .look--good { color: $success; }
        & .look--good-head { color: $success; text-style: bold; }
        & .look--warn { color: $warning; }
        & .look--warn-head { color: $warning; text-style: bold; }
        & .look--error { color: $error; }
        & .look--error-head { color: $error; text-style: bold; }
        & .look--receipt { color: $secondary; }
        & .look--checkpoint { color: $secondary; text-style: bold; }
        & .look--commit { color: $accent; }
        & .look--cursor { background: $foreground 15%; }
        & .look--match { background: $warning; color: $background; }
    }
    """

    class Moved(Message):
        """Something has changed of what a frame says about the view."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, JournalView.Moved)

    def __init__(self, path: Path, *, joined: bool = True) -> None:
        super().__init__()
        self.window = JournalWindow(path, self.wants, joined=joined)
        self.filter = Filter()
        self.filter_text = ""
        self.follow = True
        """Whether the newest line stays in view."""
        self.words = ""
        """What was searched for last: it is marked wherever it is seen."""
        self.told = ""
        """What a search has to say, such as that it found nothing."""
        self.opened: set[int] = set()
        """Offsets of the entries that are shown in full."""
        self._lines = Layout(self.window, self)
        self._top: Pos = (0, 0)
        self._cursor: Pos = (0, 0)
        self._page: list[tuple[Pos, Laid]] | None = None
        self._base: Style | None = None
        """The view's own style: Textual works it out anew whenever it is asked."""
        self._hit: tuple[int, int] | None = None
        """The entry that a search went to, and the event in it that was found."""
        self._searching = False

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

    def wants(self, entry: Entry) -> bool:
        return self.shows(entry) and (not self.filter or self.filter.wants(entry))

    # --- The run goes on --------------------------------------------------------------------------

    def on_mount(self) -> None:
        self.window.to_end()
        self.redraw()

    def advance(self) -> None:
        """Look at what was appended to the journal."""
        if self.window.advance(follow=self.follow):
            before, self._page = self._page, None
            if self.follow or self.page != before:
                self.redraw()
            else:
                self.post_message(self.Moved())

    def redraw(self) -> None:
        """Lay out anew: at the same place, or at the end for one who follows."""
        if self.follow:
            self.window.caught_up()
        self._page = None
        self.refresh()
        self.post_message(self.Moved())

    def on_resize(self) -> None:
        self.redraw()

    # --- What is in view --------------------------------------------------------------------------

    @property
    def page(self) -> list[tuple[Pos, Laid]]:
        """The lines in view."""
        if self._page is None:
            self._page = self._make_page()
        return self._page

    def _make_page(self) -> list[tuple[Pos, Laid]]:
        layout = self._lines
        layout.width, layout.height = self.size
        layout.hungry, layout.pieces = None, 1 if self.filter else PIECES
        page = self._lines_in_view()
        if layout.hungry:
            self._fill(layout.hungry)
        elif self.window.entries:
            self._read_ahead()
        return page

    def _lines_in_view(self) -> list[tuple[Pos, Laid]]:
        layout, window = self._lines, self.window
        if not window.entries:
            layout.more(-1)
        if not window.entries:
            layout.more(1)
        tail = [((window.seen, n), line) for n, line in enumerate(self.last_lines())]
        tail = tail[-max(layout.height - 1, 1) :]
        if not window.entries:
            return tail or self._nothing()
        if not self.follow:
            page = layout.page(self._top)
            if len(page) == layout.height or not window.at_end:
                return page
        end = layout.end()
        self._top = layout.walk(end, len(tail) + 1 - layout.height)
        if self.follow:
            self._cursor = end
        return (layout.page(self._top) + tail)[-layout.height :]

    def _nothing(self) -> list[tuple[Pos, Laid]]:
        if self._lines.hungry:
            text = "looking through the journal …"
        elif self.filter and self.window.size:
            text = "nothing is like that · esc shows all"
        else:
            text = "Nothing has happened here yet."
        return [((self.window.seen, 0), ((Look.DIM, text),))]

    def _read_ahead(self) -> None:
        """Have more in memory before the reader gets there."""
        place = self._lines.index(self._top)
        if place < _NEAR and not self.follow and not self.window.at_start:
            self.window.extend(-1)
        elif place > len(self.window.entries) - _NEAR and not self.window.at_end:
            self.window.extend(1)

    @work(thread=True, exclusive=True, group="fill", exit_on_error=False)
    def _fill(self, step: Step) -> None:
        """Find more of what a filter lets through, however far it is."""
        worker, reader, chosen = get_current_worker(), self.window.reader, self.filter
        edge = self.window.edge(step)
        found, reached = reader.read(
            edge, step, pieces=-1, enough=_BATCH, cancelled=lambda: worker.is_cancelled
        )
        if not worker.is_cancelled:
            self.app.call_from_thread(self._filled, step, edge, found, reached, chosen)

    def _filled(self, step: Step, edge: int, found: list[Entry], reached: int, chosen: Filter) -> None:
        window = self.window
        if self.filter is not chosen or edge != window.edge(step):
            return
        window.put(step, found, reached)
        self.redraw()

    # --- Drawing ----------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        page = self.page
        base = self._base = self._base or self.rich_style
        if y >= len(page):
            return Strip.blank(self.size.width, base)
        pos, laid = page[y]
        under = Style()
        if pos == self._cursor and not self.follow and self.has_focus:
            under = Style(bgcolor=self.get_component_rich_style("look--cursor").bgcolor)
        segments = [piece for look, text in laid for piece in self._pieces(look, text, under)]
        return Strip(segments).adjust_cell_length(self.size.width, base + under)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._base = None

    def _pieces(self, look: Look, text: str, under: Style) -> list[Segment]:
        """A text in its look, with what was searched for marked."""
        style = self.get_component_rich_style(f"look--{look}") + under
        needle, lower = self.words.lower(), text.lower()
        if not needle or needle not in lower or len(lower) != len(text):
            return [Segment(text, style)]
        mark = self.get_component_rich_style("look--match")
        pieces, start = [], 0
        while (found := lower.find(needle, start)) >= 0:
            pieces += [Segment(text[start:found], style), Segment(text[found : found + len(needle)], mark)]
            start = found + len(needle)
        return [piece for piece in [*pieces, Segment(text[start:], style)] if piece.text]

    def title(self, name: str) -> str:
        """What stands at a frame's upper edge."""
        return f"{name} · {self.filter_text}" if self.filter else name

    def where(self) -> str:
        """What stands at its lower edge: what a search says, what is new, how far through this is."""
        parts = [self.told] if self.told else []
        if not self.follow:
            if self.window.new:
                parts.append(f"+{self.window.new:,} new · End returns")
            time = local_time(self.entry.event.ts) if self.entry else ""
            parts += [f"{self.share:.0%}", *([time] if time else [])]
        elif self.window.size:
            parts.append("following")
        return " · ".join(parts)

    def copied(self) -> str:
        """The entry under the cursor, as it is shown."""
        if not self.window.entries:
            return ""
        laid = self._lines.lines(self._lines.index(self._cursor))
        return "\n".join("".join(text for _, text in line).strip() for line in laid).strip()

    # --- Moving -----------------------------------------------------------------------------------

    @property
    def entry(self) -> Entry | None:
        """The entry under the cursor."""
        return self.window.entries[self._lines.index(self._cursor)] if self.window.entries else None

    @property
    def share(self) -> float:
        """How far through the journal the view stands, from 0 to 1."""
        if self.follow or not self.page or self.page[-1][0][0] >= self.window.seen:
            return 1.0
        last = self.page[-1][0][0]
        at_end = self.window.at_end and self.page[-1][0] == self._lines.end()
        return 1.0 if at_end else last / max(self.window.size, 1)

    def action_move(self, lines: int) -> None:
        if not self.page:
            return
        if lines > 0 and self.follow:
            return
        before = self._cursor
        self._leave_end()
        self._cursor = self._lines.walk(self._cursor, lines)
        if lines > 0 and self._cursor == before and self.window.at_end:
            self.action_last()
            return
        self._keep_in_view()

    def action_page(self, pages: int) -> None:
        self._scroll(pages * max(self.size.height - 1, 1))

    def action_first(self) -> None:
        self._leave_end()
        if not self.window.at_start:
            self.window.to(0)
        self._top = self._cursor = (0, 0)
        if self.window.entries:
            self._cursor = self._top = (self.window.entries[0].offset, 0)
        self.redraw()

    def action_last(self) -> None:
        """Back to the end, and stay there."""
        if not self.window.at_end:
            self.window.to_end()
        self.follow = True
        self.redraw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._scroll(-_WHEEL)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._scroll(_WHEEL)

    def _leave_end(self) -> None:
        """From here on what comes is only counted."""
        self.told = ""
        if self.follow and self.page:
            self.follow = False
            self.window.caught_up()

    def _scroll(self, lines: int) -> None:
        """Move what is in view; the cursor comes along. Past the end, follow again."""
        if not self.page or (lines > 0 and self.follow):
            return
        before = self._top
        self._leave_end()
        self._top = self._lines.walk(self._top, lines)
        self._page = None
        _ = self.page
        if lines > 0 and self._top == before and self.window.at_end:
            self.action_last()
            return
        if lines < 0 and self._top == before:
            self._cursor = self.page[0][0]
        shown = [pos for pos, _ in self.page]
        self._cursor = min(max(self._cursor, shown[0]), shown[-1])
        self.redraw()

    def _keep_in_view(self) -> None:
        self._page = None
        bottom = self._lines.walk(self._top, self.size.height - 1)
        if self._cursor < self._top:
            self._top = self._cursor
        elif self._cursor > bottom:
            self._top = self._lines.walk(self._cursor, 1 - self.size.height)
        self.redraw()

    def go_to(self, offset: int) -> None:
        """Show the event at `offset`, a third below the top, with the cursor on it."""
        self._leave_end()
        self.follow = False
        if not (self.window.start <= offset < self.window.end):
            self.window.to(offset)
        entry = self.window.owner(offset)
        if entry is not None:
            self._cursor = (entry.offset, 0)
            self._top = self._lines.walk(self._cursor, -(self.size.height // 3))
        self.redraw()

    def go_to_seq(self, seq: int) -> None:
        """Show the event of that number, or the next one that has a line."""
        offset = offset_of(self.window.path, seq)
        if offset is not None:
            self.go_to(offset)

    def on_click(self, event: events.Click) -> None:
        if not 0 <= event.y < len(self.page):
            return
        pos = self.page[event.y][0]
        again = not self.follow and pos == self._cursor
        self._leave_end()
        if pos[0] < self.window.seen:
            self._cursor = pos
        entry = self.entry
        if entry is not None and (again or self.can_open(entry)):
            self.action_open()
        self.redraw()

    def action_open(self) -> None:
        entry = self.entry
        if entry is None or not self.can_open(entry):
            return
        self._leave_end()
        self.opened ^= {entry.offset}
        self._cursor = (entry.offset, 0)
        self._keep_in_view()

    # --- Search and filter ------------------------------------------------------------------------

    def action_search(self) -> None:
        PromptCard(SEARCH_HELP, self.words, self._search_for).put_up(self.screen)

    def _search_for(self, words: str) -> None:
        self.words = words
        self.redraw()
        if words:
            # Who stands at the end has nothing below to look through.
            self.action_match(-1 if self.follow else 1)

    def action_match(self, step: Step) -> None:
        if self.words:
            test = said(self.words, self.wants)
            self._go_looking(step, test, f"“{one_line(self.words, 30)}”", wraps=True)

    def action_trouble(self, step: Step) -> None:
        self._go_looking(step, trouble(self.wants), "trouble", wraps=False)

    def _go_looking(self, step: Step, test: Test, what: str, *, wraps: bool) -> None:
        start = self._looked_at() if not self.follow else self.window.seen
        self._searching = True
        self.told = f"looking for {what} · esc gives up"
        self.post_message(self.Moved())
        self._look(start, step, test, what, wraps)

    def _looked_at(self) -> int:
        """Where the next search starts: at what the last one found, while the cursor stands there."""
        if self._hit and self._hit[0] == self._cursor[0]:
            return self._hit[1]
        return self._cursor[0]

    @work(thread=True, exclusive=True, group="search", exit_on_error=False)
    def _look(self, start: int, step: Step, test: Test, what: str, wraps: bool) -> None:
        worker = get_current_worker()
        found = find(self.window.path, start, step, test, lambda: worker.is_cancelled, wraps=wraps)
        if not worker.is_cancelled:
            self.app.call_from_thread(self._looked, found, what, wraps)

    def _looked(self, found: int | None, what: str, wraps: bool) -> None:
        self._searching = False
        self.told = "" if found is not None else f"{what} not found" if wraps else f"no {what} that way"
        if found is None:
            self.redraw()
            return
        self.go_to(found)
        entry = self.entry
        if entry is not None:
            self._hit = (entry.offset, found)
            self._show_match(entry)

    def _show_match(self, entry: Entry) -> None:
        """Open the entry when what was found isn't on its line."""
        needle = self.words.lower()
        lines = self._lines.lines(self._lines.index(self._cursor))
        seen = any(needle in "".join(text for _, text in line).lower() for line in lines)
        if needle and not seen and self.can_open(entry) and entry.offset not in self.opened:
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

    def action_filter(self) -> None:
        PromptCard(FILTER_HELP, self.filter_text, self._set_filter).put_up(self.screen)

    def _set_filter(self, text: str) -> None:
        try:
            self.filter = parse_filter(text)
        except Mistake as error:
            self.app.notify(one_line(str(error)), severity="warning", markup=False)
            return
        self.window.reader.may_hold = self.filter.may_hold if self.filter else lambda _: True
        self.filter_text = one_line(text)
        at = self._cursor[0]
        self.workers.cancel_group(self, "fill")
        if self.follow:
            self.window.to_end()
        else:
            self.window.to(at)
        self.redraw()

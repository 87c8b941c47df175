"""A list of lines with a cursor, to choose, search, sift and open. Draws only what is in sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from tui.console import keys
from tui.console.cards.prompt import PromptCard
from tui.console.sinks import line


@dataclass(frozen=True, slots=True)
class Row:
    """A line; its key stays the same while the list is shown anew."""

    key: str
    content: Content


class LineList(ScrollView, can_focus=True):
    """Shows rows, one line each, cut at the right edge.

    The cursor stays on its row when other rows come and go. As long as it stands at the top because nobody
    has moved it, or because the user went back there, it stays at the top: so a list whose newest row comes
    first follows what is new.
    """

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.LINES)
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line-list--cursor",
        "line-list--match",
        "line-list--empty",
    }
    """
    | Class | Description |
    | :- | :- |
    | `line-list--cursor` | The row under the cursor. |
    | `line-list--match` | What a search has found. |
    | `line-list--empty` | The sentence that stands where there are no rows. |
    """
    DEFAULT_CSS = """
    LineList {
        height: 1fr;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .line-list--cursor { background: $foreground 10%; }
        & > .line-list--match { background: $warning 40%; text-style: bold; }
        & > .line-list--empty { color: $foreground 60%; }
        &:focus > .line-list--cursor { background: $primary 30%; }
    }
    """

    class _About(Message):
        def __init__(self, lines: LineList, key: str) -> None:
            super().__init__()
            self.lines = lines
            self.key = key

        @property
        def control(self) -> LineList:
            return self.lines

    class Opened(_About):
        """The row with this key is to be opened."""

    class Moved(_About):
        """The cursor stands on another row, "" when there is none."""

    class Sifted(Message):
        """What is searched for or filtered by has changed; `note` says it."""

    filter_title: ClassVar[str] = "Show only lines with"

    def __init__(self, rows: Sequence[Row] = (), *, empty: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty = empty
        """The sentence that stands where there are no rows."""
        self.searched = ""
        self.filtered = ""
        self._all: Sequence[Row] = rows
        self._rows: Sequence[Row] = rows
        self._cursor = 0
        self._said = ""

    # --- What is shown ---------------------------------------------------------------------------------

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows instead. The cursor stays on its key, and that row where it was on the screen."""
        self._all = rows
        self._sift()

    def fits(self, row: Row, wanted: str) -> bool:
        """Whether a row is shown under the filter `wanted`; others may mean more by it than a part of it."""
        return wanted.casefold() in row.content.plain.casefold()

    @property
    def rows(self) -> Sequence[Row]:
        """The rows that the filter leaves."""
        return self._rows

    @property
    def cursor_key(self) -> str:
        """The key of the row under the cursor, "" when there is none."""
        return self._rows[self._cursor].key if self._rows else ""

    @property
    def note(self) -> str:
        """What is searched for and filtered by, in a few words; "" for neither."""
        parts = []
        if self.filtered:
            parts.append(f"{self.filtered}: {len(self._rows)} of {len(self._all)}")
        if self.searched:
            parts.append(f"/{self.searched}: {len(self._matches())}")
        return " · ".join(parts)

    def move_to(self, key: str) -> None:
        """Put the cursor on the row with that key, if it is shown."""
        place = next((place for place, row in enumerate(self._rows) if row.key == key), None)
        if place is not None:
            self._go(place)

    def _sift(self) -> None:
        before, top = self.cursor_key, self.scroll_offset.y
        depth = self._cursor - top
        wanted = self.filtered
        self._rows = [row for row in self._all if self.fits(row, wanted)] if wanted else self._all
        followed = self._cursor == 0
        if not followed:
            last = max(0, len(self._rows) - 1)
            kept = (place for place, row in enumerate(self._rows) if row.key == before)
            self._cursor = next(kept, min(self._cursor, last))
        self._measure()
        if 0 <= depth < self.size.height and self._cursor - depth != top:
            self.scroll_to(y=max(0, self._cursor - depth), animate=False, immediate=True, force=True)
        self.refresh()
        self._say()

    def _measure(self) -> None:
        self.virtual_size = Size(self.size.width, max(1, len(self._rows)))

    def _say(self) -> None:
        if self.cursor_key != self._said:
            self._said = self.cursor_key
            self.post_message(self.Moved(self, self._said))

    # --- Drawing ---------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self._measure()
        self._say()

    def on_resize(self) -> None:
        self._measure()

    def render_line(self, y: int) -> Strip:
        place = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if not self._rows and y == 0:
            sentence = "nothing fits the filter" if self.filtered else self.empty
            return self._strip(line(sentence), "line-list--empty", width)
        if place >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        content = self._marked(self._rows[place].content)
        return self._strip(content, "line-list--cursor" if place == self._cursor else "", width)

    def _strip(self, content: Content, component: str, width: int) -> Strip:
        style = self.get_visual_style(component) if component else self.visual_style
        strips = Visual.to_strips(self, content, width, 1, style, apply_selection=False)
        return (strips[0] if strips else Strip.blank(width)).extend_cell_length(width, style.rich_style)

    def _marked(self, content: Content) -> Content:
        wanted, text = self.searched.casefold(), content.plain.casefold()
        # Where folding changes lengths, places don't agree; then nothing is marked.
        if not wanted or len(text) != len(content.plain):
            return content
        style = self.get_visual_style("line-list--match", partial=True)
        at = text.find(wanted)
        while at >= 0:
            content = content.stylize(style, at, at + len(wanted))
            at = text.find(wanted, at + len(wanted))
        return content

    # --- Keys ------------------------------------------------------------------------------------------

    def _go(self, place: int) -> None:
        self._cursor = max(0, min(len(self._rows) - 1, place))
        self.scroll_to_region(
            Region(0, self._cursor, self.size.width, 1), animate=False, immediate=True, force=True
        )
        self.refresh()
        self._say()

    def action_move(self, step: int) -> None:
        self._go(self._cursor + step)

    def action_page(self, step: int) -> None:
        self._go(self._cursor + step * max(1, self.size.height - 1))

    def action_first(self) -> None:
        self._go(0)

    def action_last(self) -> None:
        self._go(len(self._rows) - 1)

    def action_open(self) -> None:
        if self._rows:
            self.post_message(self.Opened(self, self.cursor_key))

    def search(self, text: str) -> None:
        """Mark `text` wherever it stands and go to the next place from the cursor on."""
        self.searched = text
        if text:
            self._next(0, 1)
        self.refresh()
        self.post_message(self.Sifted())

    def sift(self, text: str) -> None:
        """Show only the rows that fit `text`; all when it is empty."""
        self.filtered = text
        self._sift()
        self.post_message(self.Sifted())

    async def action_search(self) -> None:
        await PromptCard("Search", self.searched, self.search).put_up(self.screen)

    async def action_filter(self) -> None:
        await PromptCard(self.filter_title, self.filtered, self.sift).put_up(self.screen)

    def action_match(self, step: int) -> None:
        if self.searched:
            self._next(step, step)

    def _matches(self) -> list[int]:
        wanted = self.searched.casefold()
        return [place for place, row in enumerate(self._rows) if wanted in row.content.plain.casefold()]

    def _next(self, skip: int, step: int) -> None:
        """To the first match in the direction of `step`, from `skip` rows beyond the cursor on."""
        found = self._matches()
        if not found:
            return
        start = self._cursor + skip
        if step > 0:
            self._go(next((place for place in found if place >= start), found[0]))
        else:
            self._go(next((place for place in reversed(found) if place <= start), found[-1]))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        place = self.scroll_offset.y + offset.y
        if place >= len(self._rows):
            return
        self._go(place)
        if event.chain > 1:
            self.action_open()

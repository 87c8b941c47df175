"""The agents' notes, rendered, at the section that changed last."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from functools import reduce
from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from harness_core.layout import NOTES_NAMES, RunDir
from tui.console import hints, keys
from tui.console.aside import aside
from tui.console.cards.prompt import PromptCard
from tui.console.markdown_lines import KINDS
from tui.console.notes import Mark, Notes, read_notes
from tui.console.panes.pane import Pane
from tui.console.paper import Paper, first_look, newest
from tui.console.sinks import line
from tui.console.spans import marked, wrapped

_KEYS = [key for key in keys.LINES if key.id not in ("open", "filter")]
_EMPTY = "No notes yet. Agents keep theirs in PROGRESS.md, for those who come after them."


class NotesView(ScrollView, can_focus=True):
    """Draws a `Paper`. It follows what changes until the reader scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(_KEYS, keys.PROGRESS)
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"notes--{kind}" for kind in (*KINDS, "found", "empty")}
    DEFAULT_CSS = """
    NotesView {
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .notes--h1 { color: $primary; text-style: bold underline; }
        & > .notes--h2 { color: $primary; text-style: bold; }
        & > .notes--h3 { color: $accent; text-style: bold; }
        & > .notes--strong { text-style: bold; }
        & > .notes--em { text-style: italic; }
        & > .notes--s { text-style: strike; }
        & > .notes--code { color: $success; }
        & > .notes--link { color: $accent; }
        & > .notes--quote { color: $text-muted; }
        & > .notes--mark { color: $primary; }
        & > .notes--rule { color: $foreground 30%; }
        & > .notes--head { text-style: bold; }
        & > .notes--found { background: $warning 40%; text-style: bold; }
        & > .notes--empty { color: $text-muted; }
    }
    """

    class Followed(Message):
        """Whether the view follows has changed, or what it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.paper = Paper((), 1)
        self.following = True
        self.searched = ""
        self.empty = ""
        """The sentence that stands where there are no notes."""
        self._ours = False
        self._styles: dict[str, Style] = {}

    @property
    def room(self) -> tuple[int, int]:
        """Columns and lines to draw in. A column is left for the scroll bar, which comes and goes."""
        return max(1, self.size.width - 1), max(1, self.size.height)

    # --- What is shown -------------------------------------------------------------------------------

    def show(self, paper: Paper, place: int | None) -> None:
        """Show other notes: at block `place` if the view follows, else what was shown, wherever it is now."""
        if paper.width != self.room[0]:
            paper = Paper(paper.blocks, self.room[0], paper)
        before, y = self.paper, self.scroll_offset.y
        rows = self.room[1]
        if self.following and place is not None:
            y = paper.view_of(place, rows)
        elif before.blocks and paper.blocks:
            old, inside = before.at(y)
            y = paper.top(paper.place_of(before.blocks[old], old)) + inside
        self.paper = paper
        self._go(y)

    def _go(self, y: int) -> None:
        """Begin the view at line `y`, with all lines made that it shows."""
        rows = self.room[1]
        y = self.paper.look(max(0, min(y, self.paper.height - 1)), rows)
        self._ours = True
        self.virtual_size = Size(self.room[0], max(1, self.paper.height))
        self.scroll_to(y=y, animate=False, immediate=True, force=True)
        self._ours = False
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if not self._ours and round(old_value) != round(new_value) and self.paper.blocks:
            before = self.paper.height
            self.paper.look(round(new_value), self.room[1])
            if self.paper.height != before:
                self.virtual_size = Size(self.room[0], max(1, self.paper.height))

    def on_resize(self) -> None:
        if self.paper.width != self.room[0]:
            place, _ = self.paper.at(self.scroll_offset.y)
            self.paper = Paper(self.paper.blocks, self.room[0])
            self._go(self.paper.top(place) if self.paper.blocks else 0)
        else:
            self._go(self.scroll_offset.y)

    def _stay(self) -> None:
        """The reader has taken the view."""
        if self.following:
            self.following = False
            self.post_message(self.Followed())

    # --- Drawing -------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if not self.paper.blocks:
            return self._sentence(y, width)
        spans = marked(self.paper.line(self.scroll_offset.y + y), self.searched)
        strip = Strip([Segment(text, self._style(kinds)) for text, kinds in spans])
        return strip.crop(0, width).extend_cell_length(width, self.rich_style).apply_style(self.rich_style)

    def _sentence(self, y: int, width: int) -> Strip:
        lines = list(wrapped([(self.empty, "empty")], max(1, width)))
        spans = lines[y] if y < len(lines) else ()
        strip = Strip([Segment(text, self._style(kinds)) for text, kinds in spans])
        return strip.extend_cell_length(width, self.rich_style).apply_style(self.rich_style)

    def _style(self, kinds: str) -> Style:
        style = self._styles.get(kinds)
        if style is None:
            parts = [self.get_component_rich_style(f"notes--{kind}", partial=True) for kind in kinds.split()]
            style = self._styles[kinds] = reduce(Style.__add__, parts, Style())
        return style

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = {}

    # --- Keys ----------------------------------------------------------------------------------------

    def action_move(self, step: int) -> None:
        self._stay()
        self._go(self.scroll_offset.y + step)

    def action_page(self, step: int) -> None:
        self.action_move(step * max(1, self.room[1] - 1))

    def action_first(self) -> None:
        self.action_move(-self.scroll_offset.y)

    def action_last(self) -> None:
        self.action_move(self.paper.height)

    def action_heading(self, step: int) -> None:
        here = self.scroll_offset.y
        tops = [self.paper.top(place) for place in self.paper.headings()]
        found = [top for top in tops if (top > here if step > 0 else top < here)]
        if found:
            self._stay()
            self._go(found[0] if step > 0 else found[-1])

    def action_follow(self) -> None:
        self.following = not self.following
        self.post_message(self.Followed())

    async def action_search(self) -> None:
        await PromptCard("Search", self.searched, self.search).put_up(self.screen)

    def search(self, text: str) -> None:
        """Mark `text` wherever it stands, and go to the next place."""
        self.searched = text
        if text:
            self._find(self.scroll_offset.y, 1)
        self.refresh()

    def action_match(self, step: int) -> None:
        if self.searched:
            self._find(self.scroll_offset.y + step, step)

    def _find(self, y: int, step: int) -> None:
        found = self.paper.find(self.searched, y, step)
        if found is not None:
            self._stay()
            self._go(found)

    # Only what the reader does comes as these; the view's own ways don't.

    def on_mouse_scroll_up(self) -> None:
        self._stay()

    def on_mouse_scroll_down(self) -> None:
        self._stay()

    def on_scroll_to(self) -> None:
        self._stay()


class ProgressPane(Pane):
    """PROGRESS.md, or what another harness calls it."""

    NAME = "progress"
    TITLE = "Progress"

    class _Read(Message):
        def __init__(self, notes: Notes | None, paper: Paper, place: int | None) -> None:
            super().__init__()
            self.notes = notes
            self.paper = paper
            self.place = place

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self.run_dir = run
        self._view = NotesView()
        self._mark: Mark | None = None
        self._path: Path | None = None
        self._remark = ""
        self._newest: int | None = None
        self._reading = False
        self._again = False

    def compose(self) -> ComposeResult:
        yield self._view

    def files_changed(self, paths: AbstractSet[Path]) -> None:
        if not paths or any(path.name in NOTES_NAMES and path.parent == self.run_dir.root for path in paths):
            self._look_again()

    def _look_again(self) -> None:
        if self._reading:
            self._again = True
            return
        self._reading = True
        self._read(self._view.paper, self._mark, self._view.room)

    def _lost(self, why: str) -> None:
        self._reading = self._again = False
        self._view.empty = why
        self._view.refresh()

    @aside("reading the notes", group="notes", broke=_lost)
    def _read(self, before: Paper, mark: Mark | None, room: tuple[int, int]) -> None:
        paper, place = before, None
        notes = read_notes(self.run_dir, mark)
        if notes is not None:
            paper = Paper(notes.blocks, room[0], before)
            place = newest(before.blocks, paper.blocks) if before.blocks else first_look(paper.blocks)
            if place is not None and paper.blocks:
                paper.view_of(place, room[1])
        self.post_message(self._Read(notes, paper, place))

    def on_progress_pane__read(self, message: _Read) -> None:
        self._reading = False
        notes = message.notes
        if notes is not None and (notes.mark != self._mark or self._path is None):
            self._mark, self._path, self._remark = notes.mark, notes.path, notes.remark
            self._view.empty = notes.remark or _EMPTY
            self._newest = message.place if message.place is not None else self._newest
            self._view.show(message.paper, message.place)
            self.border_title = line(f"{self.TITLE} · {notes.path.name}" if notes.mark else self.TITLE)
            self._say()
        if self._again:
            self._again = False
            self._look_again()

    def on_notes_view_followed(self) -> None:
        if self._view.following and self._newest is not None:
            self._view.show(self._view.paper, min(self._newest, len(self._view.paper.blocks) - 1))
        self._say()

    def _say(self) -> None:
        hint = f"{hints.of(self)['follow']} follows what changes"
        following = "" if self._view.following or not self._view.paper.blocks else hint
        self.border_subtitle = line(" · ".join(part for part in (self._remark, following) if part))

    def subject(self) -> Path | None:
        return self._path if self._mark else None

    def copied(self) -> str:
        paper = self._view.paper
        if not paper.blocks:
            return ""
        place, _ = paper.at(self._view.scroll_offset.y)
        begin = paper.section(place)
        end = next((n for n in range(begin + 1, len(paper.blocks)) if paper.blocks[n].heading), None)
        return "\n".join(block.text for block in paper.blocks[begin:end])

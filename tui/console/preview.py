"""Shows one piece of evidence in the room there is: a picture, a text's end, or why neither."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from rich.cells import chop_cells
from rich.control import Control
from rich.segment import ControlType, Segment
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from harness_core.evidence.files import Kind
from harness_core.layout import RunDir
from harness_core.reading.evidence_content import Unseen, content, text_lines
from harness_core.reading.evidence_list import Item
from harness_core.safe import one_line, safe
from tui.console import pictures
from tui.console.aside import aside
from tui.console.evidence_words import placeholder
from tui.console.pictures import Colour, Drawing, Undrawable, Way

_KEPT = 8
"""Pictures that can come back without being drawn anew."""
_PATIENCE = 0.2
"""Seconds that what was there before stays, until a word says that something is being drawn."""
_AS_IT_IS = ((ControlType.CURSOR_FORWARD, 0),)
"""Marks a segment that takes no room and is written as it is."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be shown, and in how many cells."""

    item: Item
    width: int
    height: int
    background: Colour

    @property
    def sameness(self) -> tuple[object, ...]:
        """Equal for wishes that the same drawing fulfils."""
        file = self.item.file
        return (file, self.item.sha256 if file.commit else "", self.width, self.height, self.background)


@dataclass(frozen=True, slots=True)
class Lines:
    """The end of a text, as wide as there is room."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence in the place of what can't be shown."""

    text: str


Shown: TypeAlias = Drawing | Lines | Note


def fulfil(run: RunDir, wish: Wish) -> Shown:
    """Read and draw. Takes as long as it takes."""
    file = wish.item.file
    try:
        if file.kind is Kind.PICTURE and pictures.way() is Way.OFF:
            return Note(placeholder(file, "pictures are off"))
        data = content(run, wish.item)
        if file.kind is Kind.PICTURE:
            return pictures.draw(data, wish.width, wish.height, wish.background)
        lines = (safe(line).expandtabs(4) for line in text_lines(data))
        return Lines(tuple(part for line in lines for part in chop_cells(line, wish.width) or [""]))
    except (Unseen, Undrawable) as error:
        return Note(placeholder(file, str(error)))


class Preview(ScrollView, can_focus=False):
    """Shows the newest wish; what takes long is done in a thread, one wish at a time."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"preview--note"}
    """
    | Class | Description |
    | :- | :- |
    | `preview--note` | The sentence in the place of what can't be shown. |
    """
    DEFAULT_CSS = """
    Preview {
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .preview--note { color: $text-muted; }
    }
    """

    class Drawn(Message):
        """A wish is fulfilled."""

        def __init__(self, preview: Preview, wish: Wish, shown: Shown) -> None:
            super().__init__()
            self.preview = preview
            self.wish = wish
            self.shown = shown

        @property
        def control(self) -> Preview:
            return self.preview

    def __init__(self, run: RunDir, id: str | None = None) -> None:
        super().__init__(id=id)
        self._run = run
        self._item: Item | None = None
        self._wish: Wish | None = None
        self._drawing: Wish | None = None
        """The wish that a thread is at work on."""
        self._shown: Shown | None = None
        self._kept: OrderedDict[tuple[object, ...], Shown] = OrderedDict()

    # --- What is wished ----------------------------------------------------------------------------------

    def show(self, item: Item | None) -> None:
        """Show this piece, or nothing."""
        self._item = item
        self._look()

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Width and height of the picture itself, None while none is shown."""
        return self._shown.pixels if isinstance(self._shown, Drawing) else None

    @property
    def shown(self) -> Shown | None:
        """What can be seen now."""
        return self._shown

    def on_resize(self) -> None:
        self._look()

    def on_show(self) -> None:
        self._look()

    def _look(self) -> None:
        width, height = self.size
        if self._item is None:
            self._wish = None
            self._put(None)
            return
        if width < 2 or height < 1:
            return
        if self._item.file.kind is Kind.TEXT:
            # One column stays free for the scroll bar, so that its coming doesn't wrap lines anew.
            width, height = self.container_size.width - 1, 0
        elif pictures.way() is Way.SIXEL:
            # See `render_lines`.
            width -= 1
        _, colour = self.background_colors
        wish = Wish(self._item, max(2, width), height, (colour.r, colour.g, colour.b))
        if self._wish is not None and wish.sameness == self._wish.sameness:
            return
        self._wish = wish
        kept = self._kept.get(wish.sameness)
        if kept is not None:
            self._put(kept)
            return
        self.set_timer(_PATIENCE, self._excuse)
        self._begin()

    def _begin(self) -> None:
        if self._drawing is None and self._wish is not None:
            self._drawing = self._wish
            self._fulfil(self._wish)

    def _lost(self, why: str) -> None:
        if self._drawing is not None:
            self.post_message(self.Drawn(self, self._drawing, Note(why)))

    @aside("drawing the evidence", group="preview", broke=_lost)
    def _fulfil(self, wish: Wish) -> None:
        self.post_message(self.Drawn(self, wish, fulfil(self._run, wish)))

    def on_preview_drawn(self, drawn: Drawn) -> None:
        self._drawing = None
        if self._wish is not None and drawn.wish.sameness == self._wish.sameness:
            self._keep(drawn.wish, drawn.shown)
            self._put(drawn.shown)
        else:
            self._begin()

    def _keep(self, wish: Wish, shown: Shown) -> None:
        self._kept[wish.sameness] = shown
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def _excuse(self) -> None:
        if self._drawing is not None and self._wish is not None:
            self._put(Note(f"▨ {one_line(self._wish.item.file.name)} …"))

    def _put(self, shown: Shown | None) -> None:
        if shown is self._shown:
            return
        self._shown = shown
        lines = len(shown.lines) if isinstance(shown, Lines) else 0
        self.virtual_size = Size(self.size.width if lines else 0, lines)
        if lines:
            self.scroll_end(animate=False, immediate=True, force=True)
        self.refresh()

    # --- Drawing -----------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width, style = self.size.width, self.rich_style
        shown = self._shown
        if isinstance(shown, Drawing):
            place = y - self._room(shown).y
            if 0 <= place < len(shown.strips):
                left = self._room(shown).x
                before = Strip([Segment(" " * left, style)], left)
                return Strip.join([before, shown.strips[place]]).adjust_cell_length(width, style)
        elif isinstance(shown, Lines):
            place = self.scroll_offset.y + y
            if place < len(shown.lines):
                return Strip([Segment(safe(shown.lines[place]), style)]).adjust_cell_length(width, style)
        elif isinstance(shown, Note) and y == self.size.height // 2:
            return self._note(shown.text)
        return Strip.blank(width, style)

    def _note(self, text: str) -> Strip:
        width = self.size.width
        strip = Strip([Segment(one_line(text), self.get_component_rich_style("preview--note"))])
        left = max(0, (width - strip.cell_length) // 2)
        before = Strip([Segment(" " * left, self.rich_style)], left)
        return Strip.join([before, strip]).adjust_cell_length(width, self.rich_style)

    def _room(self, drawing: Drawing) -> Region:
        """Where in the widget the picture stands: in the middle."""
        width, height = drawing.width, len(drawing.strips)
        left, top = (self.size.width - width) // 2, (self.size.height - height) // 2
        return Region(max(0, left), max(0, top), width, height)

    def _has_room(self, drawing: Drawing) -> bool:
        """Whether a picture of the terminal's own covers nothing else: one drawn for an earlier size might,
        and one below another screen would."""
        room = self._room(drawing)
        return room.right < self.size.width and room.bottom <= self.size.height and self.screen.is_active

    def render_lines(self, crop: Region) -> list[Strip]:
        strips = super().render_lines(crop)
        shown = self._shown
        if isinstance(shown, Drawing) and shown.sixels and strips and self._has_room(shown):
            # Over the blank cells, and where no filter of text comes any more. The last cell goes after it:
            # what follows all cells of a line is lost where another widget shares the line.
            *_, last = strips
            corner = self.region.offset + Offset(crop.x + last.cell_length - 1, crop.bottom - 1)
            place = self.content_region.offset + self._room(shown).offset
            over = (_move(place), Segment(shown.sixels, None, _AS_IT_IS), _move(corner))
            before, end = last.crop(0, last.cell_length - 1), last.crop(last.cell_length - 1)
            strips[-1] = Strip([*before, *over, *end], last.cell_length)
        return strips


def _move(place: Offset) -> Segment:
    return Segment(Control.move_to(place.x, place.y).segment.text, None, _AS_IT_IS)

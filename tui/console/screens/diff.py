"""A change to read: its files, what came and what went."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from rich.cells import chop_cells
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from tui.console import keys
from tui.console.aside import aside
from tui.console.line_list import LineList, Row
from tui.console.patch import Kind, PatchLine
from tui.console.sinks import line

STYLES = {
    Kind.TITLE: "bold",
    Kind.WORDS: "",
    Kind.COUNT: "$foreground 70%",
    Kind.FILE: "bold $primary",
    Kind.HUNK: "$accent",
    Kind.ADDED: "$success",
    Kind.REMOVED: "$error",
    Kind.SAME: "",
    Kind.REMARK: "$foreground 60%",
}
SIGNS = {Kind.ADDED: "+ ", Kind.REMOVED: "- ", Kind.SAME: "  "}
_GUTTER = 6
"""Cells for a line number and a space."""


class DiffScreen(Screen[None]):
    """Shows what `load` returns; that is called in a thread. Goes with escape or q."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.DIFF)
    DEFAULT_CSS = """
    DiffScreen { background: $background; }
    DiffScreen > #title { dock: top; height: 1; padding: 0 1; background: $panel; }
    DiffScreen > LineList { padding: 0 1; }
    """

    class _Loaded(Message):
        def __init__(self, lines: Sequence[PatchLine]) -> None:
            super().__init__()
            self.lines = lines

    class _Laid(Message):
        def __init__(self, rows: Sequence[Row], width: int) -> None:
            super().__init__()
            self.rows = rows
            self.width = width

    def __init__(self, title: str, load: Callable[[], Sequence[PatchLine]]) -> None:
        super().__init__()
        self._heading = line(title, "bold")
        self._load = load
        self._lines: Sequence[PatchLine] | None = None
        self._list = LineList(empty="reading the changes …")

    def compose(self) -> ComposeResult:
        yield Static(self._heading, id="title")
        yield self._list
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._list.focus()
        self._read()

    def _lost(self, why: str) -> None:
        self._list.empty = why
        self._list.show([])

    @aside("reading the changes", group="diff", broke=_lost)
    def _read(self) -> None:
        self.post_message(self._Loaded(self._load()))

    def on_diff_screen__loaded(self, message: _Loaded) -> None:
        self._lines = message.lines
        self._lay()

    def on_resize(self) -> None:
        self._lay()

    def _lay(self) -> None:
        if self._lines is not None:
            self._make_rows(self._lines, max(20, self.app.size.width - 3))

    @aside("laying out the changes", exclusive=True, group="rows", broke=_lost)
    def _make_rows(self, lines: Sequence[PatchLine], width: int) -> None:
        rows = [row for place, found in enumerate(lines) for row in _rows(place, found, width)]
        self.post_message(self._Laid(rows, width))

    def on_diff_screen__laid(self, message: _Laid) -> None:
        if message.width == max(20, self.app.size.width - 3):
            self._list.show(message.rows)

    # --- Keys ----------------------------------------------------------------------------------------

    @property
    def _place(self) -> int:
        """The line of the change that the cursor stands on."""
        return int(self._list.cursor_key.partition(".")[0] or 0)

    def action_file(self, step: int) -> None:
        files = [place for place, found in enumerate(self._lines or ()) if found.kind is Kind.FILE]
        found = [place for place in files if (place > self._place if step > 0 else place < self._place)]
        if found:
            # By the end first: so the heading comes to stand at the top, with its lines below it.
            self._list.action_last()
            self._list.move_to(f"{found[0] if step > 0 else found[-1]}.0")

    def action_copy(self) -> None:
        if self._lines:
            self.app.copy_to_clipboard(self._lines[self._place].text)
            self.notify("copied", markup=False)


def _rows(place: int, found: PatchLine, width: int) -> Iterator[Row]:
    """The rows of one line of a change: a long one goes on below, so that nothing is out of sight."""
    style = STYLES[found.kind]
    sign = SIGNS.get(found.kind)
    if sign is None:
        lead = Content("▌ ").stylize("$primary") if found.kind is Kind.FILE else Content("")
        for turn, part in enumerate(chop_cells(found.text, width - lead.cell_length) or [""]):
            yield Row(f"{place}.{turn}", Content.assemble(lead, line_as_is(part, style)))
        return
    number = f"{found.number or '':>{_GUTTER - 1}} "
    for turn, part in enumerate(chop_cells(found.text, width - _GUTTER - len(sign)) or [""]):
        gutter = (number, "$foreground 40%") if turn == 0 else " " * _GUTTER
        yield Row(f"{place}.{turn}", Content.assemble(gutter, line_as_is(sign + part, style)))


def line_as_is(text: str, style: str) -> Content:
    """Text whose spaces count."""
    return Content.styled(text, style) if style else Content(text)

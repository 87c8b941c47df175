"""The iterations of a design, of which one is to stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from harness_core.steps.iterations import Iteration, best
from tui.console import keys
from tui.console.line_list import LineList, Row
from tui.console.sinks import MUTED, line

_BAR = 10
"""Cells of a bar for 10 of 10."""
_MOST = 8
"""Lines at once."""


class Iterations(LineList, inherit_bindings=False):
    """A line an iteration. The cursor stands on the one that would be kept, at first the best one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *keys.bindings([key for key in keys.LIST if key.id != "filter"]),
        Binding("escape", "screen.pane_again", "back"),
    ]

    def __init__(self, iterations: Sequence[Iteration]) -> None:
        super().__init__(list(_rows(iterations)))
        # From the first moment on: an early key mustn't choose another.
        self._cursor = list(iterations).index(best(iterations))

    def on_mount(self) -> None:
        self.styles.height = min(_MOST, len(self.rows))
        self.call_after_refresh(self.move_to, self.cursor_key)


def _rows(iterations: Sequence[Iteration]) -> Iterator[Row]:
    top, before = best(iterations), 0.0
    for one in iterations:
        yield Row(str(one.number), _row(one, before, is_best=one is top))
        before = one.total


def _row(one: Iteration, before: float, *, is_best: bool) -> Content:
    filled = max(0, min(_BAR, round(one.total)))
    change = one.total - before
    trend = f"{'↑' if change > 0 else '↓'} {abs(change):.1f}" if one.number > 1 and change else "="
    passed = ("✓ passes", "$success") if one.passed else ("✗ fails ", "$warning")
    return Content.assemble(
        (f"{one.number:>3}  ", "bold"),
        ("━" * filled, "$success" if one.passed else "$warning"),
        ("━" * (_BAR - filled), "$foreground 20%"),
        f" {one.total:>4.1f}  ",
        (f"{trend:<5}" if one.number > 1 else " " * 5, MUTED),
        "  ",
        passed,
        ("  best" if is_best else "      ", "bold $accent"),
        "  ",
        line((one.commit or "")[:10], MUTED),
    )

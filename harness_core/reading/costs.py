"""What a run costs, by phase: as figures, and as the table that goes into a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness_core.reading.burnup import clock
from harness_core.record.state import PhaseCost, RunState
from harness_core.record.status import Report
from harness_core.safe import one_line

HEADS = ("phase", "role", "round", "time", "turns", "tokens", "cost", "share")
LEFT = 2
"""Columns that stand at the left; all others are figures."""


class Table(NamedTuple):
    """Cells as text: one row a phase, and the sum."""

    rows: list[tuple[str, ...]]
    total: tuple[str, ...]

    @property
    def widths(self) -> list[int]:
        return [
            max(len(row[column]) for row in (HEADS, *self.rows, self.total)) for column in range(len(HEADS))
        ]


def table(state: RunState) -> Table:
    """The costs so far, of every phase in the order in which they began."""
    whole = sum(phase.usd for phase in state.phases)
    sums = PhaseCost(
        "total",
        0,
        ms=sum(phase.ms for phase in state.phases),
        turns=sum(phase.turns for phase in state.phases),
        tokens=sum(phase.tokens for phase in state.phases),
        usd=whole,
    )
    return Table([_cells(phase, whole) for phase in state.phases], _cells(sums, whole))


def _cells(phase: PhaseCost, whole: float) -> tuple[str, ...]:
    share = f"{phase.usd / whole:.0%}" if whole else ""
    return (
        one_line(phase.name, 24),
        one_line(phase.role, 24),
        str(phase.round or ""),
        clock(phase.ms / 1000),
        f"{phase.turns:,}",
        f"{phase.tokens:,}",
        f"${phase.usd:,.2f}",
        share,
    )


def aligned(cells: Sequence[str], widths: Sequence[int], gap: str = "  ") -> str:
    """A row in columns: words at the left of theirs, figures at the right."""
    padded = (
        cell.ljust(width) if column < LEFT else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return gap.join(padded)


def below(report: Report) -> list[str]:
    """What a reader of the table asks next."""
    passing, total = report.features["passing"], report.features["total"]
    sessions = f"{clock(report.elapsed_s)} of work, {report.sessions} session{'s' * (report.sessions != 1)}"
    lines = [f"{sessions}, {passing} of {total} features pass" if total else sessions]
    if passing and report.cost_usd > 0:
        lines.append(f"${report.cost_usd / passing:,.2f} for each feature that passes")
    cap = report.limits.get("max_usd")
    if cap:
        lines.append(f"{report.cost_usd / cap:.0%} of the budget of ${cap:,.2f}")
    return lines


def markdown(state: RunState, report: Report) -> str:
    """The table for a report."""
    costs = table(state)
    bold = tuple(f"**{cell}**" if cell else "" for cell in costs.total)
    rows = [HEADS, *costs.rows, bold]
    widths = [max(4, *(len(row[column]) for row in rows)) for column in range(len(HEADS))]
    rule = ["-" * width if column < LEFT else f"{'-' * (width - 1)}:" for column, width in enumerate(widths)]
    lines = [f"| {aligned(row, widths, ' | ')} |" for row in (HEADS, rule, *costs.rows, bold)]
    return "\n".join([*lines, "", *(f"- {item}" for item in below(report)), ""])

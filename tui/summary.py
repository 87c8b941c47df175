"""A run's status as a few lines of plain text."""

from __future__ import annotations

from harness_core.status import Report
from tui.safe import one_line


def summary(report: Report) -> str:
    """What `longwatch status` prints."""
    features = report.features
    spread = ", ".join(f"{count} {name}" for name, count in features.items() if count and name not in _SUMS)
    lines = [
        f"{report.lifecycle}{f' · {one_line(report.reason)}' if report.reason else ''}",
        f"features   {features['passing']}/{features['total']} pass{f' ({spread})' if spread else ''}",
        f"session    {report.session}{f' · {report.role}' if report.role else ''}"
        f"{f' · {report.phase}' if report.phase else ''}",
        f"cost       ${report.cost_usd:.2f}{_cap(report)} · {report.tokens:,} tokens · {report.turns} turns",
        f"time       {_span(report.elapsed_s)}",
        f"stop       requested: {report.stop.requested or 'no'} · confirmed: {report.stop.confirmed or 'no'}",
        f"steering   {report.steering.queued} queued · {report.steering.delivered} delivered · "
        f"{report.steering.acknowledged} acknowledged",
    ]
    if report.checkpoint:
        asked = report.checkpoint
        lines.append(f"waiting    checkpoint {asked.id} ({asked.kind}): {one_line(asked.summary)}")
    if report.tampered or report.denials or report.errors:
        lines.append(
            f"trouble    {report.tampered} tamperings · {report.denials} denials · {report.errors} errors"
        )
    engine = f"pid {report.engine.pid}" if report.engine.alive else "none"
    return "\n".join([*lines, f"engine     {engine}"])


_SUMS = frozenset({"total", "passing"})


def _cap(report: Report) -> str:
    cap = report.limits.get("max_usd")
    return f" of ${cap:g}" if cap else ""


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"

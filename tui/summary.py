"""A run's status and set-up as a few lines of plain text."""

from __future__ import annotations

from harness_core.config import RunConfig
from harness_core.operator.bounds import named, parted
from harness_core.reading.burnup import clock, countdown
from harness_core.record.status import Report
from harness_core.safe import one_line


def summary(report: Report) -> str:
    """What `longwatch status` prints."""
    lines = [
        f"{report.lifecycle}{f' · {one_line(report.reason)}' if report.reason else ''}",
        f"features   {_features(report)}",
        f"session    {report.session}{f' · {report.role}' if report.role else ''}"
        f"{f' · {report.phase}' if report.phase else ''}",
        f"cost       ${report.cost_usd:.2f}{_cap(report)} · {report.tokens:,} tokens · {report.turns} turns",
        f"time       {clock(report.elapsed_s)}",
        f"stop       requested: {report.stop.requested or 'no'} · confirmed: {report.stop.confirmed or 'no'}",
        f"steering   {report.steering.queued} queued · {report.steering.delivered} delivered · "
        f"{report.steering.acknowledged} acknowledged",
    ]
    if report.iterations:
        scores = " · ".join(f"{one.number}: {one.total:.1f}" for one in report.iterations)
        lines.append(f"iterations {scores}{f' · {report.chosen} stands' if report.chosen else ''}")
    if report.checkpoint:
        asked = report.checkpoint
        lines.append(f"waiting    checkpoint {asked.id} ({asked.kind}): {one_line(asked.summary)}")
    if report.waiting_until:
        left = countdown(report.waiting_until)
        lines.append(
            f"waiting    limit resets {f'in {left}, ' if left else ''}at {one_line(report.waiting_until)}"
        )
    if report.tampered or report.denials or report.errors:
        lines.append(
            f"trouble    {report.tampered} tamperings · {report.denials} denials · {report.errors} errors"
        )
    engine = f"pid {report.engine.pid}" if report.engine.alive else "none"
    if report.hooked_ago_s is not None:
        engine = f"none: {hooked(report.hooked_ago_s)}"
    return "\n".join([*lines, f"engine     {engine}"])


def hooked(ago_s: float) -> str:
    """What works on a directory where hooks do without an engine."""
    return f"the hooks of plain Claude Code work here, last called {clock(ago_s)} ago"


def setup(config: RunConfig) -> list[str]:
    """What is set for a run, said as it starts: preset, models, limits, timeouts."""
    others = ", ".join(f"{role}: {name}" for role, name in config.models.items() if name != config.model)
    limits = ", ".join(f"{named(*parted(key))} {value:,.15g}" for key, value in config.limits.given().items())
    times = config.timeouts
    shell = config.guards.shell
    changes = (("also", shell.allow), ("not", shell.deny))
    extra = [f"{word} {', '.join(names)}" for word, names in changes if names]
    bounds = {"session": times.session, "silence": times.stall, "tool call": times.tool}
    return [
        f"preset     {config.preset}",
        f"model      {one_line(config.model)}{f' ({one_line(others)})' if others else ''}",
        f"limits     {limits or 'no limit is set: the run may cost what it takes'}",
        f"timeouts   {', '.join(f'{name} {minutes:g} min' for name, minutes in bounds.items())}",
        f"shell      profile {'; '.join([shell.profile, *map(one_line, extra)])}",
    ]


_SUMS = frozenset({"total", "passing"})


def _features(report: Report) -> str:
    if report.contract_error:
        return f"unknown: {one_line(report.contract_error)}"
    if report.writing:
        return f"{report.writing.written} of {report.writing.of} written"
    features = report.features
    if not features["total"]:
        return "no contract yet"
    spread = ", ".join(f"{count} {name}" for name, count in features.items() if count and name not in _SUMS)
    return f"{features['passing']}/{features['total']} pass{f' ({spread})' if spread else ''}"


def _cap(report: Report) -> str:
    cap = report.limits.get("max_usd")
    return f" of ${cap:g}" if cap else ""

"""The head of the console: in one glance what is happening, what is true, what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content
from textual.widget import Widget

from harness_core.layout import FINISH_NAME, STOP_NAME
from harness_core.reading.burnup import clock, countdown
from harness_core.record import events as ev
from harness_core.record.state import Lifecycle
from harness_core.record.status import Report
from harness_core.safe import one_line
from tui.console import hints
from tui.console.facts import Facts, Past
from tui.console.hints import Hints
from tui.console.operator import READ_BY_OTHERS, READ_LATER
from tui.console.sinks import MUTED
from tui.console.weather import window_of


class Pill(NamedTuple):
    """A lifecycle's looks: the glyph says it without colour."""

    glyph: str
    words: str
    style: str


PILLS = {
    Lifecycle.STARTING: Pill("◌", "starting", "$primary"),
    Lifecycle.RUNNING: Pill("●", "running", "$success"),
    Lifecycle.WAITING_APPROVAL: Pill("?", "waiting for you", "$warning"),
    Lifecycle.WAITING_LIMIT: Pill("◷", "waiting for a limit", "$warning"),
    Lifecycle.STOPPING: Pill("◐", "stopping", "$warning"),
    Lifecycle.STOPPED: Pill("■", "stopped", "$warning"),
    Lifecycle.COMPLETE: Pill("✓", "complete", "$success"),
    Lifecycle.FAILED: Pill("✗", "failed", "$error"),
    Lifecycle.IDLE: Pill("○", "idle", MUTED),
    Lifecycle.LOST: Pill("†", "engine lost", "$error"),
}

Part = tuple[str, str]
"""Text and its style."""


class Head(Widget):
    """Two lines. What has no room is left out, the least needed first."""

    DEFAULT_CSS = """
    Head {
        dock: top;
        height: 2;
        padding: 0 1;
        background: $panel;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: tuple[list[Part], list[Part]] = ([("reading the run …", "")], [])

    def look(self, facts: Facts) -> None:
        """Take in what is known now; drawn anew only where that looks different."""
        lines = (first_line(facts), second_line(facts, hints.of(self)))
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        return Content("\n").join([fitted(parts, width) for parts in self._lines])


def first_line(facts: Facts) -> list[Part]:
    """What is happening, the most needed first."""
    report = facts.report
    pill = PILLS[Lifecycle(report.lifecycle)]
    parts = [(f" {pill.glyph} {pill.words} ", f"bold reverse {pill.style}"), _passing(report)]
    if facts.past is not None:
        parts.insert(0, replayed(facts.past))
    if report.contract_error:
        parts.append((f"✗ {one_line(report.contract_error, 60)}", "bold $error"))
    if report.tampered:
        parts.append((f"⚠ tampered {report.tampered}×, restored", "bold $error"))
    if report.role and facts.state.open_session is not None:
        parts.append((f"{report.role} · session {report.session}", "bold"))
    elif report.session:
        parts.append((f"after session {report.session}", MUTED))
    feature = _at_work(facts)
    if feature:
        parts.append((feature, "$text"))
    if report.phase:
        parts.append((report.phase, MUTED))
    if facts.reading:
        parts.append(("reading the journal …", f"italic {MUTED}"))
    return parts


def no_engine(shown: Hints) -> str:
    """That nobody works on the run, and how to change that."""
    return f"no engine: {shown['pause']} starts one"


def second_line(facts: Facts, shown: Hints) -> list[Part]:
    """What it takes, and how far the operator's words have come."""
    report = facts.report
    parts = [*(_whereabouts(facts.past) if facts.past else ())]
    parts += [_stop(report), _unread(facts), _steering(report), (clock(report.elapsed_s), "$text")]
    parts.append(_cost(report))
    parts.append((f"{amount(report.tokens)} tokens", MUTED))
    if facts.retry is not None and facts.at_work:
        parts.append((f"↻ retry {facts.retry.attempt}/{facts.retry.max}", "$warning"))
    if facts.limit is not None:
        parts.append(_used(facts.limit))
    if report.context:
        parts.append((_context(facts), MUTED))
    if facts.rests:
        parts.insert(0, (no_engine(shown), "bold $warning"))
    if report.waiting_until:
        left = countdown(report.waiting_until) or "unknown"
        parts.insert(0, (f"◷ limit resets in {left}", "bold $warning"))
    if report.denials:
        parts.append((f"{report.denials} denied", MUTED))
    if report.errors:
        parts.append((f"{report.errors} error{'s' if report.errors > 1 else ''}", "$error"))
    if report.damaged:
        parts.append((f"{report.damaged} damaged line{'s' if report.damaged > 1 else ''}", "$error"))
    return [part for part in parts if part[0]]


def replayed(past: Past) -> Part:
    """That this is long ago, and how fast it goes by."""
    how = "end" if past.ended else f"{past.speed:g}×" if past.playing else "paused"
    return f" {'▶' if past.playing and not past.ended else '‖'} replay {how} ", "bold reverse $accent"


def _whereabouts(past: Past) -> list[Part]:
    """The time then, and how far through it is."""
    event = f"event {past.seq:,} of {past.last:,}" if past.last else f"event {past.seq:,}"
    parts = [(past.clock, "bold $accent"), (f"{int(past.share * 100)}% · {event}", "$text")]
    return [*([(one_line(past.note), "bold $warning")] if past.note else []), *parts]


def fitted(parts: Sequence[Part], width: int) -> Content:
    """As many parts as have room, from the first on."""
    shown: list[Content] = []
    room = width
    for text, style in parts:
        piece = Content.styled(text, style) if style else Content(text)
        need = piece.cell_length + (2 if shown else 0)
        if need > room:
            continue
        shown.append(piece)
        room -= need
    return Content("  ").join(shown)


def _passing(report: Report) -> Part:
    if report.writing:
        return f"{report.writing.written} of {report.writing.of} written", "$primary"
    total = report.features["total"]
    if not total:
        return "no contract yet", MUTED
    passing = report.features["passing"]
    return f"{passing}/{total}", "bold $success" if passing == total else "bold"


def _at_work(facts: Facts) -> str:
    session = facts.state.open_session
    if session is None or not session.feature:
        return ""
    names = list(facts.state.features)
    place = f" ({names.index(session.feature) + 1}/{len(names)})" if session.feature in names else ""
    return f"{one_line(session.feature, 24)}{place}"


def _stop(report: Report) -> Part:
    """Asked and done are never the same picture."""
    stop = report.stop
    if stop.confirmed:
        left = f", {len(stop.survivors)} processes left" if stop.survivors else ""
        return f"■ stop ({stop.confirmed}) confirmed{left}", "bold $warning"
    if stop.requested and report.engine.alive:
        return f"□ stop ({stop.requested}) requested …", "$warning"
    if stop.requested:
        return f"□ {FINISH_NAME if stop.requested == 'finish' else STOP_NAME} is there", "$warning"
    return "", ""


def _used(limit: ev.RateLimited) -> Part:
    share = limit.utilization or 0.0
    window = f" of {one_line(limit.window, 16)}" if limit.window else ""
    return f"◷ {share:.0%}{window}", "$warning" if share >= 0.8 else MUTED


def _context(facts: Facts) -> str:
    session, tokens = facts.state.open_session, facts.report.context
    window = window_of(session.model) if session is not None else 0
    return f"context {amount(tokens)}{f' ({tokens / window:.0%})' if 0 < tokens <= window else ''}"


def _unread(facts: Facts) -> Part:
    """What the operator has written and nobody is there to read."""
    if not facts.unread or facts.at_work or facts.past is not None:
        return "", ""
    return f"□ {facts.unread} written, {READ_LATER if facts.ours else READ_BY_OTHERS}", "$warning"


def _steering(report: Report) -> Part:
    queued = report.steering.queued - report.steering.delivered
    delivered = report.steering.delivered - report.steering.acknowledged
    words = []
    if queued > 0:
        words.append(f"{queued} queued")
    if delivered > 0:
        words.append(f"{delivered} delivered, not yet acknowledged")
    if words:
        return f"✎ {', '.join(words)}", "$warning"
    count = report.steering.acknowledged
    return (f"✎ {count} acknowledged", MUTED) if count else ("", "")


def _cost(report: Report) -> Part:
    cap = report.limits.get("max_usd")
    if not cap:
        return f"${report.cost_usd:.2f}", "$text"
    share = report.cost_usd / cap
    style = "bold $error" if share >= 1 else "$warning" if share >= 0.8 else "$text"
    return f"${report.cost_usd:.2f} of ${cap:g}", style


def amount(number: int) -> str:
    """A count in a few characters: 950, 12.3k, 4.1M."""
    if number < 1000:
        return str(number)
    if number < 1_000_000:
        return f"{number / 1000:.1f}k"
    return f"{number / 1_000_000:.1f}M"

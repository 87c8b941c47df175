"""How each event of a run looks in words: the same for the console and for the plain stream.

Nothing here knows of a terminal. A line is a look, which whoever draws it turns into a colour, and its text,
which is safe to draw.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from harness_core.operator.bounds import named
from harness_core.reading.burnup import clock, countdown
from harness_core.record import events as ev
from harness_core.safe import one_line, safe


class Look(StrEnum):
    """What a piece of text is. A drawer has one style for each."""

    PLAIN = "plain"
    DIM = "dim"
    THOUGHT = "thought"
    STRONG = "strong"
    SESSION = "session"
    SESSION_END = "session-end"
    GOOD = "good"
    GOOD_HEAD = "good-head"
    WARN = "warn"
    WARN_HEAD = "warn-head"
    ERROR = "error"
    ERROR_HEAD = "error-head"
    RECEIPT = "receipt"
    CHECKPOINT = "checkpoint"
    COMMIT = "commit"


Line = tuple[Look, str]


def tool_name(tool: str) -> str:
    """A tool's name without its server's."""
    return one_line(tool.rpartition("__")[2])


def short_input(values: Mapping[str, Any], root: str = "") -> str:
    """What a call is about, on one line; files below `root` are named from there."""
    for key in ("command", "file_path", "pattern", "feature", "action", "verdict", "description"):
        if key in values:
            text = str(values[key])
            break
    else:
        text = json.dumps(values, ensure_ascii=False, default=str) if values else ""
    if root:
        text = text.replace(f"{root}/", "").replace(root, ".")
    return one_line(text[:2000])


def took(ms: int) -> str:
    """A duration as a call shows it."""
    if ms < 10_000:
        return f"{ms} ms"
    if ms < 120_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes} min {seconds:02d} s"


def in_words(changed: Mapping[str, float | None]) -> str:
    """Changed limits, each with what it is now."""
    return ", ".join(
        f"{name} {'none' if value is None else format(value, ',.15g')}" for name, value in changed.items()
    )


def _agreed_by(by: str) -> str:
    return "by generator and evaluator" if by == "both" else f"as the {one_line(by)} put it"


def decided(decision: str) -> str:
    """An operator's answer, as something that was done."""
    return _DECIDED.get(decision) or one_line(decision)


def lines(event: ev.Event, width: int = 0) -> list[Line]:
    """An event's lines, tool calls aside; long ones are cut to `width` characters where one is given.

    Empty for what isn't told in a stream, such as costs.
    """
    show = _SHOWN.get(type(event))
    return show(event, width) if show else []


def is_told(event: ev.Event) -> bool:
    """Whether a stream has a line for such an event, of its own or on the line of its call."""
    return type(event) in _TOLD


# --- One form each -----------------------------------------------------------------------------

_Form = Callable[[Any, int], list[Line]]


def _started(event: ev.RunStarted, _: int) -> list[Line]:
    return [(Look.STRONG, f"● run {one_line(event.run_id)} · {one_line(event.preset)}")]


def _resumed(event: ev.RunResumed, _: int) -> list[Line]:
    ended = [(Look.WARN, f"  ended what was left alive: {one_line(item)}") for item in event.ended]
    return [(Look.STRONG, "● the run goes on"), *ended]


def _ended(event: ev.RunEnded, _: int) -> list[Line]:
    return [(Look.PLAIN, ""), (Look.STRONG, f"● ended: {one_line(event.reason)} (exit {event.exit})")]


def _session_started(event: ev.SessionStarted, _: int) -> list[Line]:
    about = [event.feature] if event.feature else event.features
    feature = f" · {one_line(', '.join(about), _FEATURES)}" if about else ""
    again = " · resumed" if event.resumed else ""
    who = f"{one_line(event.role or 'agent')}{feature} · {one_line(event.model)}{again}"
    return [(Look.PLAIN, ""), (Look.SESSION, f"━━ session {event.session} · {who}")]


def _session_ended(event: ev.SessionEnded, _: int) -> list[Line]:
    spent = f"{event.ms / 1000:.1f} s · {event.turns} turns · ${event.usd:.4f}"
    features = f" · {event.passing}/{event.total} pass" if event.total else ""
    return [(Look.SESSION_END, f"━━ {one_line(event.reason)} · {spent}{features}")]


def _phase_started(event: ev.PhaseStarted, _: int) -> list[Line]:
    again = f" · round {event.round}" if event.round > 1 else ""
    return [(Look.DIM, f"▸ {one_line(event.phase)}{again}")]


def _said(event: ev.Text, _: int) -> list[Line]:
    look, lead = (Look.PLAIN, "  ") if event.agent is None else (Look.DIM, "    ")
    return [(look, f"{lead}{line}") for line in safe(event.text).splitlines() if line.strip()]


def _thought(event: ev.Thinking, _: int) -> list[Line]:
    lead = "  " if event.agent is None else "    "
    return [(Look.THOUGHT, f"{lead}{line}") for line in safe(event.text).splitlines() if line.strip()]


def _feature(event: ev.FeatureChanged, width: int) -> list[Line]:
    look = Look.GOOD if event.to in ("claimed", "verified", "approved") else Look.WARN
    note = f" · {one_line(event.note, width)}" if event.note else ""
    return [
        (look, f"  ◆ {one_line(event.feature)}: {event.from_} → {event.to} (by {one_line(event.by)}){note}")
    ]


def _contract_changed(event: ev.ContractChanged, width: int) -> list[Line]:
    what = f": {one_line(event.what, width)}" if event.what else ""
    return [(Look.WARN, f"  ◆ {one_line(event.feature)} changed by {one_line(event.by)}{what}")]


def _verdict(event: ev.Verdict, width: int) -> list[Line]:
    passed = event.verdict == "PASS"
    look, head = (Look.GOOD, Look.GOOD_HEAD) if passed else (Look.WARN, Look.WARN_HEAD)
    found = [(look, f"    {one_line(item.where, width)}") for item in event.findings]
    scope = one_line(", ".join(event.scope)) or "the whole"
    iteration = f" · iteration {event.iteration}" if event.iteration else ""
    total = f" · {event.total:.3g} of 10" if event.total is not None else ""
    return [(head, f"  ⚖ {one_line(event.verdict)} on {scope}{iteration}{total}"), *found]


def _reviewed(event: ev.ContractReviewed, width: int) -> list[Line]:
    look = Look.GOOD if event.verdict == "PASS" else Look.WARN
    found = [(look, f"    {one_line(item.where, width)}") for item in event.findings]
    what = "agrees to" if event.verdict == "PASS" else "wants changes in"
    proposal = f"proposal {event.round} of sprint {event.sprint}"
    return [(look, f"  ⚖ the evaluator {what} {proposal}: {_count(event.criteria, 'criterion')}"), *found]


def _count(items: Sequence[object], name: str) -> str:
    """`1 feature`, `2 features`."""
    more = {"criterion": "criteria"}.get(name, f"{name}s")
    return f"{len(items)} {name if len(items) == 1 else more}"


def _opened(event: ev.CheckpointOpened) -> str:
    about = one_line(event.summary) or one_line(", ".join(event.features), _FEATURES) or "the whole"
    return f"? checkpoint {one_line(event.id)} ({one_line(event.kind)}): {about}"


def _stopped(event: ev.StopConfirmed, _: int) -> list[Line]:
    left = [(Look.ERROR, f"    still alive: {one_line(item)}") for item in event.survivors]
    return [(Look.WARN_HEAD, f"  ■ stopped ({one_line(event.mode)}), confirmed"), *left]


def _rate_limited(event: ev.RateLimited, width: int) -> list[Line]:
    """Only a limit that holds something up, or soon will, is worth a line."""
    if event.status == "allowed":
        return []
    window = f" ({one_line(event.window)})" if event.window else ""
    left = countdown(event.resets_at, event.ts) if event.resets_at else ""
    resets = (
        f", resets {f'in {left}, ' if left else ''}at {one_line(event.resets_at)}" if event.resets_at else ""
    )
    return [(Look.WARN, f"  ◷ rate limit {one_line(event.status)}{window}{resets}")]


def _retry(event: ev.Retry) -> str:
    why = event.status or one_line(event.error.replace("unknown", "")) or "no answer"
    return f"↻ retry {event.attempt} of {event.max} in {event.delay_ms / 1000:.1f} s ({why})"


def _one(look: Look, form: Callable[[Any], str]) -> _Form:
    return lambda event, width: [(look, f"  {form(event)}")]


def _cut(look: Look, form: Callable[[Any, int], str]) -> _Form:
    return lambda event, width: [(look, f"  {form(event, width)}")]


_FEATURES = 120
"""Characters of a list of features that a line has room for."""
_DECIDED = {"approve": "approved", "reject": "sent back", "skip": "skipped", "stale": "put again"}
_SHOWN: dict[type[ev.Event], _Form] = {
    ev.RunStarted: _started,
    ev.RunResumed: _resumed,
    ev.RunEnded: _ended,
    ev.PhaseStarted: _phase_started,
    ev.SessionStarted: _session_started,
    ev.SessionEnded: _session_ended,
    ev.Text: _said,
    ev.Thinking: _thought,
    ev.FeatureChanged: _feature,
    ev.Verdict: _verdict,
    ev.StopConfirmed: _stopped,
    ev.ContractChanged: _contract_changed,
    ev.CheckpointOpened: _one(
        Look.CHECKPOINT,
        _opened,
    ),
    ev.CheckpointDecided: _cut(
        Look.CHECKPOINT,
        lambda e, width: (
            f"? checkpoint {one_line(e.id)}: {decided(e.decision)} by {one_line(e.by)}"
            + (f" · {one_line(e.note, width)}" if e.note else "")
        ),
    ),
    ev.ContractFrozen: _one(Look.GOOD, lambda e: f"◆ contract frozen: {_count(e.features, 'feature')}"),
    ev.ContractTampered: _one(
        Look.ERROR_HEAD, lambda e: f"⚠ contract tampered and restored: {one_line(e.what)}"
    ),
    ev.EvidenceCaptured: _one(Look.DIM, lambda e: f"▣ {one_line(e.path)} ({e.size} bytes)"),
    ev.Commit: _cut(
        Look.COMMIT,
        lambda e, width: f"⎇ {one_line(e.sha[:8])} {one_line(e.subject, width)} (by {one_line(e.by)})",
    ),
    ev.SteerQueued: _cut(
        Look.RECEIPT,
        lambda e, width: (
            f"✎ steering {one_line(e.id)} queued ({one_line(e.mode)}): {one_line(e.text, width)}"
        ),
    ),
    ev.SteerDelivered: _one(Look.RECEIPT, lambda e: f"✎ steering {one_line(e.id)} delivered"),
    ev.SteerAcknowledged: _one(Look.RECEIPT, lambda e: f"✎ steering {one_line(e.id)} acknowledged"),
    ev.StopRequested: _one(Look.WARN, lambda e: f"□ stop requested ({one_line(e.mode)})"),
    ev.StopCleared: _one(Look.WARN, lambda e: "▶ stop cleared"),
    ev.RateLimited: _rate_limited,
    ev.Retry: _one(Look.WARN, _retry),
    ev.StallDetected: _one(Look.ERROR_HEAD, lambda e: f"⚠ {one_line(e.what)} for {e.seconds:.0f} s"),
    ev.LoopDetected: _one(Look.ERROR_HEAD, lambda e: f"⚠ {one_line(e.what)}, {e.times} times"),
    ev.LimitReached: _one(
        Look.ERROR_HEAD,
        lambda e: f"⚠ limit {one_line(named(e.scope, e.limit))} reached: {e.value:.4g} of {e.cap:g}",
    ),
    ev.LimitNear: _one(
        Look.WARN_HEAD,
        lambda e: (
            f"⚠ most of the limit {one_line(named(e.scope, e.limit))} is used: {e.value:.4g} of {e.cap:g}"
        ),
    ),
    ev.LimitsChanged: _one(Look.RECEIPT, lambda e: f"✎ limits changed: {one_line(in_words(e.changed))}"),
    ev.AppChanged: lambda event, width: [
        (
            Look.DIM if event.ok else Look.ERROR,
            f"  ⚙ app {one_line(event.action)}: {one_line(event.detail, width)}",
        )
    ],
    ev.SpecWritten: _one(Look.GOOD, lambda e: f"◆ specification: {one_line(e.name)} (by {one_line(e.by)})"),
    ev.FeaturesAdded: _one(Look.GOOD, lambda e: f"◆ contract grown by {_count(e.features, 'feature')}"),
    ev.SprintStarted: _one(
        Look.DIM, lambda e: f"▸ sprint {e.sprint}: {one_line(', '.join(e.features), _FEATURES)}"
    ),
    ev.ContractProposed: _one(
        Look.DIM, lambda e: f"▸ sprint {e.sprint}: contract proposed, round {e.round} ({one_line(e.path)})"
    ),
    ev.ContractReviewed: _reviewed,
    ev.ContractAgreed: _one(
        Look.GOOD,
        lambda e: (
            f"◆ sprint {e.sprint}: contract agreed, {_count(e.criteria, 'criterion')} ({_agreed_by(e.by)})"
        ),
    ),
    ev.SprintEnded: _one(Look.DIM, lambda e: f"▸ sprint {e.sprint} is over"),
    ev.IterationChosen: _one(
        Look.GOOD, lambda e: f"◆ iteration {e.iteration} is the one that stands (by {one_line(e.by)})"
    ),
    ev.Compacted: _one(Look.DIM, lambda e: f"▸ conversation summarised: {e.before:,} to {e.after:,} tokens"),
    ev.GoalJudged: lambda event, width: [
        (
            Look.GOOD if event.met else Look.WARN,
            f"  ⚖ the goal is {'' if event.met else 'not yet '}met: {one_line(event.reason, width)}",
        )
    ],
    ev.ServerMissing: _cut(
        Look.WARN, lambda e, width: f"⚠ agents have no {one_line(e.name)}: {one_line(e.why, width)}"
    ),
    ev.ClockJumped: _one(
        Look.DIM,
        lambda e: f"▸ the clock jumped {'on' if e.ms > 0 else 'back'} by {clock(abs(e.ms) / 1000)}",
    ),
    ev.Error: _cut(Look.ERROR_HEAD, lambda e, width: f"✗ {one_line(e.message, width)}"),
}
_TOLD = frozenset((*_SHOWN, ev.ToolUse, ev.ToolResult, ev.GuardDecision))

"""How a run stands, in one sentence, and what its operator should look at."""

from __future__ import annotations

from collections.abc import Iterator

from harness_core.contract.record import Status
from harness_core.reading.burnup import clock, countdown
from harness_core.record.state import Lifecycle
from harness_core.report.document import Words, code, count, status
from harness_core.report.gather import Found

NAMED = 20
"""So many of a sort are named one by one."""


def outcome(found: Found) -> str:
    """What came of the run."""
    report, state = found.report, found.state
    if not state.last_seq and not found.view.features:
        return "Nothing has run here yet."
    worked = report.elapsed_s or report.cost_usd
    spent = f", after {clock(report.elapsed_s)} of work, for ${report.cost_usd:,.2f}" if worked else ""
    return f"{_state(found)} {_features(found)}{spent}."


def _state(found: Found) -> str:
    report, state = found.report, found.state
    why = f" ({report.reason})" if report.reason else ""
    asked = report.checkpoint
    if not state.started:
        return "Another harness drives this run; as its own file says,"
    match Lifecycle(report.lifecycle):
        case Lifecycle.COMPLETE:
            return "The run is complete:"
        case Lifecycle.WAITING_APPROVAL if asked is not None:
            return f"The run waits for you at checkpoint {asked.id} ({asked.kind}):"
        case Lifecycle.STOPPED | Lifecycle.STOPPING:
            return f"The run was stopped{why}:"
        case Lifecycle.FAILED:
            return f"The run failed{why}:"
        case Lifecycle.LOST:
            return "The run's engine is gone in the middle of its work:"
        case Lifecycle.WAITING_LIMIT:
            until = report.waiting_until or ""
            left = countdown(until)
            when = f"at {until}{f', in {left}' if left else ''}" if until else "nobody knows when"
            return f"The run waits for a limit to reset ({when}):"
        case _:
            return "The run goes on:"


def _features(found: Found) -> str:
    features = found.report.features
    total, passing = features["total"], features["passing"]
    iterations = found.state.iterations
    if not total and iterations:
        best = max(one.total for one in iterations)
        return f"the best of {count(len(iterations), 'iteration')} scored {best:.1f} of 10"
    if not total:
        return "there is no contract"
    if passing == total:
        return f"all {count(total, 'feature')} pass" if total > 1 else "its one feature passes"
    return f"{passing} of {total} features pass"


def attention(found: Found) -> Iterator[Words]:
    """One line each, the most urgent first."""
    yield from _waiting(found)
    yield from _doubts(found)
    yield from _snags(found)
    yield from _given_up(found)


def _waiting(found: Found) -> Iterator[Words]:
    report, state = found.report, found.state
    if report.checkpoint is not None:
        asked = report.checkpoint
        yield [f"Checkpoint {asked.id} ({asked.kind}) waits for your decision: {asked.summary}"]
    if report.lifecycle == Lifecycle.LOST:
        yield ["No engine is alive, though the run hasn't ended. To go on: ", code("longwatch resume DIR")]
    if report.lifecycle == Lifecycle.STOPPED:
        yield ["The run is stopped. To go on: ", code("longwatch resume DIR")]
    for survivor in state.survivors[:NAMED]:
        yield ["A process outlived the stop: ", code(survivor)]
    unheard = [one for one in found.gathered.messages.values() if not one.acknowledged]
    for message in unheard[:NAMED]:
        how_far = "delivered, not acknowledged" if message.delivered else "not delivered"
        yield [f"Your message {message.id} is {how_far}: “{message.text[:200]}”"]


def _doubts(found: Found) -> Iterator[Words]:
    state, gathered = found.state, found.gathered
    if found.report.contract_error:
        yield [f"The contract can't be counted: {found.report.contract_error}"]
    if found.view.error and found.view.error != found.report.contract_error:
        yield [f"The contract's text can't be read: {found.view.error}"]
    for tampered in list(gathered.tampered)[-NAMED:]:
        restored = "put back" if tampered.restored else "not put back"
        yield [
            "The contract was tampered with and ",
            restored,
            f" (session {tampered.session}): {tampered.what}",
        ]
    for decision in list(gathered.overridden)[-NAMED:]:
        yield [
            f"The evaluator was overridden at checkpoint {decision.id} by {', '.join(decision.overrides)} "
            f"({decision.by}): {decision.note or 'no reason given'}"
        ]
    for feature, times in gathered.refused.most_common(NAMED):
        if times > 1:
            about = [" for ", code(feature)] if feature else [" by an edit of the contract"]
            yield [f"A claim was refused {times} times", *about]
    if state.damaged:
        yield [f"{count(state.damaged, 'damaged line')} in the journal: what stood there is missing here"]
    if state.last_error:
        yield [f"{count(state.errors, 'error')}, the last one: {state.last_error[:400]}"]


def _snags(found: Found) -> Iterator[Words]:
    """What held the work up or cut it short, the newest first."""
    for what, snag in list(found.gathered.snags.items())[: -NAMED - 1 : -1]:
        often = f", {snag.times:,} times" if snag.times > 1 else ""
        where = f" (session {snag.session})" if snag.session is not None else ""
        yield [f"{what}{often}{where}"]
    if (more := len(found.gathered.snags) - NAMED) > 0:
        yield [f"{more} more such things, in the timeline"]


def _given_up(found: Found) -> Iterator[Words]:
    for wanted in (Status.REGRESSED, Status.SKIPPED):
        names = found.state.with_status(wanted)
        for name in names[:NAMED]:
            note = found.state.features[name].note
            yield [code(name), " is ", status(wanted.value), f": {note[:400]}" if note else ""]
        if len(names) > NAMED:
            yield [f"{len(names) - NAMED} more are ", status(wanted.value)]

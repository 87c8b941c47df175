"""What each event makes of a run's state: the one reducer, the same for every reader."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from harness_core.contract.record import Status
from harness_core.grading.verdicts import overruled, refuted
from harness_core.layout import FORMAT
from harness_core.operator.bounds import RUN, SESSION, cap_of, key, named, parted, whose
from harness_core.record import events as ev
from harness_core.record.journal import check_format
from harness_core.record.state import (
    PASSING,
    FeatureState,
    OpenCheckpoint,
    OpenSession,
    RunState,
    SprintState,
    elapsed_ms,
    schema_path,
)
from harness_core.steps.iterations import Iteration

LONG_WAIT_MS = 60_000
"""An announced wait after a 429 from which on a run counts as waiting for a limit's end."""
USAGE_LIMIT_STATUS = 429
_FOR_GOOD = 2
"""Stands for a feature that isn't taken up again by itself."""
_TROUBLE = 300
FRUITLESS = frozenset(("done", "timeout", "loop", "session_limit", "too_long"))
"""Ends of a session that count as an attempt when its feature isn't passing afterwards."""


def apply(state: RunState, event: ev.Event) -> None:
    """Take one event in. Events that this version doesn't know change nothing but `last_seq`."""
    state.last_seq = event.seq
    # Where another harness drives the run, its sessions are all that is known of its work.
    works = bool(state.started) or state.open_session is not None
    if works and not state.waits_for_operator and not isinstance(event, ev.RunResumed):
        jump = event.ms if isinstance(event, ev.ClockJumped) else 0
        _pass_time(state, elapsed_ms(state.last_ts, event.ts, jump))
    state.last_ts = event.ts or state.last_ts
    handler = _HANDLERS.get(type(event))
    if handler is not None:
        handler(state, event)


def _pass_time(state: RunState, ms: int) -> None:
    state.active_ms += ms
    if state.phase:
        state.phase_cost(state.phase, role=state.phase_role).ms += ms
    if state.open_session is not None and not state.waits_for_api:
        state.open_session.active_ms += ms


def _run_started(state: RunState, event: ev.RunStarted) -> None:
    check_format(event.format, FORMAT)
    state.format = event.format
    state.run_id = event.run_id
    state.preset = event.preset
    state.limits = dict(event.limits)
    state.head = event.head or ""
    state.started = event.ts


def _run_resumed(state: RunState, event: ev.RunResumed) -> None:
    state.ended = False
    state.exit = None
    state.reason = ""
    state.stop_requested = state.stop_confirmed = None
    state.survivors = []
    _sign_of_life(state, event)
    if event.limits is not None:
        _set_limits(state, event.limits)


def _set_limits(state: RunState, limits: dict[str, float]) -> None:
    state.limits_near = [
        dotted
        for dotted in state.limits_near
        if cap_of(limits, *parted(dotted)) == cap_of(state.limits, *parted(dotted))
    ]
    state.limits = dict(limits)


def _limits_changed(state: RunState, event: ev.LimitsChanged) -> None:
    state.limits_newest = max(state.limits_newest, int(event.id) if event.id.isdecimal() else 0)
    _set_limits(state, event.limits)


def _limit_near(state: RunState, event: ev.LimitNear) -> None:
    state.limits_near = [*state.limits_near, key(event.scope, event.limit)]


def _limit_reached(state: RunState, event: ev.LimitReached) -> None:
    if event.scope == SESSION:
        _note_trouble(state, f"{named(RUN, event.limit)} {event.cap:g}{whose(event.scope)} was reached")


def _run_ended(state: RunState, event: ev.RunEnded) -> None:
    state.ended = True
    state.exit = event.exit
    state.reason = event.reason


def _phase_started(state: RunState, event: ev.PhaseStarted) -> None:
    state.phase, state.phase_role = event.phase, event.role or ""
    state.phase_cost(event.phase, event.round, event.role)


def _session_started(state: RunState, event: ev.SessionStarted) -> None:
    number = event.session or 0
    if event.phase and number > state.sessions:
        state.phase_cost(event.phase, event.round, event.role).sessions += 1
    state.sessions = max(state.sessions, number)
    state.role = event.role or ""
    state.context = 0
    if event.role == "generator":
        state.sent_back = False
    if event.resumed and state.open_session is not None and state.open_session.number == number:
        return
    state.out_of_reach = False
    about = event.features or ([event.feature] if event.feature else [])
    state.open_session = OpenSession(
        number,
        event.sdk_session,
        state.role,
        event.model,
        event.phase,
        event.feature,
        about,
        event.ts,
        event.seq,
        began_ms=state.active_ms,
    )


def _session_ended(state: RunState, event: ev.SessionEnded) -> None:
    ended = state.open_session
    if ended is not None and ended.role == "generator" and ended.phase != "negotiate":
        if event.reason == "too_long":
            _note_trouble(state, "the conversation grew too long for the model")
        if event.reason in FRUITLESS:
            _count_attempt(state, ended)
        # A whole without features is built until its builder says so; with features, what one session didn't
        # get to is counted as their attempt.
        if event.reason == "done" or (state.features and event.reason in FRUITLESS):
            state.built_seq = event.seq
    state.limits_near = [dotted for dotted in state.limits_near if parted(dotted)[0] != SESSION]
    state.open_session = None
    _sign_of_life(state, event)


def _count_attempt(state: RunState, session: OpenSession) -> None:
    """A session without a claim is one more attempt at what it was about: where that is several features, at
    the first of them that is open."""
    about = [state.features[name] for name in session.features if name in state.features]
    if any(feature.status in PASSING and feature.seq > session.seq for feature in about):
        return
    for feature in about:
        if feature.status not in PASSING:
            feature.attempts += 1
            return


def _contract_frozen(state: RunState, event: ev.ContractFrozen) -> None:
    state.contract_sha = event.sha256
    adopted = set(event.adopted)
    state.features = {
        feature: FeatureState(Status.CLAIMED if feature in adopted else Status.FAILING, since=event.ts)
        for feature in event.features
    }


def _contract_changed(state: RunState, event: ev.ContractChanged) -> None:
    state.contract_sha = event.sha256 or state.contract_sha
    feature = state.features.get(event.feature)
    if feature is not None:
        feature.reworded = event.seq
        # What was tried was tried at something else.
        feature.attempts = 0
        if feature.status is not Status.SKIPPED:
            feature.given_up = 0


def _spec_written(state: RunState, event: ev.SpecWritten) -> None:
    state.spec_sha = event.sha256


def _features_added(state: RunState, event: ev.FeaturesAdded) -> None:
    state.contract_sha = event.sha256
    state.enhanced = event.request
    state.needs_work = 0
    for feature in event.features:
        state.features[feature] = FeatureState(since=event.ts)


def _sprint_started(state: RunState, event: ev.SprintStarted) -> None:
    state.sprints = event.sprint
    state.sprint = SprintState(event.sprint, event.features, event.path, event.seq)
    state.needs_work = 0


def _contract_proposed(state: RunState, event: ev.ContractProposed) -> None:
    if state.sprint is not None:
        state.sprint.proposed = event.round
        state.sprint.accepted = ""
        state.sprint.sha256 = event.sha256


def _contract_reviewed(state: RunState, event: ev.ContractReviewed) -> None:
    if state.sprint is not None:
        state.sprint.reviewed = event.round
        state.sprint.accepted = "both" if event.verdict == "PASS" else ""
        state.sprint.criteria = event.criteria
        state.sprint.objections = event.findings
        state.objections += event.verdict != "PASS"


def _contract_agreed(state: RunState, event: ev.ContractAgreed) -> None:
    state.agreements[event.path] = event.sha256
    if event.schema_sha256:
        state.agreements[schema_path(event.path)] = event.schema_sha256
    if state.sprint is not None:
        state.sprint.agreed = True
        state.sprint.criteria = event.criteria
        state.sprint.sha256 = event.sha256


def _sprint_ended(state: RunState, event: ev.SprintEnded) -> None:
    state.sprint = None


def _iteration_chosen(state: RunState, event: ev.IterationChosen) -> None:
    state.chosen = event.iteration


def _goal_judged(state: RunState, event: ev.GoalJudged) -> None:
    state.goal = event
    _sign_of_life(state, event)
    around = state.phase_cost(state.phase, role=state.phase_role)
    took = min(event.ms, around.ms)
    around.ms -= took
    state.phase_cost("goal").ms += took


def _compacted(state: RunState, event: ev.Compacted) -> None:
    state.context = event.after


def _feature_changed(state: RunState, event: ev.FeatureChanged) -> None:
    feature = state.features.setdefault(event.feature, FeatureState())
    before, feature.status = feature.status, event.to
    feature.since = event.ts
    feature.seq = event.seq
    feature.note = event.note
    if event.to is Status.CLAIMED:
        feature.evidence = event.evidence
    state.regressions += event.to is Status.REGRESSED and event.by == "generator"
    if event.to is Status.SKIPPED:
        feature.given_up = feature.given_up + 1 if event.by == "engine" else _FOR_GOOD
    elif before is Status.SKIPPED and event.by == "engine":
        feature.attempts = 0
    if event.to is Status.REGRESSED and event.by == "operator":
        feature.attempts = 0
        feature.given_up = 0
    elif event.to is Status.REGRESSED and event.by == "evaluator":
        # A verdict on another feature has refuted it: one more claim that didn't hold.
        feature.attempts += 1


def _stop_requested(state: RunState, event: ev.StopRequested) -> None:
    state.stop_requested = event.mode
    state.stop_confirmed = None


def _stop_confirmed(state: RunState, event: ev.StopConfirmed) -> None:
    state.stop_confirmed = event.mode
    state.survivors = event.survivors


def _stop_cleared(state: RunState, event: ev.StopCleared) -> None:
    state.stop_requested = state.stop_confirmed = None
    state.survivors = []


def _steer_queued(state: RunState, event: ev.SteerQueued) -> None:
    state.steer_queued += 1
    state.steer_newest = max(state.steer_newest, int(event.id) if event.id.isdecimal() else 0)
    state.steering[event.id] = False


def _steer_delivered(state: RunState, event: ev.SteerDelivered) -> None:
    if not state.steering.get(event.id):
        state.steer_delivered += 1
    state.steering[event.id] = True


def _steer_acknowledged(state: RunState, event: ev.SteerAcknowledged) -> None:
    # An acknowledged message is history: keeping it would let the state grow with the run.
    if state.steering.pop(event.id, None) is not None:
        state.steer_acknowledged += 1


def _checkpoint_opened(state: RunState, event: ev.CheckpointOpened) -> None:
    state.checkpoints += 1
    state.asked_seq = event.seq
    state.checkpoint = OpenCheckpoint(
        event.id, event.kind, event.ts, event.summary, event.subject_hash, event.features
    )


def _checkpoint_decided(state: RunState, event: ev.CheckpointDecided) -> None:
    asked = state.checkpoint
    if asked is not None and asked.id == event.id:
        state.checkpoint = None
        if event.decision == "stale":
            # Until it is put again, it counts as never asked.
            state.asked_seq = 0
        if event.overrides and state.verdict is not None:
            state.verdict = overruled(state.verdict, event.overrides)
        if event.decision != "stale":
            state.asked_ms = state.active_ms
        if event.decision == "reject" or (state.verdict is not None and state.verdict.verdict == "PASS"):
            state.needs_work = 0
        if asked.kind == "contract" and state.sprint is not None:
            if event.decision == "approve":
                state.sprint.accepted = "operator"
            elif event.decision == "reject":
                state.sprint.rounds_granted = state.sprint.reviewed
        state.choice = event.choice
        whole = asked.kind == "end" or not asked.features
        state.sent_back = whole and event.decision == "reject"


def _verdict(state: RunState, event: ev.Verdict) -> None:
    state.verdict = event
    passed = event.verdict == "PASS"
    state.refusals += not passed
    if len(event.scope) != 1 or state.sprint is not None:
        state.needs_work = 0 if passed else state.needs_work + 1
    if event.iteration:
        # What was chosen before was chosen among fewer.
        state.choice = state.chosen = None
        judged = Iteration(event.iteration, event.total or 0.0, passed, event.commit)
        state.iterations = [*state.iterations, judged]
    wrong = refuted(event)
    for feature_id in event.scope:
        if feature_id in state.features and feature_id in wrong:
            state.features[feature_id].attempts += 1
    for finding in event.findings:
        if finding.feature in state.features:
            state.features[finding.feature].trouble = _brief(finding.where)


def _cost(state: RunState, event: ev.Cost) -> None:
    state.usd = max(0.0, state.usd + event.usd)
    state.tokens += event.tokens
    state.turns += event.turns
    state.context = event.context or state.context
    if event.turns:
        state.out_of_reach = False
    if state.open_session is not None and event.role in (None, state.open_session.role):
        state.open_session.usd += event.usd
        state.open_session.tokens += event.tokens
        state.open_session.turns += event.turns
    phase = state.phase_cost(event.phase, role=event.role)
    phase.usd += event.usd
    phase.tokens += event.tokens
    phase.turns += event.turns


def _rate_limited(state: RunState, event: ev.RateLimited) -> None:
    state.waiting_until = event.resets_at if event.status == "rejected" else None


def _retry(state: RunState, event: ev.Retry) -> None:
    if not state.out_of_reach:
        state.unanswered_since = state.active_ms
    state.out_of_reach = True
    # After a 429 it may be the very wait of which a rejected window has told.
    if event.status != USAGE_LIMIT_STATUS:
        state.waiting_until = None
    elif event.delay_ms >= LONG_WAIT_MS:
        until = datetime.fromisoformat(event.ts) + timedelta(milliseconds=event.delay_ms)
        state.waiting_until = until.isoformat(timespec="seconds")


def _sign_of_life(state: RunState, event: ev.Event) -> None:
    state.waiting_until = None
    state.out_of_reach = False


def _commit(state: RunState, event: ev.Commit) -> None:
    state.head = event.sha


def _tampered(state: RunState, event: ev.ContractTampered) -> None:
    state.tampered += 1


def _guard_decision(state: RunState, event: ev.GuardDecision) -> None:
    state.denials += 1
    if event.guard == "evidence":
        state.refused_claims += 1
        _note_trouble(state, event.reason)


def _stalled(state: RunState, event: ev.StallDetected) -> None:
    state.stalls += 1
    if event.what in (ev.SILENCE, ev.NO_ANSWER):
        _silent(state, round(event.seconds * 1000))
    else:
        _note_trouble(state, f"{event.what}, {event.seconds:.0f} s")


def _silent(state: RunState, ms: int) -> None:
    """So long the session has done nothing, which is no fault of what it is about."""
    if state.open_session is not None and not state.out_of_reach:
        state.open_session.active_ms = max(0, state.open_session.active_ms - ms)
    state.out_of_reach = True
    state.unanswered_since = None


def _went_round(state: RunState, event: ev.LoopDetected) -> None:
    state.stalls += 1
    _note_trouble(state, f"{event.what}, {event.times} times")


def _app_changed(state: RunState, event: ev.AppChanged) -> None:
    if event.action in ("start", "restart"):
        state.app_trouble = "" if event.ok else event.detail


def _note_trouble(state: RunState, what: str) -> None:
    """Of the feature that a builder has in hand."""
    session = state.open_session
    if session is None or session.role != "generator":
        return
    for name in session.features:
        if (feature := state.features.get(name)) is not None and feature.status not in PASSING:
            feature.trouble = _brief(what)
            return


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TROUBLE else f"{line[: _TROUBLE - 1]}…"


def _error(state: RunState, event: ev.Error) -> None:
    state.errors += 1
    state.last_error = event.message


_HANDLERS: dict[type[ev.Event], Callable[[RunState, Any], None]] = {
    ev.RunStarted: _run_started,
    ev.RunResumed: _run_resumed,
    ev.RunEnded: _run_ended,
    ev.LimitsChanged: _limits_changed,
    ev.LimitNear: _limit_near,
    ev.LimitReached: _limit_reached,
    ev.PhaseStarted: _phase_started,
    ev.SessionStarted: _session_started,
    ev.SessionEnded: _session_ended,
    ev.ContractFrozen: _contract_frozen,
    ev.ContractChanged: _contract_changed,
    ev.SpecWritten: _spec_written,
    ev.FeaturesAdded: _features_added,
    ev.SprintStarted: _sprint_started,
    ev.ContractProposed: _contract_proposed,
    ev.ContractReviewed: _contract_reviewed,
    ev.ContractAgreed: _contract_agreed,
    ev.SprintEnded: _sprint_ended,
    ev.IterationChosen: _iteration_chosen,
    ev.Compacted: _compacted,
    ev.GoalJudged: _goal_judged,
    ev.FeatureChanged: _feature_changed,
    ev.StopRequested: _stop_requested,
    ev.StopConfirmed: _stop_confirmed,
    ev.StopCleared: _stop_cleared,
    ev.SteerQueued: _steer_queued,
    ev.SteerDelivered: _steer_delivered,
    ev.SteerAcknowledged: _steer_acknowledged,
    ev.CheckpointOpened: _checkpoint_opened,
    ev.CheckpointDecided: _checkpoint_decided,
    ev.Verdict: _verdict,
    ev.Cost: _cost,
    ev.RateLimited: _rate_limited,
    ev.Retry: _retry,
    ev.Text: _sign_of_life,
    ev.Thinking: _sign_of_life,
    ev.ToolUse: _sign_of_life,
    ev.Commit: _commit,
    ev.ContractTampered: _tampered,
    ev.GuardDecision: _guard_decision,
    ev.StallDetected: _stalled,
    ev.LoopDetected: _went_round,
    ev.AppChanged: _app_changed,
    ev.Error: _error,
}

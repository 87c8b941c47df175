"""What a run does next: a pure function of its state.

A fresh start, going on after a crash and going on after a pause are therefore one thing, and nothing
that is finished is begun again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from harness_core import events as ev
from harness_core.contract import Status
from harness_core.errors import Exit
from harness_core.state import PASSING, OpenSession, RunState


@dataclass(frozen=True)
class Initialize:
    """Have a contract written and frozen."""


@dataclass(frozen=True)
class Build:
    """A generator session: on one feature, or on the whole where the operator sent that back."""

    feature: str | None


@dataclass(frozen=True)
class Evaluate:
    """An evaluator session on a claimed feature."""

    feature: str


@dataclass(frozen=True)
class Close:
    """Journal the end of a session that was cut off after its work was done."""

    session: OpenSession


@dataclass(frozen=True)
class Apply:
    """Give the features the status that a verdict means."""

    verdict: ev.Verdict


@dataclass(frozen=True)
class Ask:
    """Put a question to the operator, or take up the open one."""

    kind: str
    features: list[str]
    summary: str


@dataclass(frozen=True)
class Skip:
    """Give a feature up for now."""

    feature: str
    attempts: int


@dataclass(frozen=True)
class Finish:
    """End the run."""

    code: Exit
    reason: str


Step = Initialize | Build | Evaluate | Close | Apply | Ask | Skip | Finish


@dataclass(frozen=True)
class Plan:
    """What of a run's configuration decides about its steps."""

    evaluates: bool
    checkpoints: Collection[str]
    """When the operator is asked: `on-needs-work`, `on-pass`, `end`."""
    max_retries: int


def next_step(state: RunState, plan: Plan) -> Step:
    """The one thing to do now."""
    if state.contract_sha and (step := _open(state) or _after_verdict(state, plan)):
        return step
    if not state.contract_sha:
        return Initialize()
    for name, feature in state.features.items():
        if feature.status in (Status.FAILING, Status.REGRESSED) and feature.attempts >= plan.max_retries:
            return Skip(name, feature.attempts)
    if (mend := _to_mend(state)) is not None:
        return Build(mend)
    if plan.evaluates and (claimed := state.with_status(Status.CLAIMED)):
        return Evaluate(claimed[0])
    if to_build := [*state.with_status(Status.REGRESSED), *state.with_status(Status.FAILING)]:
        return Build(to_build[0])
    if state.sent_back:
        return Build(None)
    return _end(state, plan)


def refuted(verdict: ev.Verdict) -> frozenset[str | None]:
    """The features that a verdict doesn't let pass."""
    named = {finding.feature for finding in verdict.findings}
    return frozenset(named if verdict.verdict == "PASS" else {*verdict.scope, *named})


def _to_mend(state: RunState) -> str | None:
    """A feature that the newest verdict refuted: built before another verdict covers its findings."""
    wrong = refuted(state.verdict) if state.verdict is not None else frozenset()
    for name, feature in state.features.items():
        if name in wrong and feature.status in (Status.FAILING, Status.REGRESSED):
            return name
    return None


def _open(state: RunState) -> Step | None:
    """What was begun comes first."""
    session, asked = state.open_session, state.checkpoint
    if session is not None and session.role == "generator":
        return Build(session.feature)
    if session is not None:
        judged = state.verdict is not None and state.verdict.session == session.number
        goes_on = session.role == "evaluator" and session.feature is not None and not judged
        return Evaluate(session.feature or "") if goes_on else Close(session)
    return Ask(asked.kind, asked.features, asked.summary) if asked is not None else None


def _after_verdict(state: RunState, plan: Plan) -> Step | None:
    verdict = state.verdict
    if verdict is None:
        return None
    for name in verdict.scope:
        feature = state.features.get(name)
        if feature is not None and feature.status is Status.CLAIMED and feature.seq < verdict.seq:
            return Apply(verdict)
    if verdict.seq < state.asked_seq:
        return None
    names = ", ".join(verdict.scope)
    if verdict.verdict == "NEEDS_WORK" and "on-needs-work" in plan.checkpoints:
        return Ask("needs-work", verdict.scope, f"The evaluator wants more work on {names}.")
    if verdict.verdict == "PASS" and "on-pass" in plan.checkpoints:
        return Ask("pass", verdict.scope, f"The evaluator is satisfied with {names}.")
    return None


def _end(state: RunState, plan: Plan) -> Step:
    counts = state.counts
    left = counts["total"] - counts["passing"]
    if left:
        return Finish(Exit.FAILED, f"{left} of {counts['total']} features are left, each given up for now")
    passing = [name for name, feature in state.features.items() if feature.status in PASSING]
    if "end" in plan.checkpoints and counts["approved"] < counts["total"]:
        return Ask("end", passing, f"All {len(passing)} features pass: is the work as it should be?")
    return Finish(Exit.DONE, "all features pass")

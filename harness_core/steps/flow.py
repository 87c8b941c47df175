"""What a run does next: a pure function of its state.

A fresh start, going on after a crash and going on after a pause are therefore one thing, and nothing
that is finished is begun again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness_core.contract.record import Status
from harness_core.errors import Exit
from harness_core.grading.verdicts import refuted
from harness_core.record import events as ev
from harness_core.record.state import PASSING, FeatureState, OpenSession, RunState, SprintState
from harness_core.steps.iterations import Decision, best, decide


@dataclass(frozen=True)
class Specify:
    """Have a specification written."""


@dataclass(frozen=True)
class Initialize:
    """Have a contract written and frozen, or what is asked for added to the one that is there."""


@dataclass(frozen=True)
class StartSprint:
    """Begin a sprint over these features."""

    number: int
    features: Sequence[str]


@dataclass(frozen=True)
class Propose:
    """Have the generator write down what the sprint owes."""

    sprint: SprintState


@dataclass(frozen=True)
class Review:
    """Have the evaluator answer the proposal."""

    sprint: SprintState


@dataclass(frozen=True)
class Agree:
    """Freeze a sprint's contract; `by` is whose version holds."""

    sprint: SprintState
    by: str


@dataclass(frozen=True)
class EndSprint:
    """All that the sprint could do is done."""

    number: int


@dataclass(frozen=True)
class Build:
    """A generator session: on some features, or on the whole where there are none to name."""

    features: Sequence[str] = ()
    decision: Decision | None = None
    """Of a run in iterations: whether this one starts, refines, or goes another way."""


@dataclass(frozen=True)
class Evaluate:
    """An evaluator session on claimed features, or on the whole."""

    scope: Sequence[str]


@dataclass(frozen=True)
class Choose:
    """Make an iteration the one that stands: the best one, or the one that the operator wants."""

    iteration: int
    by: str = "engine"


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
    features: Sequence[str]
    summary: str


@dataclass(frozen=True)
class Skip:
    """Give a feature up for now."""

    feature: str
    why: str


@dataclass(frozen=True)
class Revisit:
    """Take up once more, now that all else is done, what was given up."""

    feature: str


@dataclass(frozen=True)
class Finish:
    """End the run."""

    code: Exit
    reason: str


Step = (
    Specify | Initialize | StartSprint | Propose | Review | Agree | EndSprint | Build | Evaluate | Choose
    | Close | Apply | Ask | Skip | Revisit | Finish
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What of a run's configuration decides about its steps."""

    max_retries: int
    checkpoints: Collection[str] = ()
    """When the operator is asked: `on-needs-work`, `on-pass`, `per-sprint`, `end`."""
    every_hours: float | None = None
    """Hours of work between two questions; None asks by no clock."""
    asks_on_contract: bool = False
    """Whether a sprint's contract that nobody agrees on is put to the operator."""
    planner: bool = False
    contract: bool = True
    """Whether there is a contract of features at all, written or found."""
    request: str = ""
    """The digest of what is to be added to a contract that is there; "" where nothing is."""
    negotiates: bool = False
    continuous: bool = False
    """Whether one session takes on all there is to build, not a single feature."""
    cadence: str = "off"
    """When an evaluator judges: `off`, `feature`, `sprint`, `end`."""
    rounds: int = 3
    """Verdicts in a row that may want more work on a sprint or on the whole."""
    contract_rounds: int = 3
    sprint_features: int = 5
    min_iterations: int = 0
    max_iterations: int = 0
    """How often the whole is built and judged anew; 0 is no such loop."""

    @property
    def sprints(self) -> bool:
        return self.contract and (self.negotiates or self.cadence == "sprint")


def next_step(state: RunState, plan: Plan) -> Step:
    """The one thing to do now."""
    if plan.planner and not state.spec_sha:
        return Specify()
    if plan.contract and (not state.contract_sha or (plan.request and state.enhanced != plan.request)):
        return Initialize()
    step = _open(state) or _after_verdict(state, plan) or _by_the_clock(state, plan)
    if step is not None:
        return step
    return _features(state, plan) if plan.contract else _whole(state, plan)


# --- With a contract of features ------------------------------------------------------------------------


def _features(state: RunState, plan: Plan) -> Step:
    for name, feature in state.features.items():
        bound = 1 if feature.given_up else plan.max_retries
        if feature.status in (Status.FAILING, Status.REGRESSED) and feature.attempts >= bound:
            return Skip(name, _tried(feature))
    if (mend := _to_mend(state)) is not None:
        first = [mend, *(name for name in _to_build(state) if name != mend)]
        return _out_of_rounds(state, plan, first) or _build(plan, first)
    if plan.cadence == "feature" and (claimed := state.with_status(Status.CLAIMED)):
        return Evaluate(claimed[:1])
    if plan.sprints:
        return _sprint(state, plan)
    if to_build := _to_build(state):
        return _build(plan, to_build)
    if state.sent_back:
        return Build()
    if plan.cadence == "end" and (step := _judged(state, plan, state.with_status(Status.CLAIMED))):
        return step
    return _end(state, plan)


def _tried(feature: FeatureState) -> str:
    times = "1 attempt" if feature.attempts == 1 else f"{feature.attempts} attempts"
    more = " more, after all else" if feature.given_up else ""
    return f"no accepted claim in {times}{more}{f'; the last: {feature.trouble}' if feature.trouble else ''}"


def _to_build(state: RunState) -> list[str]:
    return [*state.with_status(Status.REGRESSED), *state.with_status(Status.FAILING)]


def _build(plan: Plan, features: Sequence[str]) -> Build:
    return Build(features if plan.continuous else features[:1])


def _to_mend(state: RunState) -> str | None:
    """A feature that the newest verdict refuted: built before another verdict covers its findings."""
    wrong = refuted(state.verdict) if state.verdict is not None else frozenset()
    for name, feature in state.features.items():
        if name in wrong and feature.status in (Status.FAILING, Status.REGRESSED):
            return name
    return None


def _judged(state: RunState, plan: Plan, claimed: Sequence[str]) -> Step | None:
    """Have several claimed features judged together, and mended as a whole where no feature is named."""
    if not claimed:
        return None
    wants = state.needs_work > 0
    if wants and state.needs_work >= plan.rounds:
        return None
    if wants and state.verdict is not None and state.built_seq < state.verdict.seq:
        return Build()
    return Evaluate(claimed)


def _sprint(state: RunState, plan: Plan) -> Step:
    sprint = state.sprint
    if sprint is None:
        if to_build := _to_build(state):
            return StartSprint(state.sprints + 1, to_build[: plan.sprint_features])
        if state.sent_back:
            return Build()
        left = state.with_status(Status.CLAIMED)
        if plan.cadence == "sprint" and left and state.needs_work < plan.rounds:
            return Evaluate(left)
        return _end(state, plan)
    if plan.negotiates and sprint.path and not sprint.agreed:
        return _negotiated(sprint, plan)
    regressed = state.with_status(Status.REGRESSED)
    of_sprint = [name for name in sprint.features if state.features[name].status is Status.FAILING]
    if to_build := [*regressed, *of_sprint]:
        return _out_of_rounds(state, plan, to_build) or _build(plan, to_build)
    claimed = [name for name in sprint.features if state.features[name].status is Status.CLAIMED]
    if plan.cadence == "sprint" and (step := _judged(state, plan, claimed)):
        return step
    if "per-sprint" in plan.checkpoints and state.asked_seq < max(state.built_seq, sprint.seq):
        return Ask("sprint", list(sprint.features), f"Sprint {sprint.number} is done: is it as it should be?")
    return EndSprint(sprint.number)


def _out_of_rounds(state: RunState, plan: Plan, to_build: Sequence[str]) -> Step | None:
    """No build that nobody would judge: what the last verdict refuted is given up."""
    if not _rounds_used_up(state, plan):
        return None
    return Skip(to_build[0], f"the evaluator still wanted work after {state.needs_work} rounds")


def _rounds_used_up(state: RunState, plan: Plan) -> bool:
    return plan.cadence in ("sprint", "end") and state.needs_work >= plan.rounds


def _negotiated(sprint: SprintState, plan: Plan) -> Step:
    if sprint.proposed > sprint.reviewed and plan.cadence != "off":
        return Review(sprint)
    if sprint.proposed and plan.cadence == "off":
        return Agree(sprint, "generator")
    if sprint.accepted:
        return Agree(sprint, sprint.accepted)
    if sprint.reviewed >= sprint.rounds_granted + plan.contract_rounds:
        if plan.asks_on_contract:
            return Ask(
                "contract",
                list(sprint.features),
                f"No agreement on the contract of sprint {sprint.number} after {sprint.reviewed} rounds: "
                f"does it hold as {sprint.path} says?",
            )
        return Agree(sprint, "evaluator")
    return Propose(sprint)


# --- Without one ----------------------------------------------------------------------------------------


def _whole(state: RunState, plan: Plan) -> Step:
    """The run has no features to count: the whole is built, and judged where that is switched on."""
    judged = state.verdict.seq if state.verdict is not None else 0
    if state.built_seq == 0 or state.sent_back:
        return Build(decision=decide(state.iterations) if plan.max_iterations else None)
    if plan.cadence == "off":
        return _end_whole(state, plan, "the work is done")
    if state.built_seq > judged:
        return Evaluate(())
    if plan.max_iterations:
        return _iterated(state, plan)
    if state.needs_work == 0:
        return _end_whole(state, plan, "the evaluator is satisfied")
    if state.needs_work < plan.rounds:
        return Build()
    return Finish(Exit.FAILED, f"the evaluator still wanted work after {state.needs_work} rounds")


def _iterated(state: RunState, plan: Plan) -> Step:
    scores = state.iterations
    enough = len(scores) >= plan.max_iterations or (
        len(scores) >= plan.min_iterations and scores[-1].passed and decide(scores) is Decision.PIVOT
    )
    if not enough:
        return Build(decision=decide(scores))
    chosen = state.chosen or 0
    top = best(scores)
    if "end" in plan.checkpoints and state.asked_seq < state.built_seq:
        return Ask(
            "end", [], f"Iteration {top.number} of {len(scores)} scored best ({top.total:.1f}): keep it?"
        )
    if not chosen:
        return Choose(top.number) if state.choice is None else Choose(state.choice, "operator")
    return Finish(Exit.DONE, f"iteration {chosen} of {len(scores)} stands")


def _end_whole(state: RunState, plan: Plan, reason: str) -> Step:
    if "end" in plan.checkpoints and state.asked_seq < state.built_seq:
        return Ask("end", [], "The work is done: is it as it should be?")
    return Finish(Exit.DONE, reason)


# --- What comes first -----------------------------------------------------------------------------------


def _open(state: RunState) -> Step | None:
    """What was begun comes first."""
    session, asked = state.open_session, state.checkpoint
    if session is None:
        return Ask(asked.kind, asked.features, asked.summary) if asked is not None else None
    if session.phase == "negotiate" and state.sprint is not None:
        return _open_negotiation(session, state.sprint)
    if session.role == "generator":
        return Build(session.features, decide(state.iterations) if state.iterations else None)
    judged = state.verdict is not None and state.verdict.session == session.number
    if session.role == "evaluator" and not judged:
        return Evaluate(session.features)
    return Close(session)


def _open_negotiation(session: OpenSession, sprint: SprintState) -> Step:
    if session.role == "generator":
        return Propose(sprint) if sprint.proposed == sprint.reviewed else Close(session)
    return Review(sprint) if sprint.proposed > sprint.reviewed else Close(session)


def _after_verdict(state: RunState, plan: Plan) -> Step | None:
    verdict = state.verdict
    if verdict is None:
        return None
    if _unsettled(state, verdict):
        return Apply(verdict)
    if verdict.seq < state.asked_seq or plan.max_iterations:
        return None
    names = _names(verdict.scope)
    if verdict.verdict == "NEEDS_WORK" and "on-needs-work" in plan.checkpoints:
        return Ask("needs-work", verdict.scope, f"The evaluator wants more work on {names}.")
    if verdict.verdict == "PASS" and "on-pass" in plan.checkpoints:
        return Ask("pass", verdict.scope, f"The evaluator is satisfied with {names}.")
    return None


def _unsettled(state: RunState, verdict: ev.Verdict) -> bool:
    """Whether a feature hasn't yet got the status that a verdict means for it."""
    wrong, passed = refuted(verdict), verdict.verdict == "PASS"
    for name, feature in state.features.items():
        if feature.seq > verdict.seq:
            continue
        if name in verdict.scope:
            if feature.status is Status.CLAIMED and (passed or name in wrong):
                return True
        elif name in wrong and feature.status in PASSING:
            return True
    return False


def _names(scope: Sequence[str]) -> str:
    if not scope:
        return "the whole"
    return ", ".join(scope) if len(scope) <= 8 else f"{', '.join(scope[:7])} and {len(scope) - 7} more"


def _by_the_clock(state: RunState, plan: Plan) -> Step | None:
    if plan.every_hours is None or state.active_ms - state.asked_ms < plan.every_hours * 3_600_000:
        return None
    passing = [name for name, feature in state.features.items() if feature.status in PASSING]
    return Ask("hours", passing, f"{plan.every_hours:g} hours of work since you were last asked: go on?")


def _end(state: RunState, plan: Plan) -> Step:
    for name, feature in state.features.items():
        if feature.status is Status.SKIPPED and feature.given_up == 1 and not _rounds_used_up(state, plan):
            return Revisit(name)
    counts = state.counts
    left = counts["total"] - counts["passing"]
    if left:
        features = f"{left} of {counts['total']} feature{'s' if counts['total'] > 1 else ''}"
        what = f"{features} is left," if left == 1 else f"{features} are left, each"
        return Finish(Exit.FAILED, f"{what} given up for now")
    if state.needs_work and plan.cadence in ("end", "sprint") and counts["claimed"]:
        return Finish(Exit.FAILED, f"the evaluator still wanted work after {state.needs_work} rounds")
    passing = [name for name, feature in state.features.items() if feature.status in PASSING]
    if "end" in plan.checkpoints and counts["approved"] < counts["total"]:
        return Ask("end", passing, f"All {len(passing)} features pass: is the work as it should be?")
    return Finish(Exit.DONE, "all features pass")

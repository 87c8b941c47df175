"""What a run does next, by what its journal says: no process, no file, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_core.contract.record import Status
from harness_core.errors import Exit
from harness_core.grading.verdicts import refuted
from harness_core.record import events as ev
from harness_core.record import reduce
from harness_core.record.state import PASSING, RunState
from harness_core.steps.flow import (
    Agree,
    Apply,
    Ask,
    Build,
    Choose,
    Close,
    EndSprint,
    Evaluate,
    Finish,
    Initialize,
    Plan,
    Propose,
    Review,
    Revisit,
    Skip,
    Specify,
    StartSprint,
    Step,
    next_step,
)

BARE = Plan(checkpoints=(), max_retries=3)
JUDGED = Plan(cadence="feature", checkpoints=(), max_retries=3)
TS = "2026-01-01T00:00:00.000Z"


def fold(*events: ev.Event) -> RunState:
    state = RunState()
    for seq, event in enumerate(events, 1):
        reduce.apply(state, type(event)(**{**_fields(event), "seq": seq, "ts": TS}))
    return state


def _fields(event: ev.Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def frozen(*features: str) -> ev.Event:
    return ev.ContractFrozen(features=list(features), sha256="0", name="feature_list.json")


def change(feature: str, to: Status, by: str = "somebody") -> ev.Event:
    return ev.FeatureChanged(feature=feature, from_=Status.FAILING, to=to, by=by)


def started(number: int, role: str, *features: str, phase: str = "") -> ev.Event:
    return ev.SessionStarted(
        session=number, role=role, sdk_session="s", model="m", features=list(features), phase=phase
    )


def ended(number: int, reason: str = "done") -> ev.Event:
    return ev.SessionEnded(session=number, reason=reason, ms=0, turns=1, usd=0)


def verdict(
    word: str,
    *scope: str,
    session: int = 1,
    named: str | None = None,
    iteration: int = 0,
    total: float | None = None,
) -> ev.Event:
    finding = ev.Finding(feature=named, criterion="c", where="w", reproduce="r")
    return ev.Verdict(
        session=session,
        verdict=word,
        scope=list(scope),
        findings=[finding] if named else [],
        iteration=iteration,
        total=total,
    )


def asked(kind: str, *features: str) -> ev.Event:
    return ev.CheckpointOpened(id="001", kind=kind, subject_hash="h", features=list(features), summary="?")


def decided(word: str, choice: int | None = None) -> ev.Event:
    return ev.CheckpointDecided(id="001", decision=word, by="me", choice=choice)


def test_a_run_without_a_contract_is_initialized() -> None:
    assert next_step(RunState(), BARE) == Initialize()
    assert next_step(fold(started(1, "initializer")), BARE) == Initialize()


def test_an_initializer_that_was_cut_off_after_its_contract_was_frozen_is_closed() -> None:
    step = next_step(fold(started(1, "initializer"), frozen("A")), BARE)
    assert isinstance(step, Close) and step.session.number == 1


def test_features_are_built_in_the_contracts_order_regressed_ones_first() -> None:
    assert next_step(fold(frozen("A", "B")), BARE) == Build(["A"])
    assert next_step(fold(frozen("A", "B"), change("A", Status.CLAIMED)), BARE) == Build(["B"])
    broken = fold(frozen("A", "B", "C"), change("C", Status.REGRESSED))
    assert next_step(broken, BARE) == Build(["C"])


def test_a_session_that_was_cut_off_goes_on_with_its_own_feature() -> None:
    state = fold(frozen("A", "B"), started(1, "generator", "B"))
    assert next_step(state, JUDGED) == Build(["B"])
    claimed = fold(frozen("A", "B"), started(1, "generator", "B"), change("B", Status.CLAIMED))
    assert next_step(claimed, JUDGED) == Build(["B"])


def test_a_claim_is_judged_before_anything_else_is_built() -> None:
    events = (frozen("A", "B"), started(1, "generator", "A"), change("A", Status.CLAIMED), ended(1))
    assert next_step(fold(*events), JUDGED) == Evaluate(["A"])
    assert next_step(fold(*events), BARE) == Build(["B"])


def test_a_verdict_is_given_once_and_applied_once() -> None:
    claimed = (frozen("A"), change("A", Status.CLAIMED), started(2, "evaluator", "A"))
    assert next_step(fold(*claimed), JUDGED) == Evaluate(["A"])
    judged = (*claimed, verdict("PASS", "A", session=2))
    assert isinstance(next_step(fold(*judged), JUDGED), Close)
    closed = (*judged, ended(2))
    assert isinstance(next_step(fold(*closed), JUDGED), Apply)
    assert next_step(fold(*closed, change("A", Status.VERIFIED)), JUDGED) == Finish(
        Exit.DONE, "all features pass"
    )


@pytest.mark.parametrize(
    ("word", "policy", "kind"),
    [
        ("NEEDS_WORK", "on-needs-work", "needs-work"),
        ("PASS", "on-pass", "pass"),
        ("PASS", "on-needs-work", None),
        ("NEEDS_WORK", "on-pass", None),
        ("NEEDS_WORK", "end", None),
    ],
)
def test_the_policy_decides_which_verdicts_the_operator_sees(
    word: str, policy: str, kind: str | None
) -> None:
    plan = Plan(cadence="feature", checkpoints=[policy], max_retries=3)
    to = Status.VERIFIED if word == "PASS" else Status.FAILING
    events = (frozen("A", "B"), change("A", Status.CLAIMED), verdict(word, "A"), change("A", to))
    step = next_step(fold(*events), plan)
    assert (step.kind if isinstance(step, Ask) else None) == kind
    if kind:
        answered = fold(*events, asked(kind, "A"), decided("approve"))
        assert not isinstance(next_step(answered, plan), Ask)


def test_an_open_question_is_taken_up_before_anything_else() -> None:
    state = fold(frozen("A", "B"), asked("needs-work", "A"))
    assert next_step(state, BARE) == Ask("needs-work", ["A"], "?")


def test_a_feature_is_given_up_after_so_many_fruitless_sessions() -> None:
    tries: list[ev.Event] = []
    for number in (1, 2, 3):
        assert next_step(fold(frozen("A", "B"), *tries), BARE) == Build(["A"])
        tries += [started(number, "generator", "A"), ended(number)]
    state = fold(frozen("A", "B"), *tries)
    assert next_step(state, BARE) == Skip("A", "no accepted claim in 3 attempts")
    skipped = fold(frozen("A", "B"), *tries, change("A", Status.SKIPPED))
    assert next_step(skipped, BARE) == Build(["B"])
    over = fold(frozen("A", "B"), *tries, change("A", Status.SKIPPED), change("B", Status.CLAIMED))
    step = next_step(over, BARE)
    assert isinstance(step, Finish) and step.code is Exit.FAILED and "1 of 2" in step.reason


@pytest.mark.parametrize("cadence", ["sprint", "end"])
def test_what_is_refuted_when_the_rounds_are_used_up_is_given_up_and_not_built_again(cadence: str) -> None:
    plan = Plan(cadence=cadence, max_retries=5, rounds=2)
    events: list[ev.Event] = [frozen("A", "B"), ev.SprintStarted(sprint=1, features=["A", "B"])]
    events += [change("A", Status.CLAIMED), change("B", Status.CLAIMED)]
    refuted = (verdict("NEEDS_WORK", "A", "B", named="B"), change("B", Status.FAILING))
    assert next_step(fold(*events, *refuted), plan) == Build(["B"])
    again = (*events, *refuted, change("B", Status.CLAIMED), *refuted)
    step = next_step(fold(*again), plan)
    assert step == Skip("B", "the evaluator still wanted work after 2 rounds")
    over = next_step(fold(*again, change("B", Status.SKIPPED), ev.SprintEnded(sprint=1)), plan)
    assert isinstance(over, Finish) and over.code is Exit.FAILED


NEGOTIATED = Plan(negotiates=True, cadence="sprint", max_retries=3)
SPRINT = ev.SprintStarted(sprint=1, features=["A"], path="contracts/01-a.md")


def proposed(number: int, session: int) -> ev.Event:
    return ev.ContractProposed(session=session, sprint=1, round=number, path=SPRINT.path, sha256=str(number))


def reviewed(number: int, word: str, session: int) -> ev.Event:
    return ev.ContractReviewed(session=session, sprint=1, round=number, verdict=word, criteria=[])


def test_a_proposal_is_no_attempt_at_a_feature() -> None:
    events: list[ev.Event] = [frozen("A"), SPRINT]
    for number in (1, 2, 3):
        step = next_step(fold(*events), NEGOTIATED)
        assert isinstance(step, Propose)
        opened = started(number, "generator", "A", phase="negotiate")
        events += [opened, proposed(number, number), ended(number)]
        events += [reviewed(number, "NEEDS_WORK", number)]
    assert isinstance(next_step(fold(*events), NEGOTIATED), Agree)
    state = fold(*events)
    assert (state.features["A"].attempts, state.built_seq) == (0, 0)


def test_a_negotiation_that_was_cut_off_after_its_word_was_given_is_closed_and_not_held_again() -> None:
    begun = (frozen("A"), SPRINT, started(1, "generator", "A", phase="negotiate"))
    assert isinstance(next_step(fold(*begun), NEGOTIATED), Propose)
    given = (*begun, proposed(1, 1))
    assert isinstance(next_step(fold(*given), NEGOTIATED), Close)
    answering = (*given, ended(1), started(2, "evaluator", "A", phase="negotiate"))
    assert isinstance(next_step(fold(*answering), NEGOTIATED), Review)
    assert isinstance(next_step(fold(*answering, reviewed(1, "PASS", 2)), NEGOTIATED), Close)


def test_a_sprint_that_began_without_a_contract_goes_on_without_one() -> None:
    bare = ev.SprintStarted(sprint=1, features=["A"])
    assert next_step(fold(frozen("A"), bare), NEGOTIATED) == Build(["A"])


def test_what_the_operator_sends_back_gets_attempts_of_its_own() -> None:
    tries: list[ev.Event] = []
    for number in (1, 2, 3):
        tries += [started(number, "generator", "A"), ended(number)]
    back = (change("A", Status.CLAIMED), change("A", Status.REGRESSED, by="operator"))
    assert next_step(fold(frozen("A"), *tries, *back), BARE) == Build(["A"])


@pytest.mark.parametrize(("word", "named"), [("NEEDS_WORK", None), ("PASS", "A")])
def test_a_claim_that_is_refuted_again_and_again_is_given_up(word: str, named: str | None) -> None:
    rounds: list[ev.Event] = [frozen("A")]
    for number in (1, 2, 3):
        assert next_step(fold(*rounds), JUDGED) == Build(["A"])
        judged = verdict(word, "A", session=number, named=named)
        rounds += [change("A", Status.CLAIMED), judged, change("A", Status.FAILING)]
    step = next_step(fold(*rounds), JUDGED)
    assert isinstance(step, Skip) and step.why.startswith("no accepted claim in 3 attempts")
    assert ("; the last: w" in step.why) == bool(named)


def test_what_the_engine_gave_up_is_tried_once_more_when_all_else_is_done() -> None:
    tries: list[ev.Event] = [frozen("A", "B")]
    for number in (1, 2, 3):
        tries += [started(number, "generator", "A"), ended(number)]
    given_up = [*tries, change("A", Status.SKIPPED, by="engine")]
    assert next_step(fold(*given_up), BARE) == Build(["B"])
    rest_done = [*given_up, change("B", Status.CLAIMED)]
    assert next_step(fold(*rest_done), BARE) == Revisit("A")
    again = [*rest_done, change("A", Status.FAILING, by="engine")]
    assert next_step(fold(*again), BARE) == Build(["A"])
    failed = [*again, started(4, "generator", "A"), ended(4)]
    step = next_step(fold(*failed), BARE)
    assert isinstance(step, Skip) and "1 attempt more" in step.why
    over = next_step(fold(*failed, change("A", Status.SKIPPED, by="engine")), BARE)
    assert isinstance(over, Finish) and over.code is Exit.FAILED
    held = fold(*again, change("A", Status.CLAIMED))
    assert next_step(held, BARE) == Finish(Exit.DONE, "all features pass")


def test_what_the_operator_gave_up_is_left_alone() -> None:
    state = fold(frozen("A"), change("A", Status.SKIPPED, by="operator"))
    assert isinstance(next_step(state, BARE), Finish)


def test_a_reason_for_giving_up_names_what_stood_in_the_way_last() -> None:
    refusal = ev.GuardDecision(tool_use_id="t", tool="claim", guard="evidence", reason="nobody has read it")
    tries: list[ev.Event] = [frozen("A")]
    for number in (1, 2, 3):
        tries += [started(number, "generator", "A"), refusal, ended(number)]
    assert next_step(fold(*tries), BARE) == Skip(
        "A", "no accepted claim in 3 attempts; the last: nobody has read it"
    )


def test_features_that_verdicts_on_each_other_refute_are_given_up() -> None:
    rounds: list[ev.Event] = [frozen("A", "B"), change("A", Status.VERIFIED), change("B", Status.VERIFIED)]
    for _ in range(3):
        rounds += [change("A", Status.REGRESSED, by="evaluator"), change("A", Status.CLAIMED)]
        rounds += [change("A", Status.VERIFIED)]
    state = fold(*rounds, change("A", Status.REGRESSED, by="evaluator"))
    assert next_step(state, JUDGED) == Skip("A", "no accepted claim in 4 attempts")


def test_what_a_verdict_refuted_is_mended_before_another_verdict_covers_its_findings() -> None:
    claimed = (frozen("A", "B"), change("A", Status.CLAIMED), change("B", Status.CLAIMED))
    refuted = fold(*claimed, verdict("NEEDS_WORK", "A"), change("A", Status.FAILING))
    assert next_step(refuted, JUDGED) == Build(["A"])
    other = fold(
        *(frozen("A", "B", "C"), change("A", Status.CLAIMED), change("C", Status.CLAIMED)),
        *(verdict("PASS", "A", named="B"), change("B", Status.REGRESSED), change("A", Status.VERIFIED)),
    )
    assert next_step(other, JUDGED) == Build(["B"])


def test_a_question_that_went_stale_and_was_not_put_again_is_put_again() -> None:
    plan = Plan(cadence="feature", checkpoints=["on-needs-work"], max_retries=3)
    events = (frozen("A"), change("A", Status.CLAIMED), verdict("NEEDS_WORK", "A"))
    state = fold(*events, change("A", Status.FAILING), asked("needs-work", "A"), decided("stale"))
    assert isinstance(next_step(state, plan), Ask)


def test_the_whole_is_asked_about_at_the_end_and_built_on_when_sent_back() -> None:
    plan = Plan(checkpoints=["end"], max_retries=3)
    done = (frozen("A"), change("A", Status.CLAIMED))
    step = next_step(fold(*done), plan)
    assert isinstance(step, Ask) and step.kind == "end" and step.features == ["A"]
    back = (*done, asked("end", "A"), decided("reject"))
    assert next_step(fold(*back), plan) == Build()
    begun = (*back, started(1, "generator"))
    assert next_step(fold(*begun), plan) == Build([])
    again = next_step(fold(*begun, ended(1)), plan)
    assert isinstance(again, Ask) and again.kind == "end"
    approved = fold(*done, change("A", Status.APPROVED))
    assert next_step(approved, plan) == Finish(Exit.DONE, "all features pass")


statuses = st.sampled_from(list(Status))
policies = st.sets(st.sampled_from(["on-needs-work", "on-pass", "per-sprint", "end"]))
plans = st.builds(
    Plan,
    max_retries=st.integers(1, 4),
    checkpoints=policies,
    asks_on_contract=st.booleans(),
    planner=st.booleans(),
    negotiates=st.booleans(),
    continuous=st.booleans(),
    cadence=st.sampled_from(["off", "feature", "sprint", "end"]),
    rounds=st.integers(1, 3),
    contract_rounds=st.integers(1, 3),
    sprint_features=st.integers(1, 3),
)
wholes = st.builds(
    Plan,
    max_retries=st.just(3),
    contract=st.just(False),
    checkpoints=policies,
    cadence=st.sampled_from(["off", "end"]),
    rounds=st.integers(1, 3),
    min_iterations=st.integers(0, 5),
    max_iterations=st.integers(0, 6),
)


@given(st.lists(statuses, min_size=1, max_size=6), plans)
def test_a_run_is_done_only_when_every_feature_passes(found: list[Status], plan: Plan) -> None:
    names = [f"F{number}" for number in range(len(found))]
    spec = ev.SpecWritten(name="spec.md", sha256="0", by="planner")
    state = fold(spec, frozen(*names), *(change(name, to) for name, to in zip(names, found, strict=True)))
    step = next_step(state, plan)
    if isinstance(step, Finish):
        assert (step.code is Exit.DONE) == all(status in PASSING for status in found)
        assert not (set(found) & {Status.FAILING, Status.REGRESSED})
    elif isinstance(step, Build):
        assert step.features
        assert all(
            state.features[name].status in (Status.FAILING, Status.REGRESSED) for name in step.features
        )


# --- Iterations of a design ----------------------------------------------------------------------------


def iterated(*totals: float) -> list[ev.Event]:
    """A run in iterations that scored so."""
    events: list[ev.Event] = []
    for number, total in enumerate(totals, 1):
        events += [started(2 * number - 1, "generator"), ended(2 * number - 1)]
        judged = verdict("NEEDS_WORK", session=2 * number, iteration=number, total=total)
        events += [started(2 * number, "evaluator"), judged, ended(2 * number)]
    return events


def designed(count: int) -> Plan:
    end = dict(min_iterations=count, max_iterations=count)
    return Plan(contract=False, cadence="end", checkpoints=["end"], max_retries=3, **end)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=6), st.integers(0, 6))
def test_the_iteration_that_the_operator_chose_stands_else_the_best_one(
    totals: list[float], chosen: int
) -> None:
    plan, events = designed(len(totals)), iterated(*totals)
    assert isinstance(next_step(fold(*events), plan), Ask)
    choice = min(chosen, len(totals)) or None
    events += [asked("end"), decided("approve", choice)]
    step = next_step(fold(*events), plan)
    assert isinstance(step, Choose) and step.by == ("operator" if choice else "engine")
    assert step.iteration == choice or (not choice and totals[step.iteration - 1] == max(totals))
    # Done twice, as after a kill, it comes to the same.
    assert next_step(fold(*events), plan) == step
    events.append(ev.IterationChosen(iteration=step.iteration, by=step.by))
    stands = Finish(Exit.DONE, f"iteration {step.iteration} of {len(totals)} stands")
    assert next_step(fold(*events), plan) == stands
    assert next_step(fold(*events, events[-1]), plan) == stands


def test_what_was_chosen_among_fewer_iterations_does_not_outlive_another_one() -> None:
    events = [*iterated(5, 7), asked("end"), decided("approve", 1)]
    events.append(ev.IterationChosen(iteration=1, by="operator"))
    longer = designed(3)
    assert isinstance(next_step(fold(*events), longer), Build)
    events += [started(5, "generator"), ended(5), started(6, "evaluator")]
    events += [verdict("PASS", session=6, iteration=3, total=9), ended(6)]
    assert isinstance(next_step(fold(*events), longer), Ask)
    events += [asked("end"), decided("approve")]
    assert next_step(fold(*events), longer) == Choose(3)


def test_a_design_that_is_sent_back_is_asked_about_anew() -> None:
    events = [*iterated(5, 7), asked("end"), decided("reject")]
    assert isinstance(next_step(fold(*events), designed(2)), Build)


@given(st.lists(st.integers(0, 5), max_size=60), plans | wholes)
def test_every_path_through_a_run_ends(choices: list[int], plan: Plan) -> None:
    """Whatever the sessions bring, within the attempts and rounds that there are the run comes to its end."""
    events: list[ev.Event] = []
    fates = iter(choices)
    for number in range(1, 400):
        step = next_step(fold(*events), plan)
        if isinstance(step, Finish):
            return
        events.extend(_done(step, number, next(fates, 0), plan))
    raise AssertionError("no end in sight")


FRUITLESS = ["done", "timeout", "loop", "session_limit", "too_long"]


@given(st.lists(st.sampled_from(FRUITLESS), min_size=1, max_size=9), plans)
def test_sessions_that_bring_nothing_end_a_run_and_keep_no_feature_from_its_attempts(
    ends: list[str], plan: Plan
) -> None:
    # An operator could approve of what doesn't work.
    plan = replace(plan, checkpoints=())
    events: list[ev.Event] = []
    built: list[str] = []
    reasons = cycle(ends)
    for number in range(1, 400):
        step = next_step(fold(*events), plan)
        match step:
            case Finish(code, reason):
                assert code is Exit.FAILED and reason.startswith("3 of 3 features are left")
                assert Counter(built) == dict.fromkeys("ABC", plan.max_retries + 1)
                return
            case Build(features):
                built.append(features[0])
                events += [started(number, "generator", *features), ended(number, next(reasons))]
            case _:
                events.extend(_done(step, number, 0, plan))
    raise AssertionError("no end in sight")


@given(st.sampled_from(FRUITLESS), st.sampled_from(["sprint", "end"]), st.integers(1, 3))
def test_an_evaluator_that_is_never_content_and_builders_that_are_cut_short_end_a_run(
    reason: str, cadence: str, rounds: int
) -> None:
    """Its findings name no feature, so none of them is given up."""
    plan = Plan(cadence=cadence, max_retries=3, rounds=rounds)
    events: list[ev.Event] = []
    for number in range(1, 60):
        match step := next_step(fold(*events), plan):
            case Finish(code):
                assert code is Exit.FAILED
                return
            case Build(features):
                claims = [change(name, Status.CLAIMED) for name in features]
                events += [started(number, "generator", *features), *claims, ended(number, reason)]
            case Evaluate(scope):
                judged = verdict("NEEDS_WORK", *scope, session=number)
                events += [started(number, "evaluator", *scope), judged, ended(number)]
            case _:
                events.extend(_done(step, number, 0, plan))
    raise AssertionError("no end in sight")


def _done(step: Step, number: int, fate: int, plan: Plan) -> Iterable[ev.Event]:
    match step:
        case Specify():
            yield ev.SpecWritten(name="spec.md", sha256="0", by="planner")
        case Initialize():
            yield frozen("A", "B", "C")
        case StartSprint() | Propose() | Review() | Agree() | EndSprint():
            yield from _negotiated(step, fate)
        case Build(features):
            yield started(number, "generator", *features)
            # One session brings something for any number of its features, from none to all.
            yield from (change(name, Status.CLAIMED) for name in features[: fate % 4])
            yield ended(number)
        case Evaluate(scope):
            yield started(number, "evaluator", *scope)
            named = scope[fate % len(scope)] if scope and fate % 2 else None
            word = "PASS" if fate < 3 else "NEEDS_WORK"
            count = 1 if plan.max_iterations else 0
            yield verdict(word, *scope, session=number, named=named, iteration=count and number, total=fate)
            yield ended(number)
        case Apply(judged):
            wrong = refuted(judged)
            yield from (change(name, Status.FAILING) for name in judged.scope if name in wrong)
            if judged.verdict == "PASS":
                yield from (change(name, Status.VERIFIED) for name in judged.scope if name not in wrong)
        case Ask(kind, features, _):
            yield from _answered(kind, list(features), number, fate)
        case Choose(iteration, by):
            yield ev.IterationChosen(iteration=iteration, by=by)
        case Skip(feature, _):
            yield change(feature, Status.SKIPPED, by="engine")
        case Revisit(feature):
            yield change(feature, Status.FAILING, by="engine")
        case _:
            raise AssertionError(step)


def _negotiated(step: Step, fate: int) -> Iterable[ev.Event]:
    match step:
        case StartSprint(number, features):
            yield ev.SprintStarted(sprint=number, features=list(features), path="contracts/01-a.md")
        case Propose(sprint):
            yield ev.ContractProposed(
                sprint=sprint.number, round=sprint.proposed + 1, path=sprint.path, sha256="0"
            )
        case Review(sprint):
            word = "PASS" if fate < 2 else "NEEDS_WORK"
            yield ev.ContractReviewed(
                sprint=sprint.number, round=sprint.reviewed + 1, verdict=word, criteria=[]
            )
        case Agree(sprint, by):
            yield ev.ContractAgreed(sprint=sprint.number, path=sprint.path, sha256="0", criteria=[], by=by)
        case EndSprint(number):
            yield ev.SprintEnded(sprint=number)


def _answered(kind: str, features: list[str], number: int, fate: int) -> Iterable[ev.Event]:
    yield ev.CheckpointOpened(id=str(number), kind=kind, subject_hash="h", features=features)
    approves = kind == "needs-work" or fate < 5
    if approves and kind not in ("needs-work", "contract"):
        yield from (change(feature, Status.APPROVED) for feature in features)
    yield ev.CheckpointDecided(id=str(number), decision="approve" if approves else "reject", by="me")

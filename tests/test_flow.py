"""What a run does next, by what its journal says: no process, no file, no clock."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_core import events as ev
from harness_core.contract import Status
from harness_core.errors import Exit
from harness_core.flow import (
    Apply,
    Ask,
    Build,
    Close,
    Evaluate,
    Finish,
    Initialize,
    Plan,
    Skip,
    Step,
    next_step,
)
from harness_core.state import PASSING, RunState

BARE = Plan(evaluates=False, checkpoints=(), max_retries=3)
JUDGED = Plan(evaluates=True, checkpoints=(), max_retries=3)
TS = "2026-01-01T00:00:00.000Z"


def fold(*events: ev.Event) -> RunState:
    state = RunState()
    for seq, event in enumerate(events, 1):
        state.apply(type(event)(**{**_fields(event), "seq": seq, "ts": TS}))
    return state


def _fields(event: ev.Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def frozen(*features: str) -> ev.Event:
    return ev.ContractFrozen(features=list(features), sha256="0", name="feature_list.json")


def change(feature: str, to: Status, by: str = "somebody") -> ev.Event:
    return ev.FeatureChanged(feature=feature, from_=Status.FAILING, to=to, by=by)


def started(number: int, role: str, feature: str | None = None) -> ev.Event:
    return ev.SessionStarted(session=number, role=role, sdk_session="s", model="m", feature=feature)


def ended(number: int, reason: str = "done") -> ev.Event:
    return ev.SessionEnded(session=number, reason=reason, ms=0, turns=1, usd=0)


def verdict(word: str, *scope: str, session: int = 1, named: str | None = None) -> ev.Event:
    finding = ev.Finding(feature=named, criterion="c", where="w", reproduce="r")
    return ev.Verdict(session=session, verdict=word, scope=list(scope), findings=[finding] if named else [])


def asked(kind: str, *features: str) -> ev.Event:
    return ev.CheckpointOpened(id="001", kind=kind, subject_hash="h", features=list(features), summary="?")


def decided(word: str) -> ev.Event:
    return ev.CheckpointDecided(id="001", decision=word, by="me")


def test_a_run_without_a_contract_is_initialized() -> None:
    assert next_step(RunState(), BARE) == Initialize()
    assert next_step(fold(started(1, "initializer")), BARE) == Initialize()


def test_an_initializer_that_was_cut_off_after_its_contract_was_frozen_is_closed() -> None:
    step = next_step(fold(started(1, "initializer"), frozen("A")), BARE)
    assert isinstance(step, Close) and step.session.number == 1


def test_features_are_built_in_the_contracts_order_regressed_ones_first() -> None:
    assert next_step(fold(frozen("A", "B")), BARE) == Build("A")
    assert next_step(fold(frozen("A", "B"), change("A", Status.CLAIMED)), BARE) == Build("B")
    broken = fold(frozen("A", "B", "C"), change("C", Status.REGRESSED))
    assert next_step(broken, BARE) == Build("C")


def test_a_session_that_was_cut_off_goes_on_with_its_own_feature() -> None:
    state = fold(frozen("A", "B"), started(1, "generator", "B"))
    assert next_step(state, JUDGED) == Build("B")
    claimed = fold(frozen("A", "B"), started(1, "generator", "B"), change("B", Status.CLAIMED))
    assert next_step(claimed, JUDGED) == Build("B")


def test_a_claim_is_judged_before_anything_else_is_built() -> None:
    events = (frozen("A", "B"), started(1, "generator", "A"), change("A", Status.CLAIMED), ended(1))
    assert next_step(fold(*events), JUDGED) == Evaluate("A")
    assert next_step(fold(*events), BARE) == Build("B")


def test_a_verdict_is_given_once_and_applied_once() -> None:
    claimed = (frozen("A"), change("A", Status.CLAIMED), started(2, "evaluator", "A"))
    assert next_step(fold(*claimed), JUDGED) == Evaluate("A")
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
    plan = Plan(evaluates=True, checkpoints=[policy], max_retries=3)
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
        assert next_step(fold(frozen("A", "B"), *tries), BARE) == Build("A")
        tries += [started(number, "generator", "A"), ended(number)]
    state = fold(frozen("A", "B"), *tries)
    assert next_step(state, BARE) == Skip("A", 3)
    skipped = fold(frozen("A", "B"), *tries, change("A", Status.SKIPPED))
    assert next_step(skipped, BARE) == Build("B")
    over = fold(frozen("A", "B"), *tries, change("A", Status.SKIPPED), change("B", Status.CLAIMED))
    step = next_step(over, BARE)
    assert isinstance(step, Finish) and step.code is Exit.FAILED and "1 of 2" in step.reason


def test_what_the_operator_sends_back_gets_attempts_of_its_own() -> None:
    tries: list[ev.Event] = []
    for number in (1, 2, 3):
        tries += [started(number, "generator", "A"), ended(number)]
    back = (change("A", Status.CLAIMED), change("A", Status.REGRESSED, by="operator"))
    assert next_step(fold(frozen("A"), *tries, *back), BARE) == Build("A")


@pytest.mark.parametrize(("word", "named"), [("NEEDS_WORK", None), ("PASS", "A")])
def test_a_claim_that_is_refuted_again_and_again_is_given_up(word: str, named: str | None) -> None:
    rounds: list[ev.Event] = [frozen("A")]
    for number in (1, 2, 3):
        assert next_step(fold(*rounds), JUDGED) == Build("A")
        judged = verdict(word, "A", session=number, named=named)
        rounds += [change("A", Status.CLAIMED), judged, change("A", Status.FAILING)]
    assert next_step(fold(*rounds), JUDGED) == Skip("A", 3)


def test_features_that_verdicts_on_each_other_refute_are_given_up() -> None:
    rounds: list[ev.Event] = [frozen("A", "B"), change("A", Status.VERIFIED), change("B", Status.VERIFIED)]
    for _ in range(3):
        rounds += [change("A", Status.REGRESSED, by="evaluator"), change("A", Status.CLAIMED)]
        rounds += [change("A", Status.VERIFIED)]
    state = fold(*rounds, change("A", Status.REGRESSED, by="evaluator"))
    assert next_step(state, JUDGED) == Skip("A", 4)


def test_what_a_verdict_refuted_is_mended_before_another_verdict_covers_its_findings() -> None:
    claimed = (frozen("A", "B"), change("A", Status.CLAIMED), change("B", Status.CLAIMED))
    refuted = fold(*claimed, verdict("NEEDS_WORK", "A"), change("A", Status.FAILING))
    assert next_step(refuted, JUDGED) == Build("A")
    other = fold(
        *(frozen("A", "B", "C"), change("A", Status.CLAIMED), change("C", Status.CLAIMED)),
        *(verdict("PASS", "A", named="B"), change("B", Status.REGRESSED), change("A", Status.VERIFIED)),
    )
    assert next_step(other, JUDGED) == Build("B")


def test_a_question_that_went_stale_and_was_not_put_again_is_put_again() -> None:
    plan = Plan(evaluates=True, checkpoints=["on-needs-work"], max_retries=3)
    events = (frozen("A"), change("A", Status.CLAIMED), verdict("NEEDS_WORK", "A"))
    state = fold(*events, change("A", Status.FAILING), asked("needs-work", "A"), decided("stale"))
    assert isinstance(next_step(state, plan), Ask)


def test_the_whole_is_asked_about_at_the_end_and_built_on_when_sent_back() -> None:
    plan = Plan(evaluates=False, checkpoints=["end"], max_retries=3)
    done = (frozen("A"), change("A", Status.CLAIMED))
    step = next_step(fold(*done), plan)
    assert isinstance(step, Ask) and step.kind == "end" and step.features == ["A"]
    back = (*done, asked("end", "A"), decided("reject"))
    assert next_step(fold(*back), plan) == Build(None)
    begun = (*back, started(1, "generator"))
    assert next_step(fold(*begun), plan) == Build(None)
    again = next_step(fold(*begun, ended(1)), plan)
    assert isinstance(again, Ask) and again.kind == "end"
    approved = fold(*done, change("A", Status.APPROVED))
    assert next_step(approved, plan) == Finish(Exit.DONE, "all features pass")


statuses = st.sampled_from(list(Status))
plans = st.builds(
    Plan,
    evaluates=st.booleans(),
    checkpoints=st.sets(st.sampled_from(["on-needs-work", "on-pass", "end"])),
    max_retries=st.integers(1, 4),
)


@given(st.lists(statuses, min_size=1, max_size=6), plans)
def test_a_run_is_done_only_when_every_feature_passes(found: list[Status], plan: Plan) -> None:
    names = [f"F{number}" for number in range(len(found))]
    state = fold(frozen(*names), *(change(name, to) for name, to in zip(names, found, strict=True)))
    step = next_step(state, plan)
    if isinstance(step, Finish):
        assert (step.code is Exit.DONE) == all(status in PASSING for status in found)
        assert not (set(found) & {Status.FAILING, Status.REGRESSED})
    elif isinstance(step, Build):
        assert state.features[step.feature or ""].status in (Status.FAILING, Status.REGRESSED)


@given(st.lists(st.integers(0, 5), max_size=40), plans)
def test_every_path_through_a_run_ends(choices: list[int], plan: Plan) -> None:
    """Whatever the sessions bring, within the attempts that there are the run comes to its end."""
    events: list[ev.Event] = [frozen("A", "B")]
    fates = iter(choices)
    for number in range(1, 200):
        step = next_step(fold(*events), plan)
        if isinstance(step, Finish):
            return
        events.extend(_done(step, number, next(fates, 0)))
    raise AssertionError("no end in sight")


def _done(step: Step, number: int, fate: int) -> Iterable[ev.Event]:
    match step:
        case Build(feature):
            yield started(number, "generator", feature)
            if feature is not None and fate % 2 == 0:
                yield change(feature, Status.CLAIMED)
            yield ended(number)
        case Evaluate(feature):
            yield started(number, "evaluator", feature)
            yield verdict("PASS" if fate < 3 else "NEEDS_WORK", feature, session=number)
            yield ended(number)
        case Apply(judged):
            to = Status.VERIFIED if judged.verdict == "PASS" else Status.FAILING
            yield from (change(feature, to) for feature in judged.scope)
        case Ask(kind, features, _):
            yield ev.CheckpointOpened(id=str(number), kind=kind, subject_hash="h", features=features)
            approves = kind == "needs-work" or fate < 5
            if approves and kind != "needs-work":
                yield from (change(feature, Status.APPROVED) for feature in features)
            yield ev.CheckpointDecided(id=str(number), decision="approve" if approves else "reject", by="me")
        case Skip(feature, _):
            yield change(feature, Status.SKIPPED)
        case _:
            raise AssertionError(step)

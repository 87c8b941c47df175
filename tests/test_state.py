"""The fold: the same from any cut, and what `status` says of it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_core.contract.record import Status
from harness_core.errors import NewerFormat
from harness_core.evidence.claim import Kind
from harness_core.grading.evaluation import read_verdict
from harness_core.layout import RunDir
from harness_core.limits import reached
from harness_core.machine.lock import RunLock
from harness_core.operator.bounds import Limits
from harness_core.record import events as ev
from harness_core.record import reduce
from harness_core.record.fold import Follower, fold, save_snapshot
from harness_core.record.journal import Journal
from harness_core.record.state import Lifecycle, RunState
from harness_core.record.status import status

names = st.sampled_from(["F1", "F2", "F3"])
phases = st.sampled_from(["initialize", "build", "evaluate"])
steers = st.sampled_from(["001", "002", "003"])
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
usd = st.integers(-10, 400).map(lambda cents: cents / 100)
piece = st.builds(
    ev.BoundPiece,
    path=words,
    sha256=words,
    size=st.integers(0, 99),
    mtime_ns=st.integers(0, 2**60),
    kind=st.sampled_from(Kind),
    commit=st.none() | words,
    also_for=st.lists(names, max_size=2),
)
finding = st.builds(ev.Finding, feature=st.none() | names, criterion=words, where=words, reproduce=words)
one_event = st.one_of(
    st.builds(ev.RunStarted, format=st.just(1), preset=words, run_id=words, limits=st.just({"max_usd": 5.0})),
    st.builds(ev.RunResumed, pid=st.integers(1, 99)),
    st.builds(ev.RunEnded, reason=words, exit=st.integers(0, 5)),
    st.builds(ev.PhaseStarted, phase=phases, round=st.integers(1, 2)),
    st.builds(ev.PhaseEnded, phase=phases, ms=st.integers(0, 9999)),
    st.builds(
        ev.SessionStarted,
        session=st.integers(1, 5),
        role=st.sampled_from(["generator", "evaluator"]),
        sdk_session=words,
        model=words,
        phase=phases,
        feature=st.none() | names,
        resumed=st.booleans(),
    ),
    st.builds(
        ev.SessionEnded, reason=st.sampled_from(["done", "limit"]), ms=st.just(5), turns=st.just(1), usd=usd
    ),
    st.builds(ev.ContractFrozen, features=st.just(["F1", "F2", "F3"]), sha256=words, name=words),
    st.builds(
        ev.FeatureChanged,
        feature=names,
        from_=st.sampled_from(Status),
        to=st.sampled_from(Status),
        by=words,
        evidence=st.lists(piece, max_size=2),
        note=words,
    ),
    st.builds(ev.SteerQueued, id=steers, mode=st.just("now"), text=words),
    st.builds(ev.SteerDelivered, id=steers, sdk_session=words),
    st.builds(ev.SteerAcknowledged, id=steers),
    st.builds(ev.StopRequested, mode=st.sampled_from(["pause", "finish", "now"])),
    st.builds(ev.StopConfirmed, mode=st.just("pause"), survivors=st.lists(words, max_size=2)),
    st.builds(ev.StopCleared),
    st.builds(ev.CheckpointOpened, id=steers, kind=words, subject_hash=words, features=st.lists(names)),
    st.builds(ev.CheckpointDecided, id=steers, decision=words, by=words),
    st.builds(
        ev.Verdict,
        verdict=st.sampled_from(["PASS", "NEEDS_WORK"]),
        scope=st.lists(names, max_size=2),
        findings=st.lists(finding, max_size=2),
        scores=st.just([ev.Score("craft", 7, "fine")]),
    ),
    st.builds(ev.Cost, usd=usd, tokens=st.integers(0, 10**9), phase=phases, turns=st.integers(0, 3)),
    st.builds(ev.RateLimited, status=st.sampled_from(["rejected", "allowed"]), resets_at=st.none() | words),
    st.builds(ev.Text, text=words),
    st.builds(ev.Error, message=words),
    st.builds(ev.GuardDecision, tool_use_id=words, tool=words, guard=words, reason=words),
    st.builds(ev.ContractTampered, what=words),
)


def journal(root: Path, *events: ev.Event) -> RunDir:
    run = RunDir.at(root)
    writer = Journal(run.journal)
    for event in events:
        writer.append(event)
    writer.close()
    return run


def folded(*events: ev.Event) -> RunState:
    """The fold of events in memory, with a second between each and the next."""
    state = RunState()
    for seq, event in enumerate(events, 1):
        ts = f"2026-01-01T00:{seq // 60:02d}:{seq % 60:02d}.000Z"
        reduce.apply(state, msgspec.structs.replace(event, seq=seq, ts=ts))
    return state


started = ev.RunStarted(format=1, preset="two-agent", run_id="r")
session = ev.SessionStarted(session=1, role="generator", sdk_session="s", model="m", feature="F1")
frozen = ev.ContractFrozen(features=["F1", "F2", "F3"], sha256="x", name="feature_list.json", adopted=["F3"])
asked = ev.CheckpointOpened(id="001", kind="end", subject_hash="h")
wait = ev.RateLimited(status="rejected", resets_at="2026-01-01T01:00:00Z")


# --- Snapshots ------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.lists(one_event, max_size=25), st.data())
def test_folding_from_a_snapshot_equals_folding_from_the_start(
    tmp_path_factory: pytest.TempPathFactory, events: list[ev.Event], data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("run")
    cut = data.draw(st.integers(0, len(events)))
    run = journal(root, *events[:cut])
    first = Follower(run)
    first.catch_up()
    save_snapshot(run, first.state, first.tail.offset)
    journal(root, *events[cut:])

    from_snapshot = Follower(run)
    assert from_snapshot.tail.offset == first.tail.offset
    followed = first.catch_up()
    run.snapshot.unlink()
    assert followed == from_snapshot.catch_up() == fold(run)
    assert followed.last_seq == len(events)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 50, b"{}", b"\xff\xfe", b"[" * 100_000, b'{"offset":3,"inode":1,"state":{}}'],
    ids=range(6),
)
def test_a_snapshot_that_can_not_be_read_is_ignored(tmp_path: Path, content: bytes) -> None:
    run = journal(tmp_path, started, session)
    expected = fold(run)
    run.snapshot.write_bytes(content)
    assert fold(run) == expected


def test_a_snapshot_of_another_journal_or_place_is_ignored(tmp_path: Path) -> None:
    run = journal(tmp_path, started, session, frozen)
    expected = fold(run)
    size = run.journal.stat().st_size
    wrong = RunState(last_seq=3, usd=99.0)
    for offset in (1, size - 1, size + 1, 10**12, -1):
        save_snapshot(run, wrong, offset)
        assert fold(run) == expected, offset
    save_snapshot(run, RunState(last_seq=2, usd=99.0), size)
    assert fold(run) == expected

    save_snapshot(run, wrong, size)
    copy = run.journal.read_bytes()
    run.journal.rename(tmp_path / "old")
    run.journal.write_bytes(copy)
    assert fold(run) == expected


def test_a_snapshot_of_an_end_that_was_lost_is_ignored_when_the_journal_has_grown_again(
    tmp_path: Path,
) -> None:
    run = journal(tmp_path, started, session)
    kept = run.journal.stat().st_size
    journal(tmp_path, ev.Cost(usd=5.0, tokens=1, phase="build"))
    follower = Follower(run)
    save_snapshot(run, follower.catch_up(), follower.tail.offset)
    with run.journal.open("r+b") as stream:
        stream.truncate(kept)
    journal(tmp_path, ev.Text(text="a"), ev.Text(text="b" * 300))
    assert fold(run).usd == 0.0
    assert fold(run).last_seq == 4


def test_damage_is_counted_once_however_often_it_is_looked_for(tmp_path: Path) -> None:
    run = journal(tmp_path, started, session, frozen)
    lines = run.journal.read_bytes().splitlines(keepends=True)
    run.journal.write_bytes(lines[0] + b"damage\n" + lines[2])
    follower = Follower(run)
    assert follower.catch_up().damaged == 1
    save_snapshot(run, follower.state, follower.tail.offset)
    assert fold(run).damaged == 1


# --- What the fold says -----------------------------------------------------------------------------------

LIFECYCLES = [
    ([], False, False, "idle"),
    ([], True, False, "starting"),
    ([started], True, False, "starting"),
    ([started], False, False, "lost"),
    ([started, session], True, False, "running"),
    ([started, session], False, False, "lost"),
    ([started, session], True, True, "stopping"),
    ([started, session, ev.StopRequested(mode="pause")], True, True, "stopping"),
    ([started, session, ev.StopRequested(mode="now")], True, False, "stopping"),
    ([started, session, ev.StopRequested(mode="finish")], True, False, "running"),
    (
        [started, session, ev.StopRequested(mode="pause"), ev.StopConfirmed(mode="pause")],
        True,
        True,
        "stopped",
    ),
    (
        [started, session, ev.StopRequested(mode="pause"), ev.StopConfirmed(mode="pause"), ev.StopCleared()],
        True,
        False,
        "running",
    ),
    ([started, session, wait], True, False, "waiting_limit"),
    ([started, session, wait, ev.Text(text="on")], True, False, "running"),
    (
        [started, session, ev.Retry(attempt=0, max=8, delay_ms=90_000, status=429)],
        True,
        False,
        "waiting_limit",
    ),
    ([started, session, ev.Retry(attempt=5, max=8, delay_ms=90_000, status=None)], True, False, "running"),
    ([started, session, wait], True, True, "stopping"),
    ([started, asked], True, False, "waiting_approval"),
    ([started, asked, ev.RunEnded(reason="waits", exit=5)], False, False, "waiting_approval"),
    ([started, asked, ev.StopRequested(mode="finish")], True, False, "waiting_approval"),
    ([started, asked, ev.StopRequested(mode="pause")], True, True, "stopping"),
    ([started, asked, ev.CheckpointDecided(id="001", decision="approve", by="me")], True, False, "starting"),
    (
        [started, asked, ev.CheckpointDecided(id="000", decision="approve", by="me")],
        True,
        False,
        "waiting_approval",
    ),
    ([started, session, ev.RunEnded(reason="all", exit=0)], False, False, "complete"),
    ([started, session, ev.RunEnded(reason="no", exit=1)], False, False, "failed"),
    ([started, session, ev.RunEnded(reason="stop", exit=3)], False, False, "stopped"),
    ([started, session, ev.RunEnded(reason="limit", exit=4)], False, False, "stopped"),
    ([started, session, ev.RunEnded(reason="no", exit=1), ev.RunResumed(pid=1)], True, False, "running"),
    ([started, session, ev.RunEnded(reason="all", exit=0), ev.RunResumed(pid=1)], False, False, "lost"),
]


@pytest.mark.parametrize(("events", "alive", "stop_file", "word"), LIFECYCLES, ids=range(len(LIFECYCLES)))
def test_the_lifecycle_word(events: list[ev.Event], alive: bool, stop_file: bool, word: str) -> None:
    assert folded(*events).lifecycle(alive=alive, stop_file=stop_file) is Lifecycle(word)


def test_costs_add_up_over_the_run_the_session_and_the_phases() -> None:
    state = folded(
        started,
        ev.PhaseStarted(phase="build"),
        session,
        ev.Cost(usd=1.5, tokens=100, phase="build", turns=1, context=90),
        ev.Cost(usd=2.0, tokens=50, phase="evaluate", turns=2),
        ev.Cost(usd=-0.25, tokens=0, phase="build"),
        ev.PhaseEnded(phase="build", ms=1200),
        ev.PhaseStarted(phase="build"),
    )
    assert (state.usd, state.tokens, state.turns, state.context) == (3.25, 150, 3, 90)
    assert state.open_session is not None and state.open_session.usd == 3.25
    shown = {(p.name, p.round, p.ms, p.turns, p.tokens, p.usd) for p in state.phases}
    assert shown == {("build", 1, 6000, 1, 100, 1.25), ("evaluate", 1, 0, 2, 50, 2.0)}


def test_features_are_counted_by_status_and_passing_from_claimed_on() -> None:
    moves = [("F1", Status.FAILING, Status.CLAIMED), ("F3", Status.CLAIMED, Status.REGRESSED)]
    state = folded(
        started, frozen, *[ev.FeatureChanged(feature=f, from_=a, to=b, by="x") for f, a, b in moves]
    )
    assert state.counts == {
        "total": 3, "failing": 1, "claimed": 1, "verified": 0, "approved": 0, "regressed": 1, "skipped": 0,
        "passing": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "claimed", "attempts"),
    [
        ("done", False, 1),
        ("timeout", False, 1),
        ("too_long", False, 1),
        ("stopped", False, 0),
        ("done", True, 0),
    ],
)
def test_a_fruitless_session_counts_as_an_attempt(reason: str, claimed: bool, attempts: int) -> None:
    claim = ev.FeatureChanged(feature="F1", from_=Status.FAILING, to=Status.CLAIMED, by="generator")
    end = ev.SessionEnded(reason=reason, ms=1, turns=1, usd=0.0)
    state = folded(started, frozen, session, *([claim] if claimed else []), end)
    assert state.features["F1"].attempts == attempts


def test_steering_is_counted_once_each_and_forgotten_when_acknowledged() -> None:
    delivered = ev.SteerDelivered(id="001")
    state = folded(
        ev.SteerQueued(id="001", mode="now", text="a"),
        ev.SteerQueued(id="002", mode="next", text="b"),
        delivered,
        delivered,
        ev.SteerAcknowledged(id="001"),
        ev.SteerAcknowledged(id="001"),
    )
    assert (state.steer_queued, state.steer_delivered, state.steer_acknowledged) == (2, 1, 1)
    assert list(state.steering) == ["002"]


def test_unknown_events_change_nothing_but_the_place() -> None:
    before = folded(started, session)
    after = folded(started, session, ev.Unknown(fields={"type": "new"}))
    assert after.last_seq == 3
    after.last_seq, after.last_ts, after.active_ms = before.last_seq, before.last_ts, before.active_ms
    assert before.open_session is not None and after.open_session is not None
    after.open_session.active_ms = before.open_session.active_ms
    assert after == before


def test_work_time_counts_neither_pauses_between_engines_nor_a_clock_that_goes_back() -> None:
    state = RunState()
    times = ["10:00:00", "10:00:05", "09:00:00", "09:00:01", "15:00:00", "15:00:02"]
    for seq, clock in enumerate(times, 1):
        event = {1: started, 5: ev.RunResumed(pid=1)}.get(seq, ev.Text(text=""))
        reduce.apply(state, msgspec.structs.replace(event, seq=seq, ts=f"2026-01-01T{clock}.000Z"))
    assert state.active_ms == 8000


def test_work_time_does_not_count_what_waits_for_the_operator() -> None:
    state = RunState()
    asked = ev.CheckpointOpened(id="001", kind="end", subject_hash="h")
    decided = ev.CheckpointDecided(id="001", decision="approve", by="me")
    story: list[tuple[int, ev.Event]] = [
        (0, started),
        (2, asked),
        (600, decided),
        (603, ev.StopConfirmed(mode="pause")),
        (1800, ev.StopCleared()),
        (1804, ev.Text(text="")),
    ]
    for seq, (second, event) in enumerate(story, 1):
        minute, rest = divmod(second, 60)
        ts = f"2026-01-01T10:{minute:02}:{rest:02}.000Z"
        reduce.apply(state, msgspec.structs.replace(event, seq=seq, ts=ts))
    assert state.active_ms == 9000


def test_another_harness_works_while_one_of_its_sessions_does() -> None:
    over = ev.SessionEnded(session=1, role="agent", reason="silent", ms=0, turns=0, usd=0.0)
    commit = ev.Commit(sha="1", subject="a", by="outside")
    works = folded(commit, session, ev.Text(text=""), ev.Text(text=""))
    assert works.lifecycle(alive=False) is Lifecycle.RUNNING
    assert works.lifecycle(alive=False, stop_file=True) is Lifecycle.STOPPING
    rests = folded(commit, session, ev.Text(text=""), ev.Text(text=""), over, commit, commit)
    assert rests.lifecycle(alive=False) is Lifecycle.IDLE
    assert (works.active_ms, rests.active_ms) == (2000, 3000)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    run = journal(tmp_path, ev.RunStarted(format=99, preset="p", run_id="r"))
    with pytest.raises(NewerFormat, match="newer Longwatch"):
        fold(run)


# --- Limits and verdicts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "hit"),
    [
        (Limits(), None),
        (Limits(max_usd=3.0), "max_usd"),
        (Limits(max_usd=3.01), None),
        (Limits(max_tokens=100), "max_tokens"),
        (Limits(max_turns=4), "max_turns"),
        (Limits(max_turns=5), None),
        (Limits(max_hours=0.5), "max_hours"),
        (Limits(max_sessions=2), None),
    ],
)
def test_a_limit_is_reached_at_its_value(limits: Limits, hit: str | None) -> None:
    state = RunState(usd=3.0, tokens=100, turns=4, sessions=2, active_ms=1_800_000)
    found = reached(limits, state)
    assert (found.name if found else None) == hit
    assert (reached(limits, state, new_session=True) is not None) == (
        hit is not None or bool(limits.max_sessions)
    )


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"verdict": "PASS", "scores": [], "findings": []}, "PASS"),
        ({"verdict": "NEEDS_WORK", "scores": [], "findings": []}, "NEEDS_WORK"),
        ({"verdict": "pass"}, "NEEDS_WORK"),
        ({"verdict": "PASS", "findings": [{"where": "no criterion"}]}, "NEEDS_WORK"),
        ({}, "NEEDS_WORK"),
        ({"verdict": ["PASS"]}, "NEEDS_WORK"),
    ],
)
def test_only_a_whole_answer_that_says_pass_passes(answer: dict[str, object], verdict: str) -> None:
    found = read_verdict(answer, ["F1"], "abc")
    assert (found.verdict, found.scope, found.commit) == (verdict, ["F1"], "abc")
    assert bool(found.findings) == (verdict != "PASS"), "a build that is sent back needs to know why"


def test_a_refusal_without_findings_goes_by_its_lowest_score() -> None:
    scores = [
        {"criterion": "craft", "score": 7, "reason": "neat"},
        {"criterion": "functionality", "score": 2, "reason": "it does not save"},
    ]
    found = read_verdict({"verdict": "NEEDS_WORK", "scores": scores, "findings": []}, ["F1"], "abc")
    assert [(item.feature, item.criterion, item.where) for item in found.findings] == [
        ("F1", "functionality", "it does not save")
    ]


# --- Status -------------------------------------------------------------------------------------------------

LIST = [{"description": "a", "passes": True}, {"description": "b", "passes": False}]
MAP = {"one": {"passes": True}, "two": {"passes": "true"}, "three": {"passes": True}}


@pytest.mark.parametrize(
    ("name", "contract", "passing", "total"),
    [
        ("feature_list.json", LIST, 1, 2),
        ("test-results.json", MAP, 2, 3),
        ("feature_list.json", {"features": LIST}, 1, 2),
    ],
)
def test_a_contract_of_another_harness_is_counted(
    tmp_path: Path, name: str, contract: object, passing: int, total: int
) -> None:
    (tmp_path / name).write_text(json.dumps(contract))
    report = status(RunDir.at(tmp_path))
    assert (report.features["passing"], report.features["total"]) == (passing, total)
    assert report.lifecycle == "idle"
    assert not (tmp_path / ".longwatch").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"null"])
def test_a_contract_that_can_not_be_read_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "feature_list.json").write_bytes(content)
    assert status(RunDir.at(tmp_path)).features["total"] == 0


def test_status_knows_the_engine_the_stop_file_and_the_question(tmp_path: Path) -> None:
    run = journal(tmp_path, started, frozen, session, asked)
    with RunLock(run) as owner:
        (tmp_path / "AGENT_STOP").symlink_to("nowhere")
        report = status(run)
        assert (report.engine.pid, report.engine.alive) == (owner.pid, True)
    assert (report.run_id, report.last_seq, report.session) == ("r", 4, 1)
    assert report.stop.requested == "pause" and report.stop.confirmed is None
    assert report.checkpoint is not None and report.checkpoint.id == "001"
    assert report.features["passing"] == 1


def test_work_time_counts_for_the_role_at_work_though_two_take_turns() -> None:
    """As in a negotiation, in which both work in one phase and round."""
    roles = ("generator", "evaluator", "generator")
    turns = [ev.PhaseStarted(phase="negotiate", round=1, role=role) for role in roles]
    state = folded(started, *turns, ev.Text(text=""), ev.Text(text=""))
    assert {part.role: part.ms for part in state.phases} == {"generator": 3000, "evaluator": 1000}


def test_a_phase_that_is_under_way_has_taken_time_already() -> None:
    state = folded(started, ev.PhaseStarted(phase="build", role="generator"), ev.Text(text=""))
    assert [part.ms for part in state.phases] == [1000]


def test_the_time_of_a_goals_judge_is_its_own() -> None:
    building = ev.PhaseStarted(phase="build", role="generator")
    asked = ev.Cost(usd=0.1, tokens=1, phase="goal", role="judge", turns=1)
    judged = ev.GoalJudged(met=True, reason="both are there", ms=1500)
    state = folded(started, building, ev.Text(text=""), asked, judged)
    assert {part.name: part.ms for part in state.phases} == {"build": 1500, "goal": 1500}
    assert state.active_ms == 3000 + 1000

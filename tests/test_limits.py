"""Limits of a run, of its phases and of its sessions: what counts, what is reached, and what that ends."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot
from textual.widgets import Input

from harness_core import config
from harness_core import limits as lim
from harness_core.agent.session import Casting, End
from harness_core.brake import Brake
from harness_core.config import RunConfig, RunInfo, save_info
from harness_core.engine import Engine
from harness_core.errors import Mistake
from harness_core.layout import FORMAT
from harness_core.limits import near, reached, standing, used
from harness_core.operator import bounds, control
from harness_core.operator.bounds import NAMES, PHASES, RUN, SESSION, Limits, limited, of_phase
from harness_core.record import events as ev
from harness_core.record import reduce
from harness_core.record.state import OpenSession, PhaseCost, RunState
from harness_core.run import Run
from harness_core.sessions import Assignment
from tests import scenes
from tests.commands import longwatch, said, sentence
from tests.conftest import OpenRun
from tests.console import screen, until, watch
from tests.harness import named, open_stage
from tests.test_limits_command import with_info
from tui.console.cards.limits import LimitsCard

START = datetime(2030, 1, 1, tzinfo=UTC)


def folded(*told: ev.Event, minutes: int = 1) -> RunState:
    """The state after these events, each of them so many minutes after the last."""
    state = RunState()
    for place, event in enumerate(told):
        ts = (START + timedelta(minutes=minutes * place)).isoformat()
        reduce.apply(state, msgspec.structs.replace(event, seq=place + 1, ts=ts))
    return state


def session(number: int, phase: str = "build", role: str = "generator", turn: int = 1) -> ev.SessionStarted:
    return ev.SessionStarted(
        session=number, role=role, sdk_session=f"s{number}", model="m", phase=phase, round=turn
    )


def cost(phase: str = "build", agent: str | None = None, role: str = "generator") -> ev.Cost:
    return ev.Cost(usd=1.0, tokens=100, turns=1, phase=phase, agent=agent, role=role)


started = ev.RunStarted(format=FORMAT, preset="p", run_id="r")
over = ev.SessionEnded(reason="done", ms=1, turns=1, usd=1.0)


def phase(name: str, turn: int = 1, role: str = "generator") -> ev.PhaseStarted:
    return ev.PhaseStarted(phase=name, round=turn, role=role)


# --- What counts --------------------------------------------------------------------------------------


def test_a_session_counts_its_own_and_its_children_s() -> None:
    state = folded(started, phase("build"), session(1), cost(), over, session(2), cost(), cost(agent="a1"))
    taken = used(state, SESSION)
    assert (taken["max_usd"], taken["max_tokens"], taken["max_turns"]) == (2.0, 200, 2)
    assert taken["max_hours"] == pytest.approx(2 / 60)
    assert used(state)["max_turns"] == 3


def test_a_phase_counts_all_its_rounds_and_no_other_phase() -> None:
    state = folded(
        *(started, phase("build"), session(1), cost(), cost(agent="a1"), over),
        *(phase("evaluate", role="evaluator"), session(2, "evaluate", "evaluator")),
        *(cost("evaluate", role="evaluator"), over),
        *(phase("build", 2), session(3, turn=2), cost(), cost("goal", role="judge"), over),
    )
    build, judged = used(state, of_phase("build")), used(state, of_phase("evaluate"))
    assert (build["max_usd"], build["max_sessions"]) == (4.0, 2)
    assert (judged["max_usd"], judged["max_sessions"]) == (1.0, 1)
    assert used(state, of_phase("plan")) == dict.fromkeys(NAMES, 0)
    hours = used(state)["max_hours"]
    assert build["max_hours"] + judged["max_hours"] == pytest.approx(hours - 1 / 60), "but for its start"


def test_a_session_that_goes_on_is_no_other() -> None:
    again = msgspec.structs.replace(session(1), resumed=True)
    state = folded(started, phase("build"), session(1), cost(), ev.RunResumed(pid=2), again, cost())
    assert used(state, SESSION)["max_turns"] == 2
    assert used(state, of_phase("build"))["max_sessions"] == 1


def test_a_wait_for_a_usage_limit_takes_a_run_s_hours_and_no_session_s() -> None:
    waits = ev.RateLimited(status="rejected", resets_at="2030-01-02T00:00:00+00:00")
    state = folded(started, phase("build"), session(1), waits, ev.Text(text="again"), minutes=60)
    assert used(state)["max_hours"] == 4
    assert used(state, SESSION)["max_hours"] == 1
    state = folded(started, phase("build"), session(1), waits, minutes=60)
    later = (START + timedelta(hours=9)).isoformat()
    assert (used(state, RUN, later)["max_hours"], used(state, SESSION, later)["max_hours"]) == (9, 1)


def test_a_session_s_hours_stand_still_while_the_api_is_out_of_reach() -> None:
    silence = ev.StallDetected(what=ev.SILENCE, seconds=3600)
    again = msgspec.structs.replace(session(1), resumed=True)
    refused = ev.Retry(attempt=1, max=8, delay_ms=5000)
    # An hour of silence, found out at its end, and two more until the session hears something again.
    events = (started, phase("build"), session(1), ev.Text(text="on it"), silence, refused, again)
    state = folded(*events, minutes=60)
    later = (START + timedelta(hours=9)).isoformat()
    assert (used(state, RUN, later)["max_hours"], used(state, SESSION, later)["max_hours"]) == (9, 1)
    state = folded(*events, silence, ev.Text(text="back"), ev.Text(text="on"), minutes=60)
    assert (used(state)["max_hours"], used(state, SESSION)["max_hours"]) == (9, 2)


def test_a_phase_has_its_own_limit_in_place_of_every_phase_s() -> None:
    state = folded(started, phase("build"), session(1))
    limits = limited(Limits(), {"phase.max_turns": 5, "phase.build.max_turns": 9, "phase.max_usd": 2.0})
    found = {(one.scope, one.name): one.cap for one in standing(limits, state)}
    assert found == {("phase:build", "max_usd"): 2.0, ("phase:build", "max_turns"): 9}


# --- What is reached ----------------------------------------------------------------------------------

amounts = st.integers(1, 50)
keys = st.sampled_from(
    [
        bounds.key(scope, name)
        for scope in (RUN, SESSION, "phase", "phase:build", "phase:evaluate")
        for name in NAMES
        if (scope, name) != (SESSION, "max_sessions")
    ]
)
asked = st.dictionaries(keys, amounts.map(float), max_size=6)
parts = st.builds(
    PhaseCost,
    name=st.sampled_from([*PHASES, "goal"]),
    turns=amounts,
    tokens=amounts,
    usd=amounts.map(float),
    sessions=amounts,
    ms=amounts.map(lambda hours: hours * 3_600_000),
)
open_session = st.builds(
    OpenSession,
    number=st.just(1),
    sdk_session=st.just("s"),
    role=st.just("generator"),
    model=st.just("m"),
    phase=st.just("build"),
    usd=amounts.map(float),
    tokens=amounts,
    turns=amounts,
)
states = st.builds(
    RunState,
    phase=st.sampled_from(["", "build", "evaluate"]),
    phases=st.lists(parts, max_size=4),
    open_session=st.none() | open_session,
    usd=amounts.map(float),
    tokens=amounts,
    turns=amounts,
    sessions=amounts,
)


@given(asked, states, st.booleans())
def test_what_is_reached_is_used_up_and_ends_as_much_as_any(
    given_: dict[str, float], state: RunState, new_session: bool
) -> None:
    limits = limited(Limits(), given_)
    used_up = [
        one
        for one in standing(limits, state)
        if one.value >= one.cap
        and (new_session or one.name != "max_sessions")
        and (not new_session or one.scope != SESSION)
    ]
    hit = reached(limits, state, new_session=new_session)
    assert (hit is None) == (not used_up)
    if hit is not None:
        assert hit in used_up
        assert hit.scope != SESSION or all(one.scope == SESSION for one in used_up)
        assert bounds.cap_of(given_, hit.scope, hit.name) == hit.cap
        assert used(state, hit.scope)[hit.name] == hit.value


@given(asked, states)
def test_raising_what_is_reached_lets_the_work_go_on(given_: dict[str, float], state: RunState) -> None:
    limits = limited(Limits(), given_)
    for _ in range(20):
        hit = reached(limits, state)
        if hit is None:
            return
        limits = limited(limits, {bounds.key(hit.scope, hit.name): hit.value + 1})
    raise AssertionError("a limit was raised and is reached nonetheless")


@given(asked, states)
def test_what_is_reached_was_near_and_is_told_once(given_: dict[str, float], state: RunState) -> None:
    limits = limited(Limits(), given_)
    told = near(limits, state)
    assert all(one.value >= lim.NEAR * one.cap for one in told)
    assert (hit := reached(limits, state)) is None or hit in told
    for one in told:
        reduce.apply(state, ev.LimitNear(scope=one.scope, limit=one.name, value=one.value, cap=one.cap))
    assert near(limits, state) == []


@given(asked)
def test_keys_say_the_same_wherever_they_stand(given_: dict[str, float]) -> None:
    limits = limited(Limits(), given_)
    assert limits.given() == given_
    assert limited(Limits(), limits.given()) == limits
    assert msgspec.json.decode(msgspec.json.encode(limits), type=Limits) == limits
    assert all(bounds.key(*bounds.parted(dotted)) == dotted for dotted in given_)
    assert limited(limits, dict.fromkeys(given_)) == Limits()


def test_a_session_s_limit_is_announced_in_each_and_a_phase_s_again_when_it_is_changed() -> None:
    limits = limited(Limits(), {"session.max_turns": 2, "phase.max_turns": 3})
    state = folded(started, phase("build"), session(1), cost(), cost())
    for one in near(limits, state):
        reduce.apply(state, ev.LimitNear(scope=one.scope, limit=one.name, value=one.value, cap=one.cap))
    assert near(limits, state) == []
    reduce.apply(state, cost())
    assert [str(one) for one in near(limits, state)] == ["max-turns 3 of the phase build is reached (3 used)"]


# --- What it ends -------------------------------------------------------------------------------------


def test_a_session_s_limit_ends_that_session_and_a_phase_s_the_run(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+loop@1") as stage:
        stage.lay_out()
        sets = ("--set", "limits.session.max_turns=4", "--set", "limits.phase.build.max_turns=6")
        engine = stage.run("--max-usd", "50", *sets)
        assert engine.wait(60) == 4, engine.err
        hits = stage.journal(named("limit_reached"))
        assert [(hit["scope"], hit["session"], hit["value"]) for hit in hits] == [
            ("session", 1, 4),
            ("phase:build", None, 6),
        ]
        ended = stage.journal(named("session_ended"))
        assert [end["reason"] for end in ended] == ["session_limit", "limit"]
        near_ones = stage.journal(named("limit_near"))
        assert {hit["scope"] for hit in near_ones} == {"session", "phase:build"}
        assert "max-turns 6 of the phase build is reached" in engine.out
        assert "most of the limit max-turns of a session is used" in engine.out
        assert stage.status()["limits"]["phase.build.max_turns"] == 6

        shown = stage.do("limits", str(stage.root), "--per", "phase:build", "--max-turns", "none")
        assert shown.wait() == 0, shown.err
        assert stage.do("limits", str(stage.root), "--per", "session", "--max-turns", "90").wait() == 0
        assert stage.do("resume", str(stage.root), "--headless", within=60).wait() == 0
        assert stage.passing() == [True]
        assert stage.status()["limits"] == {"max_usd": 50, "session.max_turns": 90}


def cut_off(run: Run, turns: int) -> Engine:
    """An engine that finds a session of so many turns, left open."""
    with_info(run)
    engine = Engine(run)
    run.emit(ev.ContractFrozen(features=["F1"], sha256="0", name="feature_list.json"))
    about = msgspec.structs.replace(session(1), feature="F1")
    for event in (phase("build"), about, *[cost()] * turns):
        run.emit(event)
    return engine


BUILDER = Assignment(
    casting=Casting("generator", "generator"), phase="build", task=lambda _: "", features=["F1"]
)


def test_a_session_that_was_cut_off_past_its_limit_asks_for_nothing_more(
    tmp_path: Path, open_run: OpenRun
) -> None:
    run = open_run(tmp_path / "run", RunConfig(limits=limited(Limits(), {"session.max_turns": 3})))
    engine = cut_off(run, turns=3)
    outcome = asyncio.run(engine.sessions.hold(BUILDER))
    assert (outcome.end, outcome.detail) == (
        End.SESSION_LIMIT,
        "max-turns 3 of a session is reached (3 used)",
    )
    assert run.state.open_session is None
    feature = run.state.features["F1"]
    assert feature.attempts == 1, "as after any session that brought nothing"
    assert feature.trouble == "max-turns 3 of a session was reached"
    assert run.state.limits_near == []


@pytest.mark.slow
def test_a_session_s_limit_is_changed_while_it_works(tmp_path: Path, open_run: OpenRun) -> None:
    run = open_run(tmp_path / "run", RunConfig(limits=limited(Limits(), {"session.max_turns": 3})))
    cut_off(run, turns=3)
    brake = Brake(run)
    assert str(brake.limit(new_session=False)) == "max-turns 3 of a session is reached (3 used)"
    assert brake.limit() is None, "another session may begin"
    control.change_limits(run.dir, {"session.max_turns": 9})
    brake.note_requests()
    assert brake.limit(new_session=False) is None
    control.change_limits(run.dir, {"phase.build.max_usd": 2.0})
    brake.note_requests()
    assert str(brake.limit()) == "max-usd 2 of the phase build is reached (3 used)"


# --- What is asked for --------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, open_run: OpenRun) -> Run:
    limits = limited(
        Limits(), {"max_usd": 10, "session.max_usd": 2, "phase.max_usd": 4, "phase.plan.max_usd": 1}
    )
    return with_info(open_run(tmp_path / "run", RunConfig(limits=limits)))


def test_every_limit_that_is_set_is_shown_with_what_is_used(run: Run) -> None:
    for event in (phase("build"), session(1), cost(), cost()):
        run.emit(event)
    shown = said(longwatch("limits", str(run.dir.root))).splitlines()
    words = [" ".join(line.split()) for line in shown]
    assert words[:1] + words[5:] == [
        "run max-usd 2.00 used of 10 (20%)",
        "session max-usd 2.00 used of 2 (100%) · reached",
        "phase max-usd 2.00 used of 4 (50%)",
        "phase:plan max-usd 0.00 used of 1 (0%)",
    ]
    assert len({line.index(" used ") for line in shown}) == 1, "in columns"
    listed = json.loads(said(longwatch("limits", str(run.dir.root), "--json")))
    assert {"scope": "phase:plan", "name": "max_usd", "used": 0, "cap": 1} in listed


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        (
            ["--per", "session", "--max-usd", "2", "--max-turns", "none"],
            {"session.max_usd": 2, "session.max_turns": None},
        ),
        (["--per", "phase:build", "--max-hours", "1.5"], {"phase.build.max_hours": 1.5}),
        (["--per", "build", "--max-sessions", "7"], {"phase.build.max_sessions": 7}),
        (["--per", "phase", "--max-tokens", "1000"], {"phase.max_tokens": 1000}),
        (["--per", "run", "--max-usd", "3"], {"max_usd": 3}),
    ],
)
def test_limits_are_changed_by_what_they_bound(
    run: Run, arguments: list[str], changed: dict[str, Any]
) -> None:
    said(longwatch("limits", str(run.dir.root), *arguments))
    request = control.read_limits(run.dir, 1)
    assert request is not None and request.changed == changed


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (
            ["--per", "tests", "--max-usd", "1"],
            "tests: nothing of that name has limits; choose run, session, phase,",
        ),
        (
            ["--per", "session", "--max-sessions", "1"],
            "session.max_sessions: there is no such limit; there are max_usd,",
        ),
        (["--per", "build", "--max-usd", "0"], "limits.phase.build.max_usd 0: give a number above 0"),
        (
            ["--per", "session", "--max-turns", "many"],
            "limits.session.max_turns many: give a number, or none",
        ),
    ],
)
def test_what_bounds_nothing_gets_a_sentence(run: Run, arguments: list[str], word: str) -> None:
    assert word in sentence(longwatch("limits", str(run.dir.root), *arguments))
    assert not run.dir.limits.exists()


def test_switches_and_limits_are_set_alike() -> None:
    others, limits = lim.among(["evaluator=off", "limits.session.max_usd=2", "limits.max_hours=none"])
    assert (others, limits) == (["evaluator=off"], {"session.max_usd": 2.0, "max_hours": None})
    for wrong in (
        "limits.session.max_wishes=1",
        "limits.tests.max_usd=1",
        "limits.max_usd=much",
        "limits.max_usd=",
    ):
        with pytest.raises(Mistake):
            lim.among([wrong])


def test_the_file_has_a_table_for_each(tmp_path: Path) -> None:
    path = tmp_path / "longwatch.toml"
    path.write_text(
        "[limits]\nmax_usd = 9\n[limits.session]\nmax_turns = 5\n"
        "[limits.phase]\nmax_usd = 3\n[limits.phase.build]\nmax_hours = 2\n"
    )
    assert config.load_file(path).limits.given() == {
        "max_usd": 9,
        "session.max_turns": 5,
        "phase.max_usd": 3,
        "phase.build.max_hours": 2,
    }


def test_the_console_s_card_has_room_for_every_limit_at_80x24(tmp_path: Path) -> None:
    scene = scenes.SCENES["running"](tmp_path)
    each = {f"phase.{name}.{limit}": 3 for name in PHASES for limit in NAMES}
    limits = limited(Limits(), {**each, "session.max_usd": 2})
    save_info(scene.run, RunInfo(FORMAT, "r", "two-agent", "", RunConfig(limits=limits)))
    scene.add(ev.RunResumed(pid=2, limits=limits.given()))

    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("L")
        await until(pilot, lambda: screen(pilot).query(LimitsCard))
        card = screen(pilot).query_one(LimitsCard)
        await until(pilot, lambda: card.size.height > 0)
        line = card.query_one(Input)
        assert card.region.bottom <= 24 and line.region.bottom < card.region.bottom
        await pilot.press(*"session usd 5, build turns none", "enter")
        await until(pilot, lambda: not screen(pilot).query(LimitsCard))
        asked = control.read_limits(scene.run, 1)
        assert asked is not None
        assert asked.changed == {"session.max_usd": 5.0, "phase.build.max_turns": None}

    watch(scene, story, (80, 24))


def test_words_for_the_console() -> None:
    assert lim.spoken("usd 50, session usd 2, Build hours NONE, phase turns 9, phase:plan usd 1") == {
        "max_usd": 50.0,
        "session.max_usd": 2.0,
        "phase.build.max_hours": None,
        "phase.max_turns": 9.0,
        "phase.plan.max_usd": 1.0,
    }
    for wrong in ("session usd", "tests usd 5", "session sessions 5", "a session usd 5"):
        with pytest.raises(Mistake):
            lim.spoken(wrong)

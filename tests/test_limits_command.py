"""Limits of a run: shown with what is used, changed while it works or for its next start, told in time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from harness_core import limits as lim
from harness_core.brake import Brake
from harness_core.config import RunConfig, RunInfo, load_info, save_info
from harness_core.errors import Mistake
from harness_core.guards import GuardContext, ToolCall, paths, shell
from harness_core.layout import FORMAT
from harness_core.operator import control
from harness_core.operator.bounds import Limits
from harness_core.record import events as ev
from harness_core.record.state import RunState
from harness_core.run import Run
from tests import scenes
from tests.commands import longwatch, said, sentence
from tests.conftest import OpenRun
from tests.console import screen, until, watch
from tests.harness import named, open_stage
from tui.console.cards.limits import LimitsCard


def cost(run: Run, usd: float) -> None:
    run.emit(ev.Cost(usd=usd, tokens=100, phase="build", turns=1))


def near(run: Run) -> list[tuple[str, float]]:
    lines = run.dir.journal.read_bytes().splitlines()
    found = [ev.decode(line) for line in lines]
    return [(event.limit, event.cap) for event in found if isinstance(event, ev.LimitNear)]


def with_info(run: Run) -> Run:
    run.emit(ev.RunStarted(format=FORMAT, preset="two-agent", run_id="r", limits=run.config.limits.given()))
    save_info(run.dir, RunInfo(FORMAT, "r", "two-agent", "", run.config))
    return run


@pytest.fixture
def run(tmp_path: Path, open_run: OpenRun) -> Run:
    return with_info(open_run(tmp_path / "run", RunConfig(limits=Limits(max_usd=10.0, max_turns=50))))


# --- A live run ---------------------------------------------------------------------------------------


def test_a_limit_is_raised_while_the_run_works(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run("--max-turns", "2", "--max-usd", "5", "--set", "limits.session.max_turns=2")
        stage.wait_for(lambda event: event["type"] == "tool_use" and "go" in str(event["input"]))
        done = stage.do("limits", str(stage.root), "--max-turns", "500", "--max-usd", "none")
        assert done.wait() == 0, done.err
        assert "of 500" in done.out and "max-usd" in done.out and "no limit" in done.out
        changed = stage.wait_for(named("limits_changed"))
        assert changed["changed"] == {"max_turns": 500.0, "max_usd": None}
        assert changed["limits"] == {"max_turns": 500.0, "session.max_turns": 2.0} and changed["by"]
        done = stage.do("limits", str(stage.root), "--per", "session", "--max-turns", "90")
        assert done.wait() == 0, done.err
        stage.release()
        assert engine.wait(60) == 0, engine.err
        assert stage.passing() == [True]
        assert stage.journal(named("limit_reached")) == []
        assert len(stage.journal(named("run_resumed"))) == 0, "without another engine"
        assert len(stage.journal(named("session_started"))) == 1, "nor another session"
        kept = json.loads((stage.private / "run.json").read_text())
        assert kept["options"]["limits"] == {"max_turns": 500.0, "max_usd": None, "session.max_turns": 90.0}
        assert stage.status()["limits"] == {"max_turns": 500, "session.max_turns": 90}


def test_a_lowered_limit_counts_from_the_next_look(run: Run) -> None:
    brake = Brake(run)
    cost(run, 3.0)
    assert brake.limit() is None
    control.change_limits(run.dir, {"max_usd": 2.0})
    brake.note_requests()
    hit = brake.limit()
    assert hit is not None and (hit.name, hit.cap) == ("max_usd", 2.0)
    control.change_limits(run.dir, {"max_usd": None})
    brake.note_requests()
    assert brake.limit() is None


def test_a_request_counts_once(run: Run) -> None:
    brake = Brake(run)
    control.change_limits(run.dir, {"max_usd": 20.0})
    for _ in range(3):
        brake.note_requests()
    assert run.state.limits_newest == 1
    text = run.dir.journal.read_text()
    assert text.count('"limits_changed"') == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"id":"001","changed":{"max_usd":-1},"by":"x","asked":""}', '{"id":"001"}']
)
def test_what_asks_for_nothing_that_can_be_is_left_out_with_a_word(run: Run, text: str) -> None:
    brake = Brake(run)
    run.dir.limits.mkdir()
    path = run.dir.limits / "001.json"
    path.write_text(text)
    control.change_limits(run.dir, {"max_usd": 20.0})
    brake.note_requests()
    assert run.config.limits.max_usd == 20.0
    assert "left out" in run.state.last_error and run.state.errors == 1
    assert path.with_suffix(".damaged").read_text() == text
    brake.note_requests()
    assert run.state.errors == 1


def test_a_request_is_never_overwritten(run: Run) -> None:
    ids = [control.change_limits(run.dir, {"max_usd": float(number)}) for number in (1, 2, 3)]
    assert ids == ["001", "002", "003"]
    assert [control.read_limits(run.dir, n) is not None for n in (1, 2, 3)] == [True] * 3


@pytest.mark.parametrize(
    "command",
    [
        "longwatch limits . --max-usd none",
        "python3 -m tui.cli limits . --max-usd none",
        "mkdir -p .longwatch/limits && echo '{}' > .longwatch/limits/001.json",
        "cp request.json .longwatch/limits/001.json",
        "python3 -c \"open('.longwatch/limits/001.json', 'w').write('{}')\"",
    ],
)
def test_no_agent_raises_its_own_limits(tmp_path: Path, command: str) -> None:
    assert shell.check(ToolCall("Bash", {"command": command}), GuardContext(tmp_path.resolve())) is not None


def test_no_agent_writes_a_request(tmp_path: Path) -> None:
    path = str(tmp_path.resolve() / ".longwatch" / "limits" / "001.json")
    call = ToolCall("Write", {"file_path": path, "content": "{}"})
    assert paths.check(call, GuardContext(tmp_path.resolve())) is not None


# --- A run that rests ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_change_waits_for_the_next_engine_and_stays(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny") as stage:
        stage.lay_out()
        assert stage.run("--max-turns", "1").wait(60) == 4
        told = stage.do("limits", str(stage.root), "--max-turns", "300")
        assert told.wait() == 0, told.err
        assert "of 300" in told.out and "longwatch resume" in told.out
        assert stage.do("resume", str(stage.root), "--headless", within=60).wait() == 0
        assert stage.passing() == [True]
        assert stage.journal(named("limits_changed"))[0]["limits"]["max_turns"] == 300
        assert len(stage.journal(named("limit_near", limit="max_turns"))) == 1


def test_what_the_next_command_says_outranks_what_was_asked_before_it(run: Run) -> None:
    from harness_core.config import Options  # noqa: PLC0415
    from harness_core.operator.limit_requests import on_top, pending  # noqa: PLC0415

    control.change_limits(run.dir, {"max_usd": 50.0, "max_turns": None})
    control.change_limits(run.dir, {"max_usd": 60.0})
    kept = on_top(Options(limits={"max_usd": 10.0, "max_hours": 2.0}), pending(run.dir))
    assert kept.limits == {"max_usd": 60.0, "max_turns": None, "max_hours": 2.0}
    assert Options(limits={"max_usd": 40.0}).over(kept).limits["max_usd"] == 40.0


# --- What comes near ----------------------------------------------------------------------------------


def test_four_fifths_of_a_limit_are_told_once(run: Run) -> None:
    brake = Brake(run)
    cost(run, 7.9)
    brake.warn()
    assert near(run) == []
    for _ in range(3):
        cost(run, 0.1)
        brake.warn()
    assert near(run) == [("max_usd", 10.0)]


def test_it_is_told_again_when_the_limit_is_another(run: Run, open_run: OpenRun) -> None:
    brake = Brake(run)
    cost(run, 9.0)
    brake.warn()
    control.change_limits(run.dir, {"max_usd": 50.0})
    brake.note_requests()
    cost(run, 32.0)
    brake.warn()
    control.change_limits(run.dir, {"max_turns": 60})
    brake.note_requests()
    brake.warn()
    assert near(run) == [("max_usd", 10.0), ("max_usd", 50.0)]
    again = open_run(run.dir.root, run.config)
    Brake(again).warn()
    assert near(again) == [("max_usd", 10.0), ("max_usd", 50.0)], "a new engine knows what was said"


def test_hours_do_not_pass_while_the_operator_is_waited_for(run: Run) -> None:
    control.change_limits(run.dir, {"max_hours": 0.000_001})
    run.emit(ev.CheckpointOpened(id="001", kind="end", subject_hash="x"))
    run.state.active_ms = 0
    Brake(run).note_requests()
    assert near(run) == []


def test_nothing_is_near_where_nothing_is_set() -> None:
    assert lim.near(Limits(), RunState(usd=1e9, tokens=10**12, turns=10**9)) == []


# --- What is said -------------------------------------------------------------------------------------


def test_limits_are_shown_with_what_is_used(run: Run) -> None:
    cost(run, 2.5)
    shown = said(longwatch("limits", str(run.dir.root)))
    assert [line.split()[0] for line in shown.splitlines()] == [name.replace("_", "-") for name in lim.NAMES]
    assert "2.50 used   of 10 (25%)" in shown and "no limit" in shown
    listed = json.loads(said(longwatch("limits", str(run.dir.root), "--json")))
    assert listed[0] == {"scope": "run", "name": "max_usd", "used": 2.5, "cap": 10}
    assert load_info(run.dir) is not None and not run.dir.limits.exists(), "looking changes nothing"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--max-usd", "much"], "--max-usd much: give a number, or none"),
        (["--max-usd", "0"], "--max-usd 0"),
        (["--max-turns", "2.5"], "--max-turns 2.5"),
        (["--max-hours", "nan"], "--max-hours nan"),
        (["--max-tokens", "-5"], "--max-tokens -5"),
    ],
)
def test_a_limit_that_is_none_gets_a_sentence(run: Run, arguments: list[str], word: str) -> None:
    assert word in sentence(longwatch("limits", str(run.dir.root), *arguments))
    assert not run.dir.limits.exists()


def test_a_directory_without_a_run_of_ours_gets_a_sentence(tmp_path: Path) -> None:
    assert "holds no run" in sentence(longwatch("limits", str(tmp_path)))
    (tmp_path / "feature_list.json").write_text('[{"description": "x", "steps": ["y"], "passes": false}]')
    assert "isn't run by Longwatch" in sentence(longwatch("limits", str(tmp_path), "--max-usd", "5"))


def test_the_console_shows_and_changes_them(tmp_path: Path) -> None:
    scene = scenes.SCENES["running"](tmp_path)
    save_info(scene.run, RunInfo(FORMAT, "r", "two-agent", "", RunConfig()))

    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("L")
        await until(pilot, lambda: screen(pilot).query(LimitsCard))
        card = screen(pilot).query_one(LimitsCard)
        assert "max-usd" in str(card.query(Static).first().render())
        await pilot.press(*"usd fifty", "enter")
        assert "give a number" in str(card.query_one("#wrong", Static).render())
        await pilot.press(*["backspace"] * 5, *"50, hours none", "enter")
        await until(pilot, lambda: not screen(pilot).query(LimitsCard))
        asked = control.read_limits(scene.run, 1)
        assert asked is not None and asked.changed == {"max_usd": 50.0, "max_hours": None}
        await pilot.press("L", "escape", "L", "enter")
        assert control.numbers(scene.run.limits) == [1], "looking changes nothing"

    watch(scene, story)


def test_words_for_the_console() -> None:
    assert lim.spoken("usd 50, Hours NONE,max-tokens 1000") == {
        "max_usd": 50.0,
        "max_hours": None,
        "max_tokens": 1000.0,
    }
    for wrong in ("", "usd", "usd fifty", "dollars 5", "usd 5 6", "usd -1", "turns 1.5", "usd inf"):
        with pytest.raises(Mistake):
            lim.spoken(wrong)

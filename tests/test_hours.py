"""The hours that a run works: no clock that is set and no sleep of the machine makes them more or less."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine

from harness_core.brake import Brake
from harness_core.config import RunConfig
from harness_core.operator.bounds import Limits
from harness_core.reading.rows import lines
from harness_core.record import events as ev
from harness_core.record.fold import fold
from harness_core.record.journal import Journal
from harness_core.record.status import report
from harness_core.run import Run
from tests.conftest import OpenRun
from tests.harness import Stage, named, open_stage, until
from tests.test_run_faults import is_held

HOUR = 3600
JUMPS = [9 * HOUR, -24 * HOUR, 24 * HOUR]
STARTED = ev.RunStarted(format=1, preset="p", run_id="r")
SESSION = ev.SessionStarted(session=1, role="generator", sdk_session="s", model="m", phase="build")


def begin(run: Run) -> None:
    for event in (STARTED, ev.PhaseStarted(phase="build", round=1, role="generator"), SESSION):
        run.emit(event)


@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_jumps_adds_and_takes_no_hours(tmp_path: Path, open_run: OpenRun, jump: int) -> None:
    with time_machine.travel("2030-01-01T00:00:00Z", tick=True) as clock:
        run = open_run(tmp_path / "run", RunConfig(limits=Limits(max_hours=1)))
        brake = Brake(run)
        begin(run)
        clock.shift(timedelta(seconds=jump))
        # A limit is asked for before anything is journaled.
        assert brake.limit() is None
        run.emit(ev.Text(text="more"))
        assert run.state.active_ms < HOUR * 1000 / 2
        assert fold(run.dir).active_ms == run.state.active_ms
        assert report(run.dir, run.state).elapsed_s == round(run.state.active_ms / 1000, 1)
        (told,) = (event for event in events(run) if isinstance(event, ev.ClockJumped))
        assert abs(told.ms - jump * 1000) < 1000
        ((_, line),) = lines(told)
        assert f"{'on' if jump > 0 else 'back'} by {abs(jump) // HOUR}:00:0" in line


def test_what_passes_is_counted_whatever_the_clock_does(
    tmp_path: Path, open_run: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monotonic = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: monotonic[0])
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False) as clock:
        run = open_run(tmp_path / "run")
        begin(run)
        for jump in (0, *JUMPS, -24 * HOUR):
            monotonic[0] += 600
            clock.shift(timedelta(seconds=600 + jump))
            run.emit(ev.Text(text="ten minutes later"))
        assert run.state.active_ms == 5 * 600_000
        (phase,) = run.state.phases
        assert phase.ms == run.state.active_ms
        session = run.state.open_session
        assert session is not None and session.active_ms == run.state.active_ms


def test_a_jump_while_no_engine_worked_counts_for_nothing(tmp_path: Path, open_run: OpenRun) -> None:
    with time_machine.travel("2030-01-01T00:00:00Z", tick=True) as clock:
        run = open_run(tmp_path / "run")
        begin(run)
        again = open_run(tmp_path / "run")
        clock.shift(timedelta(seconds=-24 * HOUR))
        again.emit(ev.RunResumed(pid=1))
        again.emit(ev.Text(text="on"))
        assert again.state.active_ms < 60_000


def test_a_clock_that_is_kept_right_is_no_jump(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    assert journal.jumped() == 0
    with time_machine.travel("2030-01-01T00:00:00Z", tick=True) as clock:
        assert journal.jumped() > 0
        clock.shift(timedelta(seconds=0.5))
        assert journal.jumped() == 0
        clock.shift(timedelta(seconds=0.6))
        assert journal.jumped() == 0
    journal.close()


def events(run: Run) -> list[ev.Event]:
    return [ev.decode(line) for line in run.dir.journal.read_bytes().splitlines()]


# A whole run


def jump(stage: Stage, seconds: int) -> None:
    file = Path(stage.env["LONGWATCH_TEST_JUMP_FILE"])
    file.write_text(str(seconds))
    until(lambda: not file.exists(), 10, "the clock has jumped")


@pytest.mark.slow
def test_a_run_whose_clock_jumps_while_it_works_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        jumps = Path(__file__).parent / "clockjumps"
        stage.env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(jumps), os.environ.get("PYTHONPATH")]))
        stage.env["LONGWATCH_TEST_JUMP_FILE"] = str(tmp_path / "jump")
        stage.lay_out()
        engine = stage.run("--max-hours", "1")
        stage.wait_for(is_held)
        # Back at last to the time of the files, which this clock doesn't give.
        for number, seconds in enumerate((9 * HOUR, -24 * HOUR, 15 * HOUR), 1):
            jump(stage, seconds)
            told = stage.wait_for(named("clock_jumped"), count=number)
            assert abs(told["ms"] - seconds * 1000) < 1000
        stage.release()
        assert engine.wait(60) == 0, engine.err
        assert stage.passing() == [True]
        assert 0 < stage.status()["elapsed_s"] < HOUR / 2
        assert all(phase["ms"] < HOUR * 500 for phase in stage.status()["phases"])
        (ended,) = stage.journal(named("session_ended"))
        assert 0 < ended["ms"] < HOUR * 500

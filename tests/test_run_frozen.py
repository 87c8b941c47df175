"""Engines and CLIs that stand still for a while, and what another engine may do meanwhile."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from harness_core.agent.session import ABSENT
from harness_core.errors import RunLocked
from harness_core.layout import RunDir
from harness_core.machine.lock import Hold, RunLock
from tests.harness import gapless, named, open_stage, until
from tests.test_run_faults import cli, is_held


def stand_still(pids: list[int], seconds: float) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    since = time.monotonic()
    until(lambda: time.monotonic() - since > seconds, seconds + 5, "the time has passed")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.parametrize("who", ["engine", "cli", "both"])
def test_a_run_that_stood_still_goes_on(tmp_path: Path, who: str) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run("--stall-timeout", "0.1" if who == "engine" else "0.5")
        stage.wait_for(is_held, 90)
        pid = until(lambda: cli(stage), 5, "the CLI is there")
        if who != "cli":
            # It is thinking, not in a call, when it stops: that would be silence.
            stage.release()
        stand_still(
            [*([engine.pid] if who != "cli" else []), *([pid] if who != "engine" else [])], ABSENT + 3
        )
        stage.release()
        assert engine.wait(90) == 0, engine.err
        assert stage.journal(named("stall_detected")) == []
        assert len(stage.journal(named("session_started"))) == 1
        assert stage.passing() == [True] and gapless(stage.journal())


@pytest.mark.slow
def test_a_second_engine_is_refused_while_the_first_stands_still(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run()
        stage.wait_for(is_held, 90)
        os.kill(engine.pid, signal.SIGSTOP)
        second = stage.run()
        assert second.wait(30) == 2
        assert f"pid {engine.pid}" in second.err
        os.kill(engine.pid, signal.SIGCONT)
        stage.release()
        assert engine.wait(60) == 0, engine.err


@pytest.mark.slow
def test_an_engine_that_wakes_after_another_took_its_run_writes_nothing(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run()
        stage.wait_for(is_held, 90)
        os.kill(engine.pid, signal.SIGSTOP)
        (stage.private / "lock").unlink()
        stage.release()
        second = stage.run()
        assert second.wait(90) == 0, second.err
        written = (stage.private / "journal.jsonl").read_bytes()
        head, files = stage.git("log", "--format=%H"), stage.contract_file.read_bytes()
        os.kill(engine.pid, signal.SIGCONT)
        assert engine.wait(60) == 2
        assert "another engine" in engine.err.splitlines()[-1]
        assert "Traceback" not in engine.err and "Fatal" not in engine.err
        assert (stage.private / "journal.jsonl").read_bytes() == written
        assert (stage.git("log", "--format=%H"), stage.contract_file.read_bytes()) == (head, files)
        assert gapless(stage.journal()) and stage.passing() == [True]
        assert stage.alive() == []


def test_a_hold_ends_with_the_next_engine_and_not_with_its_record(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path / "run")
    with RunLock(run) as first:
        hold = Hold(run, first.epoch)
        hold.check()
    with RunLock(run) as second:
        with pytest.raises(RunLocked, match="another engine"):
            hold.check()
        Hold(run, second.epoch).check()
        run.owner.unlink()
        hold.check()

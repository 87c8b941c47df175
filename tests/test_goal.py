"""A goal in words ends a run that has no contract, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.harness import Command, Stage, named, open_stage, until


def begin(stage: Stage, *more: str) -> Command:
    return stage.start(
        *("run", str(stage.root), "--headless", "--preset", "solo"),
        *("--goal", "Both files are there."),
        *more,
    )


def test_a_judge_who_goes_by_the_calls_ends_the_run_when_its_goal_is_met(tmp_path: Path) -> None:
    with open_stage(tmp_path, "goal") as stage:
        run = begin(stage)
        assert run.wait() == 0
        judged = stage.journal(named("goal_judged"))
        assert [one["met"] for one in judged] == [False, True]
        reason = stage.journal()[-1]["reason"]
        assert reason == "the work is done; the goal was judged met: Both files were written."
        assert stage.git("show", "HEAD:second.txt") == "two\n"
        asked = stage.bodies("judge")
        assert len(asked) == 2
        for body in asked:
            names = {tool["name"] for tool in body["tools"]}
            assert names <= {"StructuredOutput", "DeferredToolPlaceholder"}
            assert "haiku" in body["model"]
        phases = {phase["name"]: phase for phase in stage.status()["phases"]}
        assert phases["goal"]["usd"] > 0
        whole = sum(phase["usd"] for phase in phases.values())
        assert abs(whole - stage.status()["cost_usd"]) < 1e-5


@pytest.mark.slow
def test_a_judge_waits_for_a_usage_limit_and_stops_like_any_session(tmp_path: Path) -> None:
    # The first judge meets a limit that is over in three seconds; the second gets no answer.
    with open_stage(tmp_path, "goal+limit-short:1:4+silent:1:5") as stage:
        del stage.env["ANTHROPIC_API_KEY"]
        stage.env["CLAUDE_CODE_OAUTH_TOKEN"] = "not-a-token"
        run = begin(stage)
        wait = stage.wait_for(named("retry", status=429))
        assert wait["attempt"] == 0, "being told to wait is no failure"
        until(lambda: len(stage.bodies("judge")) == 2, 30, "the judge is asked again")
        stage.stop_file.touch()
        assert run.wait(20) == 3
        assert stage.journal(named("stop_confirmed"))[0]["survivors"] == []
        assert stage.alive() == []
        again = stage.start("resume", str(stage.root), "--headless")
        assert again.wait(60) == 0, again.err
        assert stage.git("show", "HEAD:second.txt") == "two\n"


@pytest.mark.slow
def test_a_silent_judge_is_followed_by_another(tmp_path: Path) -> None:
    with open_stage(tmp_path, "goal+silent:1:4") as stage:
        run = begin(stage, "--stall-timeout", "0.05")
        assert run.wait(90) == 0, run.err
        assert len(stage.journal(named("stall_detected"))) == 1
        assert len(stage.bodies("judge")) == 3


@pytest.mark.slow
def test_hours_end_a_judge_that_says_nothing(tmp_path: Path) -> None:
    with open_stage(tmp_path, "goal+silent:99:4") as stage:
        run = begin(stage, "--max-hours", "0.006")
        assert run.wait(60) == 4, run.err
        assert len(stage.bodies("judge")) == 1
        assert stage.alive() == []


@pytest.mark.slow
def test_a_judge_whose_cli_is_killed_is_followed_by_another(tmp_path: Path) -> None:
    with open_stage(tmp_path, "goal+silent:1:4") as stage:
        run = begin(stage)
        until(lambda: bool(stage.bodies("judge")), 60, "the judge is asked")
        running = [psutil.Process(int(line.split()[0])) for line in stage.alive()]
        next(found for found in running if "haiku" in found.cmdline()).kill()
        assert run.wait(60) == 0, run.err

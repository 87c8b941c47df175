"""A goal in words ends a run that has no contract, and nothing else does."""

from __future__ import annotations

from pathlib import Path

from tests.harness import named, open_stage


def test_a_judge_who_goes_by_the_calls_ends_the_run_when_its_goal_is_met(tmp_path: Path) -> None:
    with open_stage(tmp_path, "goal") as stage:
        run = stage.start(
            *("run", str(stage.root), "--headless", "--preset", "solo"),
            *("--goal", "Both files are there."),
        )
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

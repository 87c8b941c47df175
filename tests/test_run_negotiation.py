"""A sprint's contract over crashes, and put to the operator where nobody agrees: real engines, killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness_core.config import Options
from harness_core.rehearsal.scenarios import sprints
from harness_core.request import Request
from tests.harness import Command, Fits, Stage, gapless, named, open_stage

SPRINT = ("--preset", "sprints", "--features", "1")


def run(stage: Stage, *more: str) -> Command:
    return stage.start("run", str(stage.root), "--headless", "--spec", str(stage.spec), *SPRINT, *more)


def numbers(stage: Stage, kind: str) -> list[int]:
    return [event["round"] for event in stage.journal(named(kind))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "count"),
    [
        (named("session_started", role="generator", phase="negotiate"), 1),
        (named("tool_result", session=2, ok=True), 2),
        (named("contract_proposed"), 1),
        (named("session_started", role="evaluator", phase="negotiate"), 1),
        (named("contract_reviewed"), 1),
        (named("contract_proposed"), 2),
        (named("contract_reviewed"), 2),
        (named("contract_agreed"), 1),
    ],
    ids=[
        *("proposing", "proposal written", "proposed", "reviewing", "reviewed"),
        *("proposed again", "reviewed again", "agreed"),
    ],
)
def test_a_negotiation_that_was_killed_goes_on_and_repeats_nothing(
    tmp_path: Path, moment: Fits, count: int
) -> None:
    with open_stage(tmp_path, "sprints") as stage:
        engine = run(stage)
        stage.wait_for(moment, within=90, count=count)
        engine.kill()
        again = run(stage)
        assert again.wait(150) == 0, again.err
        assert gapless(stage.journal())
        assert numbers(stage, "contract_proposed") == numbers(stage, "contract_reviewed") == [1, 2]
        assert (
            len(stage.journal(named("sprint_started"))) == len(stage.journal(named("contract_agreed"))) == 1
        )
        begun = {e["session"] for e in stage.journal(named("session_started", phase="negotiate"))}
        ended = [e["session"] for e in stage.journal(named("session_ended")) if e["session"] in begun]
        assert sorted(begun) == sorted(ended) == [2, 3, 4, 5]
        assert stage.passing() == [True]
        agreed = stage.journal(named("contract_agreed"))[0]
        beside = json.loads((stage.root / agreed["path"]).with_suffix(".json").read_text())
        assert (beside["by"], beside["criteria"]) == ("both", agreed["criteria"])


def watched(stage: Stage) -> subprocess.Popen[bytes]:
    """An engine as a console starts it: it waits for the operator instead of ending."""
    options = Options(
        preset="sprints",
        features=1,
        sets=["contract_rounds=1", "checkpoints=on-needs-work"],
    )
    request = Request(directory=str(stage.root), spec=str(stage.spec), options=options, console=True)
    return subprocess.Popen(
        [sys.executable, "-m", "harness_core", request.encoded()],
        env=stage.env,
        cwd=stage.scratch,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.slow
def test_a_contract_that_nobody_agrees_on_waits_for_the_operator_over_a_kill(tmp_path: Path) -> None:
    with open_stage(tmp_path, "sprints:never") as stage:
        engine = watched(stage)
        opened = stage.wait_for(named("checkpoint_opened"), within=90)
        engine.kill()
        engine.wait()
        assert opened["kind"] == "contract" and "No agreement" in opened["summary"]
        path = stage.root / stage.journal(named("sprint_started"))[0]["path"]
        assert opened["summary"].endswith(f"{path.relative_to(stage.root)} says?")
        # Neither time nor a new engine answers it.
        for _ in range(2):
            again = run(stage)
            assert again.wait(30) == 5, again.err
        assert len(stage.journal(named("checkpoint_opened"))) == 1
        assert len(stage.journal(named("session_started"))) == 3
        # What changes under an answer is asked about anew, with what it is now.
        assert stage.do("approve", str(stage.root)).wait() == 0
        path.write_text(path.read_text().replace(f"Each flag is {sprints.SIZE}", "Each flag is 3 wide"))
        assert run(stage).wait(30) == 5
        first, second = stage.journal(named("checkpoint_opened"))
        assert first["subject_hash"] != second["subject_hash"] and second["kind"] == "contract"
        assert [e["decision"] for e in stage.journal(named("checkpoint_decided"))] == ["stale"]
        assert stage.journal(named("contract_agreed")) == []

        assert stage.do("approve", str(stage.root), "--note", "As I wrote it.").wait() == 0
        done = run(stage)
        assert done.wait(120) == 0, done.err
        agreed = stage.journal(named("contract_agreed"))
        assert [event["by"] for event in agreed] == ["operator"]
        assert agreed[0]["criteria"][1]["text"] == "Each flag is 3 wide"
        assert "Holds as the operator decided." in path.read_text()
        assert len(stage.journal(named("checkpoint_opened"))) == 2
        assert gapless(stage.journal()) and stage.passing() == [True]


@pytest.mark.slow
def test_a_contract_that_the_operator_sends_back_is_proposed_again_with_the_note(tmp_path: Path) -> None:
    with open_stage(tmp_path, "sprints") as stage:
        engine = watched(stage)
        stage.wait_for(named("checkpoint_opened"), within=90)
        engine.kill()
        engine.wait()
        said = "Say what a flag without stripes is."
        assert stage.do("reject", str(stage.root), "--note", said).wait() == 0
        done = run(stage)
        assert done.wait(120) == 0, done.err
        assert numbers(stage, "contract_proposed") == [1, 2]
        assert stage.journal(named("contract_agreed"))[0]["by"] == "both"
        assert stage.status()["steering"] == {"queued": 1, "delivered": 1, "acknowledged": 1}
        heard = [event["session"] for event in stage.journal(named("steer_delivered"))]
        second = stage.journal(named("contract_proposed"))[1]
        assert heard == [second["session"]]

"""A whole run, and the whole demo, as somebody outside sees them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.harness import Command, Stage, gapless, named, open_stage

ROLES = ("initializer", "generator", "evaluator")
WRITING_TOOLS = {"Bash", "Write", "Edit", "MultiEdit", "NotebookEdit", "Agent", "Task"}


@dataclass
class Finished:
    """A run at its end, and the command that drove it."""

    stage: Stage
    engine: Command


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """Three features, each judged by an evaluator."""
    with open_stage(tmp_path_factory.mktemp("whole")) as stage:
        stage.env.pop("IS_SANDBOX", None)
        engine = stage.run("--set", "evaluator=feature", features=3, json_lines=True)
        engine.wait(90)
        yield Finished(stage, engine)


def test_it_ends_well_and_every_feature_passes(finished: Finished) -> None:
    assert finished.engine.wait() == 0, finished.engine.err
    assert finished.stage.passing() == [True, True, True]
    assert finished.engine.err == ""


def test_stdout_is_the_journal_and_nothing_else(finished: Finished) -> None:
    events = finished.stage.journal()
    assert gapless(events)
    assert [json.loads(line) for line in finished.engine.out.splitlines()] == events
    assert events[0]["type"] == "run_started"
    assert events[0]["format"] == 1
    assert events[0]["limits"] == {"max_usd": 50}
    assert (events[-1]["type"], events[-1]["exit"]) == ("run_ended", 0)


def test_each_feature_has_a_commit_and_none_carries_what_is_private(finished: Finished) -> None:
    stage = finished.stage
    for feature in ("F001", "F002", "F003"):
        assert any(feature in subject for subject in stage.subjects())
    assert stage.git("branch", "--show-current").strip() == "main"
    ever = set(stage.git("log", "--name-only", "--format=").split())
    assert not any(name.startswith((".longwatch", "STEER", "AGENT_")) for name in ever)
    assert stage.git("status", "--porcelain") == ""
    journaled = {event["sha"] for event in stage.journal(named("commit"))}
    assert journaled == set(stage.git("log", "--format=%H").split())


def test_the_files_of_the_design_are_there(finished: Finished) -> None:
    stage = finished.stage
    sessions = [(event["session"], event["role"]) for event in stage.journal(named("session_started"))]
    assert [number for number, _ in sessions] == list(range(1, len(sessions) + 1))
    for number, role in sessions:
        trace = stage.private / "sessions" / f"{number:03d}-{role}.jsonl"
        assert all(json.loads(line) for line in trace.read_text().splitlines())
    assert (stage.root / "app_spec.txt").read_text() == stage.spec.read_text()
    for name in ("PROGRESS.md", "init.sh", "screenshots/F001-flag.png", ".longwatch/contract.json"):
        assert (stage.root / name).stat().st_size > 0, name
    run = json.loads((stage.private / "run.json").read_text())
    assert (run["format"], run["config"]["preset"]) == (1, "two-agent")
    assert ".longwatch/" in (stage.root / ".git/info/exclude").read_text().splitlines()


def test_status_tells_the_same_story_as_the_journal(finished: Finished) -> None:
    stage = finished.stage
    status, events = stage.status(), stage.journal()
    costs = [event for event in events if event["type"] == "cost"]
    starts = stage.journal(named("session_started"))
    assert (status["run_id"], status["preset"], status["lifecycle"]) == (
        events[0]["run_id"],
        "two-agent",
        "complete",
    )
    assert status["features"] == {
        **{"total": 3, "passing": 3, "verified": 3, "claimed": 0},
        **dict.fromkeys(("failing", "approved", "regressed", "skipped"), 0),
    }
    assert status["stop"]["requested"] is None and status["stop"]["confirmed"] is None
    assert status["steering"] == {"queued": 0, "delivered": 0, "acknowledged": 0}
    assert status["checkpoint"] is None
    assert status["last_seq"] == len(events)
    assert status["sessions"] == status["session"] == len(starts)
    assert status["role"] == starts[-1]["role"]
    assert status["cost_usd"] == pytest.approx(sum(event["usd"] for event in costs), abs=1e-5)
    assert status["tokens"] == sum(event["tokens"] for event in costs)
    assert status["turns"] == sum(event["turns"] for event in costs)
    assert 0 < status["elapsed_s"] < 90
    assert {phase["name"] for phase in status["phases"]} >= {"initialize", "build", "evaluate"}
    assert sum(phase["usd"] for phase in status["phases"]) == pytest.approx(status["cost_usd"], abs=1e-5)
    assert all(
        {"name", "round", "ms", "turns", "tokens", "usd"} <= phase.keys() for phase in status["phases"]
    )
    assert status["phase"] in {phase["name"] for phase in status["phases"]}
    assert status["engine"] == {"pid": finished.engine.pid, "alive": False}


def test_the_money_is_what_the_cli_reports(finished: Finished) -> None:
    reported = 0.0
    for trace in (finished.stage.private / "sessions").glob("*-*.jsonl"):
        lines = [json.loads(line) for line in trace.read_text().splitlines()]
        reported += [line["total_cost_usd"] for line in lines if line["kind"] == "ResultMessage"][-1]
    assert finished.stage.status()["cost_usd"] == pytest.approx(reported, rel=0.01)


def test_status_reads_well_without_json(finished: Finished) -> None:
    shown = finished.stage.do("status", str(finished.stage.root))
    assert shown.wait() == 0
    assert "3/3" in shown.out
    assert "complete" in shown.out


def test_the_trace_can_be_searched(finished: Finished) -> None:
    root = str(finished.stage.root)
    assert "F002" in finished.stage.do("trace", root).out
    found = finished.stage.do("trace", root, "--json", "--role", "generator", "--grep", "claim_feature")
    events = [json.loads(line) for line in found.out.splitlines()]
    assert [event["type"] for event in events] == ["tool_use"] * 3
    assert {event["role"] for event in events} == {"generator"}
    wrong = finished.stage.do("trace", root, "--grep", "(")
    assert wrong.wait() == 2 and wrong.err.count("\n") == 1


def test_every_request_says_its_role(finished: Finished) -> None:
    bodies = finished.stage.bodies()
    seen = [system_prompt(body) for body in bodies]
    lines = [line for text in seen for line in text.splitlines() if line.startswith("# Role: ")]
    assert len(lines) == len(bodies)
    assert Counter(lines).keys() == {f"# Role: {role}" for role in ROLES}


def test_an_evaluator_can_only_look(finished: Finished) -> None:
    bodies = finished.stage.bodies("evaluator")
    offered = {tool["name"] for body in bodies for tool in body["tools"]}
    assert offered >= {"Read", "Grep", "Glob", "StructuredOutput", "mcp__longwatch__app"}
    assert not offered & WRITING_TOOLS
    assert not {name for name in offered if name.startswith("mcp__") and name != "mcp__longwatch__app"}


def test_an_evaluator_never_sees_how_it_was_built(finished: Finished) -> None:
    first = {body["metadata"]["user_id"] for body in finished.stage.bodies("generator")}
    judged = {body["metadata"]["user_id"] for body in finished.stage.bodies("evaluator")}
    assert first and judged and not first & judged
    assert "I'll draw" not in json.dumps(finished.stage.bodies("evaluator"))


def test_permissions_are_never_bypassed(finished: Finished) -> None:
    stage = finished.stage
    starts = stage.journal(named("session_started"))
    assert {event["role"] for event in starts} == set(ROLES)
    for event in starts:
        path = next((stage.private / "sessions").glob(f"{event['session']:03d}-*.jsonl"))
        messages = [json.loads(line) for line in path.read_text().splitlines()]
        begun = [one["data"] for one in messages if one.get("subtype") == "init"]
        assert begun and {data["permissionMode"] for data in begun} == {"dontAsk"}


def test_verdicts_come_before_verified(finished: Finished) -> None:
    stage = finished.stage
    changes = [(event["feature"], event["to"]) for event in stage.journal(named("feature_changed"))]
    expected = [(feature, to) for feature in ("F001", "F002", "F003") for to in ("claimed", "verified")]
    assert changes == expected
    verdicts = stage.journal(named("verdict"))
    assert [(event["verdict"], event["scope"]) for event in verdicts] == [
        ("PASS", [feature]) for feature in ("F001", "F002", "F003")
    ]
    assert all(0 <= score["score"] <= 10 for event in verdicts for score in event["scores"])
    claimed = stage.journal(named("feature_changed", to="claimed"))
    assert [event["evidence"][0]["path"] for event in claimed] == [
        f"screenshots/{feature}-flag.png" for feature in ("F001", "F002", "F003")
    ]


def test_no_process_is_left(finished: Finished) -> None:
    assert finished.stage.alive() == []


def test_run_again_on_a_finished_run_ends_at_once(finished: Finished) -> None:
    stage = finished.stage
    before, commits = len(stage.journal(named("session_started"))), stage.subjects()
    again = stage.run(features=3)
    assert again.wait(20) == 0, again.err
    assert len(stage.journal(named("session_started"))) == before
    assert stage.subjects() == commits
    assert gapless(stage.journal())
    assert stage.status()["lifecycle"] == "complete"


def system_prompt(body: dict[str, Any]) -> str:
    system = body.get("system", "")
    return system if isinstance(system, str) else "\n".join(block["text"] for block in system)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    with open_stage(tmp_path_factory.mktemp("demo"), None) as stage:
        engine = stage.start("demo", str(stage.root), "--headless", "--fast")
        engine.wait(150)
        yield Finished(stage, engine)


def test_the_demo_builds_a_studio_that_works(demo: Finished, tmp_path: Path) -> None:
    stage = demo.stage
    assert demo.engine.wait() == 0, demo.engine.err
    assert all(stage.passing()) and 8 <= len(stage.passing()) <= 12
    for feature in stage.contract():
        assert any(feature["id"] in subject for subject in stage.subjects()), feature["id"]
    for picture in sorted((stage.root / "screenshots").glob("*.png")):
        with Image.open(picture) as shown:
            assert len(shown.convert("RGB").getcolors(1 << 24) or []) > 2, picture
    scenes = studio(stage.root, "list").split()
    assert len(scenes) >= 8
    for scene in scenes:
        studio(stage.root, scene, str(tmp_path / f"{scene}.png"))
        assert (tmp_path / f"{scene}.png").read_bytes().startswith(b"\x89PNG")


def studio(project: Path, *arguments: str) -> str:
    """What the built program prints. Fails when it does."""
    done = subprocess.run(
        [sys.executable, "studio.py", *arguments], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_demo_has_its_accidents(demo: Finished) -> None:
    stage = demo.stage
    events = stage.journal()
    assert gapless(events)
    refused = stage.journal(named("guard_decision", guard="evidence"))
    assert refused and refused[0]["decision"] == "deny" and len(refused[0]["reason"]) > 20
    regressed = stage.journal(named("feature_changed", to="regressed"))
    assert len(regressed) == 1
    mended = [
        event
        for event in stage.journal(named("feature_changed", to="claimed", feature=regressed[0]["feature"]))
        if event["seq"] > regressed[0]["seq"]
    ]
    assert mended
    verdicts = Counter(event["verdict"] for event in stage.journal(named("verdict")))
    assert verdicts["NEEDS_WORK"] == 1 and verdicts["PASS"] >= 8
    assert stage.journal(named("checkpoint_opened")) == []
    assert stage.alive() == []

"""Each preset and each mode of a run, from its first phase to its end, as somebody outside sees them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

import msgspec
import pytest

from harness_core.config import Switches
from harness_core.rehearsal.scenarios import bugfix, sprints
from tests.harness import Command, Event, Stage, gapless, named, open_stage, text_of

PROMPT = "A program that draws flags."
LOOKING = {"Read", "Grep", "Glob", "StructuredOutput", "mcp__longwatch__app"}
"""What an evaluator is offered where there is no browser."""
INERT = {"DeferredToolPlaceholder"}
"""An entry of the CLI's own that nobody can call."""


FAULT_POINTS = Path(__file__).parent / "faultpoints"
DESIGN = ("--preset", "design", "--set", "max_iterations=5")


def play(stage: Stage, preset: str, *more: str, prompt: str = "", within: float = 150) -> Command:
    """A headless run to its end."""
    given = ["--prompt", prompt] if prompt else ["--spec", str(stage.spec)]
    command = stage.start("run", str(stage.root), "--headless", "--preset", preset, *given, *more)
    command.wait(within)
    return command


def phases(stage: Stage) -> list[str]:
    """The phases in their order, those in a row as one."""
    return [name for name, _ in groupby(e["phase"] for e in stage.journal(named("phase_started")))]


def roles(stage: Stage) -> list[str]:
    return [event["role"] for event in stage.journal(named("session_started"))]


def only(stage: Stage, kind: str, **fields: object) -> Event:
    found = stage.journal(named(kind, **fields))
    assert len(found) == 1, found
    return found[0]


def verdicts(stage: Stage) -> list[str]:
    return [event["verdict"] for event in stage.journal(named("verdict"))]


def statuses(stage: Stage) -> list[str]:
    record = json.loads((stage.private / "contract.json").read_text())
    return [feature["status"] for feature in record["features"]]


def last_statuses(stage: Stage) -> dict[str, str]:
    return {event["feature"]: event["to"] for event in stage.journal(named("feature_changed"))}


# --- Sprints ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sprint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A sprint whose contract is agreed on in the second round, with a builder who would rather soften it
    and an evaluator who would rather build."""
    with open_stage(tmp_path_factory.mktemp("sprint"), "sprints+agreed-contract+meddle") as stage:
        engine = play(stage, "sprints", "--features", "1")
        assert engine.wait() == 0, engine.err
        yield stage


def test_a_sprint_is_agreed_on_built_and_verified(sprint: Stage) -> None:
    assert phases(sprint) == ["initialize", "negotiate", "build", "evaluate"]
    assert roles(sprint) == ["initializer", *("generator", "evaluator") * 3]
    assert only(sprint, "contract_frozen")["features"] == ["F001"]
    answers = [(e["round"], e["verdict"]) for e in sprint.journal(named("contract_reviewed"))]
    assert answers == [(1, "NEEDS_WORK"), (2, "PASS")]
    assert only(sprint, "contract_agreed")["by"] == "both"
    assert verdicts(sprint) == ["PASS"]
    assert statuses(sprint) == ["verified"] and sprint.passing() == [True]
    assert sprint.journal()[-1]["reason"] == "all features pass"
    assert gapless(sprint.journal()) and sprint.alive() == []
    costs = {phase["name"]: phase for phase in sprint.status()["phases"]}
    assert all(costs[name]["usd"] > 0 and costs[name]["turns"] > 0 for name in phases(sprint))


def test_who_reviews_again_is_told_what_was_asked_for(sprint: Stage) -> None:
    told = [text_of(body["messages"][0]["content"]) for body in sprint.bodies("evaluator")]
    asked = f"- Each flag has to be {sprints.SIZE}"
    reviews = [message for message in told if "Do you agree to judge by it?" in message]
    assert asked not in reviews[0] and asked in reviews[-1]


def test_an_agreed_contract_stands_in_prose_and_in_a_schema(sprint: Stage) -> None:
    agreed = only(sprint, "contract_agreed")
    path = sprint.root / agreed["path"]
    assert path.parent.name == "contracts" and path.name.startswith("01-") and path.suffix == ".md"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == agreed["sha256"]
    proposal, found, answer = path.read_text().partition("## The evaluator's answer")
    assert found and sprints.SIZE in proposal and "Agreed." in answer
    beside = json.loads(path.with_suffix(".json").read_bytes())
    assert (beside["sha256"], beside["features"]) == (agreed["sha256"], ["F001"])
    assert [item["id"] for item in beside["criteria"]] == ["C1", "C2", "C3", "C4"]
    assert beside["criteria"] == agreed["criteria"]
    commits = sprint.git("log", "--reverse", "--format=%H %s", "--", agreed["path"]).splitlines()
    by_engine = [line.split(" ", 2)[::2] for line in commits if " longwatch: " in line]
    assert [subject for _, subject in by_engine if not subject.endswith("(generator)")] == [
        *(f"the evaluator's answer, round {number}, in {agreed['path']}" for number in (1, 2)),
        f"{agreed['path']} holds",
    ]
    first = next(sha for sha, subject in by_engine if "round 1" in subject)
    shown = sprint.git("show", f"{first}:{agreed['path']}")
    assert "Not yet." in shown and f"- Each flag has to be {sprints.SIZE}" in shown
    assert "Agreed." in sprint.git("show", f"HEAD:{agreed['path']}")
    assert not [subject for subject in sprint.subjects() if "(evaluator)" in subject]
    assert sprint.git("status", "--porcelain") == ""


def test_the_verdict_grades_what_was_agreed_and_the_rubric(sprint: Stage) -> None:
    graded = {score["criterion"] for score in only(sprint, "verdict")["scores"]}
    assert graded == {"C1", "C2", "C3", "C4"} | {
        "product depth", "functionality", "visual design", "code quality",
    }  # fmt: skip


def test_a_builder_is_told_what_was_agreed_and_cannot_change_it(sprint: Stage) -> None:
    agreed = only(sprint, "contract_agreed")
    building = only(sprint, "session_started", role="generator", phase="build")["session"]
    refused = only(sprint, "guard_decision", guard="contract")
    assert (refused["tool"], refused["session"]) == ("Edit", building)
    undone = sprint.journal(named("contract_tampered"))
    assert len(undone) == 2 and all(event["restored"] for event in undone)
    assert all(agreed["path"] in event["what"] for event in undone)
    assert "more or less" not in sprint.git("log", "-p", "--format=", "--", "contracts")
    tasks = [text_of(body["messages"][0]["content"]) for body in sprint.bodies("generator")]
    assert any(f"is agreed in {agreed['path']}" in task for task in tasks)


def test_an_evaluator_is_offered_nothing_to_change_anything_with(sprint: Stage) -> None:
    offered = {tool["name"] for body in sprint.bodies("evaluator") for tool in body["tools"]}
    assert offered >= LOOKING
    more = offered - LOOKING - INERT
    assert {name for name in more if not name.startswith("mcp__browser__")} == set()


def test_an_evaluators_attempts_to_change_something_come_to_nothing(sprint: Stage) -> None:
    tried = {
        event["tool_use_id"]: event["tool"]
        for event in sprint.journal(named("tool_use", role="evaluator"))
        if event["tool"] not in LOOKING
    }
    assert set(tried.values()) == {"Write", "Edit", "Bash", "Agent", "mcp__longwatch__claim_feature"}
    results = [event for event in sprint.journal(named("tool_result")) if event["tool_use_id"] in tried]
    assert len(results) == len(tried) and not any(event["ok"] for event in results)
    assert not (sprint.root / "meddled.txt").exists()
    assert {event["by"] for event in sprint.journal(named("feature_changed"))} == {"generator", "evaluator"}


def test_an_evaluator_never_gets_a_builders_words(sprint: Stage) -> None:
    judged = json.dumps(sprint.bodies("evaluator"))
    said = [event["text"] for event in sprint.journal(named("text", role="generator"))]
    done = [event["tool_use_id"] for event in sprint.journal(named("tool_use", role="generator"))]
    assert len(said) > 3 and len(done) > 5
    assert [text for text in said if json.dumps(text)[1:-1] in judged] == []
    assert [call for call in done if call in judged] == []


@pytest.mark.slow
def test_without_agreement_the_evaluators_version_holds_when_nobody_watches(tmp_path: Path) -> None:
    with open_stage(tmp_path, "sprints:never") as stage:
        engine = play(stage, "sprints", "--features", "1", "--set", "contract_rounds=2")
        assert engine.wait() == 0, engine.err
        answers = [e["verdict"] for e in stage.journal(named("contract_reviewed"))]
        assert answers == ["NEEDS_WORK", "NEEDS_WORK"]
        agreed = only(stage, "contract_agreed")
        assert agreed["by"] == "evaluator"
        assert agreed["criteria"][1]["text"] == f"Each flag is {sprints.SIZE}"
        assert "as the evaluator has it" in (stage.root / agreed["path"]).read_text()
        assert {"C1", "C2"} <= {score["criterion"] for score in only(stage, "verdict")["scores"]}
        assert stage.journal(named("checkpoint_opened")) == []


# --- A fault that only use shows --------------------------------------------------------------------

FOUND = {
    "paint": "only its corners",
    "menu": "the up arrow does nothing",
    "api": 'POST /items/reorder is answered with 404 "no item reorder"',
}
slow = pytest.mark.slow
faulty = pytest.mark.parametrize(
    "program", ["menu", pytest.param("paint", marks=slow), pytest.param("api", marks=slow)]
)


@faulty
def test_a_fault_is_found_sent_back_mended_and_verified(tmp_path: Path, program: str) -> None:
    with open_stage(tmp_path, program) as stage:
        engine = play(stage, "continuous", "--features", "2", prompt=PROMPT)
        assert engine.wait() == 0, engine.err
        assert phases(stage) == ["plan", "initialize", *("build", "evaluate") * 2]
        planned = only(stage, "spec_written")
        assert (planned["name"], planned["by"]) == ("spec.md", "planner")
        assert (stage.root / "spec.md").read_text().startswith("# ")
        first, second = stage.journal(named("verdict"))
        assert (first["verdict"], second["verdict"]) == ("NEEDS_WORK", "PASS")
        found = [finding for finding in first["findings"] if finding["feature"]]
        assert [finding["feature"] for finding in found] == ["F002"]
        assert FOUND[program] in found[0]["where"]
        changes = [(e["feature"], e["to"]) for e in stage.journal(named("feature_changed"))]
        assert changes == [
            *(("F001", "claimed"), ("F002", "claimed"), ("F002", "failing"), ("F002", "claimed")),
            *(("F001", "verified"), ("F002", "verified")),
        ]
        # The findings reach the next build, and what was judged the second time is what it made.
        mending = stage.journal(named("session_started", role="generator"))[1]
        assert mending["features"] == ["F002"]
        tasks = [text_of(body["messages"][0]["content"]) for body in stage.bodies("generator")]
        assert any(FOUND[program] in task for task in tasks)
        # Whoever judges again is told what to look for, and whoever judged first was told nothing.
        judging = [text_of(body["messages"][0]["content"]) for body in stage.bodies("evaluator")]
        assert FOUND[program] not in judging[0] and FOUND[program] in judging[-1]
        assert "None are open" in (stage.root / "findings.md").read_text()
        assert "Mend F002" in stage.git("log", "-1", "--format=%s", second["commit"])
        assert first["commit"] != second["commit"]
        assert stage.passing() == [True, True] and stage.alive() == []


@slow
@pytest.mark.parametrize("program", FOUND)
def test_a_fault_that_is_never_mended_never_passes(tmp_path: Path, program: str) -> None:
    with open_stage(tmp_path, f"{program}:unfixed") as stage:
        engine = play(stage, "continuous", "--features", "2", "--set", "rounds=2")
        assert engine.wait() == 1, engine.err
        assert verdicts(stage) == ["NEEDS_WORK"] * 2
        assert roles(stage) == ["initializer", *("generator", "evaluator") * 2]
        assert last_statuses(stage)["F002"] == "skipped"
        assert stage.passing() == [True, False]
        assert FOUND[program] in (stage.root / "findings.md").read_text()


@slow
def test_a_fault_is_found_feature_by_feature_too(tmp_path: Path) -> None:
    with open_stage(tmp_path, "menu") as stage:
        engine = play(stage, "two-agent", "--features", "2", "--set", "evaluator=feature")
        assert engine.wait() == 0, engine.err
        judged = [(e["verdict"], e["scope"]) for e in stage.journal(named("verdict"))]
        assert judged == [("PASS", ["F001"]), ("NEEDS_WORK", ["F002"]), ("PASS", ["F002"])]
        assert statuses(stage) == ["verified", "verified"]


NEEDS_A_SERVICE = "#!/bin/sh\ntest -f up || { echo 'the database is down'; exit 1; }\necho ready\n"


def test_what_could_not_be_started_is_not_waved_through(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+wave-through") as stage:
        stage.lay_out()
        (stage.root / "init.sh").write_text(NEEDS_A_SERVICE)
        engine = stage.run("--set", "evaluator=feature")
        first = stage.wait_for(named("verdict"))
        engine.interrupt()
        assert first["verdict"] == "NEEDS_WORK"
        assert ["the database is down" in finding["where"] for finding in first["findings"]] == [True]
        asked = [text_of(body["messages"]) for body in stage.bodies("evaluator")]
        assert any("if it can't be made to run" in text for text in asked)


@slow
def test_what_starts_once_it_is_mended_passes(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+wave-through") as stage:
        stage.lay_out()
        (stage.root / "init.sh").write_text(NEEDS_A_SERVICE)
        engine = stage.run("--set", "evaluator=feature")
        stage.wait_for(named("verdict"))
        (stage.root / "up").touch()
        assert engine.wait() == 0, engine.err
        assert verdicts(stage) == ["NEEDS_WORK", "PASS"] and statuses(stage) == ["verified"]
        starts = [event["ok"] for event in stage.journal(named("app_changed", action="start"))]
        assert starts == [False, True]


@slow
def test_what_has_nothing_to_start_is_judged_without(tmp_path: Path) -> None:
    """A library: its init.sh is gone, or was never there."""
    with open_stage(tmp_path, "tiny+wave-through") as stage:
        stage.lay_out()
        (stage.root / "init.sh").unlink()
        engine = stage.run("--set", "evaluator=feature")
        assert engine.wait() == 0, engine.err
        assert verdicts(stage) == ["PASS"] and statuses(stage) == ["verified"]
        assert stage.journal(named("app_changed")) == []


# --- Without a contract -----------------------------------------------------------------------------


def test_one_session_without_any_scaffolding_is_done_when_it_ends(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        engine = play(stage, "solo", prompt=PROMPT)
        assert engine.wait() == 0, engine.err
        assert (phases(stage), roles(stage)) == (["build"], ["generator"])
        assert PROMPT in text_of(stage.bodies()[0]["messages"][0]["content"])
        assert not stage.contract_file.exists() and not (stage.private / "contract.json").exists()
        assert stage.journal(named("verdict")) == []
        assert stage.journal()[-1]["reason"] == "the work is done"
        assert "Draw a flag" in stage.subjects()
        assert stage.status()["features"]["total"] == 0


@slow
def test_the_best_iteration_of_a_design_stands_though_it_is_not_the_last(tmp_path: Path) -> None:
    with open_stage(tmp_path, "design") as stage:
        engine = play(stage, "design", "--set", "max_iterations=5", prompt="A poster.")
        assert engine.wait() == 0, engine.err
        assert roles(stage) == ["generator", "evaluator"] * 5
        judged = stage.journal(named("verdict"))
        assert [event["iteration"] for event in judged] == [1, 2, 3, 4, 5]
        scores = [event["total"] for event in judged]
        assert scores[0] == scores[1] == scores[2] < scores[4] < scores[3]
        said = {text_of(body["messages"][0]["content"]) for body in stage.bodies("generator")}
        assert sum("leave this direction" in task for task in said) == 1
        assert any(f"4: {scores[3]:.1f}" in task and "keep the direction" in task for task in said)
        chosen = only(stage, "iteration_chosen")
        assert (chosen["iteration"], chosen["by"]) == (4, "engine")
        for path in ("design.json", "screenshots/poster.png"):
            best = stage.git("rev-parse", f"{judged[3]['commit']}:{path}")
            assert stage.git("rev-parse", f"HEAD:{path}") == best
            assert stage.git("rev-parse", f"{judged[4]['commit']}:{path}") != best
        assert json.loads((stage.root / "design.json").read_text())["direction"] == "vivid"
        assert stage.git("status", "--porcelain") == ""
        assert stage.git("merge-base", "--is-ancestor", judged[4]["commit"], "HEAD") == ""
        assert chosen["commit"] == stage.git("rev-parse", "HEAD").strip()
        again = play(stage, "design", "--set", "max_iterations=5", prompt="A poster.")
        assert again.wait() == 0 and len(roles(stage)) == 10


@slow
def test_the_operator_has_another_iteration_stand_than_the_best_even_over_a_kill(tmp_path: Path) -> None:
    with open_stage(tmp_path, "design") as stage:
        root, given = str(stage.root), ("--set", "max_iterations=3", "--set", "checkpoints=end")
        engine = play(stage, "design", *given, prompt="A poster.")
        assert engine.wait() == 5, engine.err
        refused = stage.do("approve", root, "--choose", "4")
        assert refused.wait() == 2 and "choose one of 1 (" in refused.err
        assert stage.do("approve", root, "--choose", "1").wait() == 0
        killed = stage.start("run", root, "--headless", *given)
        stage.wait_for(named("checkpoint_decided"))
        killed.kill()
        again = play(stage, "design", *given, prompt="A poster.")
        assert again.wait() == 0, again.err
        decided, judged = only(stage, "checkpoint_decided"), stage.journal(named("verdict"))
        assert decided["choice"] == 1
        assert [(one["number"], one["total"], one["commit"]) for one in decided["iterations"]] == [
            (event["iteration"], event["total"], event["commit"]) for event in judged
        ]
        chosen = only(stage, "iteration_chosen")
        assert (chosen["iteration"], chosen["by"]) == (1, "operator")
        for path in ("design.json", "screenshots/poster.png"):
            assert stage.git("rev-parse", f"HEAD:{path}") == stage.git(
                "rev-parse", f"{judged[0]['commit']}:{path}"
            )
        assert stage.git("status", "--porcelain") == ""
        assert stage.journal()[-1]["reason"] == "iteration 1 of 3 stands"


# --- What exists already ----------------------------------------------------------------------------


@slow
@pytest.mark.parametrize("has_contract", [True, False])
def test_an_enhancement_adds_to_what_is_there(tmp_path: Path, has_contract: bool) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out()
        if not has_contract:
            stage.git("rm", "-q", "feature_list.json")
            stage.git("commit", "-q", "-m", "Without a contract")
        there = stage.contract() if has_contract else []
        engine = play(stage, "two-agent", "--mode", "enhancement", prompt="One more flag.")
        assert engine.wait() == 0, engine.err
        added = only(stage, "features_added")["features"]
        assert added == (["F002"] if has_contract else [])
        now = stage.contract()
        assert [one["id"] for one in now] == (["F001", "F002"] if has_contract else ["F001"])
        assert [{**one, "passes": False} for one in now[: len(there)]] == there
        assert stage.passing() == [True] * len(now)
        assert roles(stage) == ["initializer", *["generator"] * len(now)]
        assert not (stage.root / "features_to_add.json").exists()
        again = play(stage, "two-agent", "--mode", "enhancement", prompt="One more flag.")
        assert again.wait() == 0
        assert len(roles(stage)) == 1 + len(now)


@slow
def test_a_fault_in_what_exists_is_shown_by_a_test_before_it_is_mended(tmp_path: Path) -> None:
    with open_stage(tmp_path, "bugfix") as stage:
        lay_out_fault(stage)
        evaluated = ("--set", "evaluator=feature")
        engine = play(stage, "two-agent", "--mode", "bugfix", *evaluated, prompt=bugfix.REPORT)
        assert engine.wait() == 0, engine.err
        assert roles(stage) == ["initializer", "generator", "evaluator"]
        assert "Reproduced" in (stage.root / "PROGRESS.md").read_text()
        assert shown_before_mended(stage)
        assert verdicts(stage) == ["PASS"] and statuses(stage) == ["verified"]
        shown = subprocess.run(
            [sys.executable, "slug.py", "Hello, World!"],
            cwd=stage.root,
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout == "hello-world\n"


@slow
def test_a_report_on_a_finished_contract_is_added_to_it_and_mended(tmp_path: Path) -> None:
    with open_stage(tmp_path, "bugfix") as stage:
        there = {"id": "F001", "description": "A title becomes a slug", "steps": ["Use it"], "passes": True}
        lay_out_fault(stage, there)
        engine = play(stage, "two-agent", "--mode", "bugfix", prompt=bugfix.REPORT)
        assert engine.wait() == 0, engine.err
        assert only(stage, "features_added")["features"] == ["F002"]
        assert roles(stage) == ["initializer", "generator"]
        assert stage.contract()[0] == there
        assert stage.passing() == [True, True]
        assert last_statuses(stage) == {"F002": "claimed"}
        assert shown_before_mended(stage)


def lay_out_fault(stage: Stage, *features: Mapping[str, object]) -> None:
    """A program with a fault, and a contract where there are features."""
    stage.root.mkdir()
    for name, text in bugfix.PROJECT.items():
        (stage.root / name).write_text(text)
    if features:
        stage.contract_file.write_text(json.dumps(features))
    (stage.root / "init.sh").chmod(0o755)
    stage.git("init", "-q", "-b", "main")
    stage.git("add", "-A")
    stage.git("commit", "-q", "-m", "A program with a fault")


def shown_before_mended(stage: Stage) -> bool:
    """Whether a test failed, then the program was changed, then the test passed, and nothing else."""
    (first, failed), (second, passed) = calls(stage, "Bash", "python3 check.py")
    ((change, _),) = calls(stage, "Edit", "slug.py")
    return not failed and passed and first < change < second


def calls(stage: Stage, tool: str, about: str) -> list[tuple[int, bool]]:
    """A generator's calls that name something: their places in the journal, and whether they went well."""
    made = [
        event
        for event in stage.journal(named("tool_use", tool=tool, role="generator"))
        if about in json.dumps(event["input"])
    ]
    results = {event["tool_use_id"]: event["ok"] for event in stage.journal(named("tool_result"))}
    return [(event["seq"], results[event["tool_use_id"]]) for event in made]


# --- Every switch -----------------------------------------------------------------------------------


def switched() -> list[tuple[str, str]]:
    """Each switch, set to what the preset `sprints` doesn't set it to."""
    other: dict[str, list[str]] = {
        "context": ["fresh"],
        "evaluator": ["off", "feature", "end"],
        "rubric": ["off", "design"],
        "rounds": ["1"],
        "contract_rounds": ["1"],
        "sprint_features": ["1"],
        "min_iterations": ["1"],
        "max_iterations": ["1"],
        "checkpoints": ["never"],
        "passes_from": ["verified"],
    }
    found = []
    for field in msgspec.structs.fields(Switches):
        words = other.get(field.name) or ["off"]
        found += [(field.name, word) for word in words]
    return found


@slow
@pytest.mark.parametrize(("name", "value"), switched())
def test_a_run_ends_whatever_single_component_is_switched(tmp_path: Path, name: str, value: str) -> None:
    with open_stage(tmp_path) as stage:
        engine = play(stage, "sprints", "--features", "2", "--set", f"{name}={value}", prompt=PROMPT)
        assert engine.wait() == 0, engine.err
        assert stage.journal()[-1]["type"] == "run_ended" and stage.alive() == []
        status = stage.status()
        assert status["lifecycle"] == "complete"
        spent = sum(phase["usd"] for phase in status["phases"])
        assert spent == pytest.approx(status["cost_usd"], abs=1e-5)
        if name == "initializer":
            assert not stage.contract_file.exists()
        else:
            assert stage.passing() == [True, True]
        gone = {"planner": "plan", "initializer": "initialize", "sprint_contracts": "negotiate"}
        if name in gone:
            assert gone[name] not in phases(stage)
        if (name, value) == ("evaluator", "off"):
            assert "evaluator" not in roles(stage)


@slow
@pytest.mark.parametrize(
    "setting",
    ["planner=on", "context=continuous", "sprint_contracts=on", "evaluator=end", "evaluator=sprint"],
)
def test_a_component_can_be_switched_on_alone(tmp_path: Path, setting: str) -> None:
    with open_stage(tmp_path) as stage:
        engine = play(stage, "two-agent", "--features", "2", "--set", setting, prompt=PROMPT)
        assert engine.wait() == 0, engine.err
        assert stage.passing() == [True, True]
        assert stage.status()["lifecycle"] == "complete"


@slow
def test_an_engine_that_dies_before_it_says_which_iteration_stands_is_as_if_it_had_not(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, "design") as stage:
        dies = {"PYTHONPATH": str(FAULT_POINTS), "LONGWATCH_TEST_DIES_AT": "iteration_chosen:before"}
        usual, stage.env = stage.env, stage.env | dies
        dead = stage.start("run", str(stage.root), "--headless", *DESIGN, "--prompt", "A poster.")
        assert dead.wait(150) == -9
        assert stage.journal(named("iteration_chosen")) == []
        stage.env = usual
        assert play(stage, "design", "--set", "max_iterations=5", prompt="A poster.").wait() == 0
        chosen = only(stage, "iteration_chosen")
        assert (chosen["iteration"], chosen["commit"]) == (4, stage.git("rev-parse", "HEAD").strip())
        assert stage.subjects().count("longwatch: iteration 4 stands") == 1
        (stands,) = stage.journal(named("commit", sha=chosen["commit"]))
        assert stands["by"] == "engine"
        assert json.loads((stage.root / "design.json").read_text())["direction"] == "vivid"
        assert stage.git("status", "--porcelain") == "" and gapless(stage.journal())


@slow
def test_builders_who_go_by_the_contract_end_though_it_shows_a_claim_only_when_it_is_verified(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, "demo") as stage:
        engine = play(stage, "continuous", "--features", "2", "--set", "passes_from=verified")
        assert engine.wait() == 0, engine.err
        assert roles(stage) == ["initializer", "generator", "evaluator"]
        assert stage.passing() == [True, True] and stage.journal(named("loop_detected")) == []


def test_every_switch_is_tried(tmp_path: Path) -> None:
    assert {name for name, _ in switched()} == {field.name for field in msgspec.structs.fields(Switches)}

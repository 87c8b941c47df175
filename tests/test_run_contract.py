"""The contract of record under agents and owners who treat it badly."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness_core.rehearsal.scenarios import tiny
from tests.harness import Event, Stage, gapless, named, open_stage, text_of


def texts(stage: Stage) -> list[object]:
    """What of the contract no agent may change."""
    return [{key: value for key, value in feature.items() if key != "passes"} for feature in stage.contract()]


def sound(features: int) -> list[object]:
    written = json.loads(tiny.contract(features))
    return [{key: value for key, value in feature.items() if key != "passes"} for feature in written]


def statuses(stage: Stage) -> dict[str, str]:
    record = json.loads((stage.private / "contract.json").read_text())
    return {feature["id"]: feature["status"] for feature in record["features"]}


# The initializer


@pytest.mark.parametrize(
    ("mischief", "complaint"),
    [("broken-json", "line"), ("wrong-count", "2"), ("pre-passed", "passes")],
)
def test_a_contract_that_is_not_as_asked_is_sent_back_and_mended(
    tmp_path: Path, mischief: str, complaint: str
) -> None:
    features = 3 if mischief == "wrong-count" else 1
    with open_stage(tmp_path, f"tiny+{mischief}") as stage:
        engine = stage.run("--max-sessions", "1", features=features)
        assert engine.wait(60) == 4, engine.err
        starts = stage.journal(named("session_started"))
        assert [event["role"] for event in starts] == ["initializer"]
        assert texts(stage) == sound(features)
        assert stage.passing() == [False] * features
        assert len(stage.journal(named("contract_frozen"))) == 1
        last = stage.bodies("initializer")[-1]
        said = [text_of(message["content"]) for message in last["messages"] if message["role"] == "user"]
        back = [text for text in said if "can't be frozen" in text]
        assert len(back) == 1
        assert complaint in back[0]
        assert stage.status()["features"]["total"] == features


# The builder


@pytest.fixture(scope="module", params=["rm-contract", "py-rm-contract", "sed-contract", "script-contract"])
def tampered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One of two features is built, in a session that attacks the contract before it claims."""
    with open_stage(tmp_path_factory.mktemp(request.param), f"tiny+{request.param}@F001") as stage:
        stage.lay_out(2)
        engine = stage.run("--max-sessions", "1", features=2)
        assert engine.wait(60) == 4, engine.err
        yield stage


def attacks(stage: Stage) -> list[Event]:
    """The calls that meant to change the contract, and what became of them."""
    journal = stage.journal()
    calls = {
        event["tool_use_id"]
        for event in journal
        if event["type"] == "tool_use"
        and event["tool"] == "Bash"
        and any(word in json.dumps(event["input"]) for word in ("rm -f", "os.remove", "sed -i", "flip.py"))
    }
    ends = ("guard_decision", "contract_tampered")
    return [event for event in journal if event["type"] in ends and event.get("tool_use_id") in calls]


def test_what_an_agent_does_to_the_contract_is_denied_or_undone(tampered: Stage) -> None:
    assert attacks(tampered)
    assert texts(tampered) == sound(2)
    assert tampered.passing() == [True, False]
    assert statuses(tampered) == {"F001": "claimed", "F002": "failing"}
    changes = tampered.journal(named("feature_changed"))
    assert [(event["feature"], event["to"]) for event in changes] == [("F001", "claimed")]
    assert changes[0]["evidence"]
    restored = tampered.journal(named("contract_tampered"))
    assert tampered.status()["tampered"] == len(restored)
    assert all(event["what"] and event["tool_use_id"] and event["restored"] for event in restored)
    # What git has never said anything else.
    for commit in tampered.git("log", "--format=%H", "--", "feature_list.json").split():
        shown = json.loads(tampered.git("show", f"{commit}:feature_list.json"))
        assert len(shown) == 2 and shown[1]["passes"] is False


def test_a_bare_claim_is_refused_and_says_why(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+bare-claim@F001") as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        refused = stage.journal(named("guard_decision", guard="evidence"))
        assert len(refused) == 1
        claims = [e for e in stage.journal(named("tool_use")) if e["tool"].endswith("claim_feature")]
        assert refused[0]["tool_use_id"] == claims[0]["tool_use_id"]
        assert stage.journal(named("tool_result", tool_use_id=claims[0]["tool_use_id"]))[0]["ok"] is False
        accepted = stage.journal(named("feature_changed"))
        assert len(accepted) == 1 and accepted[0]["seq"] > refused[0]["seq"]


def test_an_edit_claims_with_evidence_and_only_with_it(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+edit-claim") as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        edits = [event for event in stage.journal(named("tool_use")) if event["tool"] == "Edit"]
        assert len(edits) == 2
        refused = stage.journal(named("guard_decision"))
        assert [(event["guard"], event["tool_use_id"]) for event in refused] == [
            ("evidence", edits[0]["tool_use_id"])
        ]
        claimed = stage.journal(named("feature_changed"))
        assert [(event["to"], event["by"]) for event in claimed] == [("claimed", "generator")]
        assert [piece["path"] for piece in claimed[0]["evidence"]] == ["screenshots/F001-flag.png"]
        assert claimed[0]["seq"] > edits[1]["seq"]
        assert stage.passing() == [True]
        assert stage.journal(named("contract_tampered")) == []


def test_no_tool_writes_outside_or_into_the_private_folder(tmp_path: Path) -> None:
    Path("/tmp/rehearsal-outside.txt").unlink(missing_ok=True)
    with open_stage(tmp_path, "tiny+outside") as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        denied = stage.journal(named("guard_decision", tool="Write"))
        assert [event["guard"] for event in denied] == ["path", "path"]
        assert not Path("/tmp/rehearsal-outside.txt").exists()
        assert gapless(stage.journal())
        assert stage.passing() == [True]


# What lies there before


@pytest.mark.parametrize("known", [False, True])
def test_a_contract_that_is_not_json_is_told_and_left_alone(tmp_path: Path, known: bool) -> None:
    with open_stage(tmp_path, None) as stage:
        stage.env["ANTHROPIC_API_KEY"] = "none"
        stage.root.mkdir()
        broken = '[\n  {"category": "x", "description": "y", "steps": [],, "passes": false}\n]\n'
        stage.contract_file.write_text(broken)
        (stage.root / "notes.txt").write_text("mine\n")
        spec = ["--spec", str(stage.spec)] if known else []
        engine = stage.start("run", str(stage.root), *spec, "--headless")
        assert engine.wait(20) == 2
        assert "line 2" in engine.err and "column" in engine.err
        assert engine.err.count("\n") == 1 and engine.out == ""
        assert stage.contract_file.read_text() == broken
        assert {path.name for path in stage.root.iterdir()} == {"feature_list.json", "notes.txt"}
        shown = stage.do("status", str(stage.root))
        assert "0/0" not in shown.out and "line 2" in shown.out + shown.err


def test_what_passes_in_a_contract_from_outside_is_adopted(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out(2)
        features = stage.contract()
        features[0]["passes"] = True
        stage.contract_file.write_text(json.dumps(features))
        engine = stage.run(features=7)
        assert engine.wait(60) == 0, engine.err
        assert {event["role"] for event in stage.journal(named("session_started"))} == {"generator"}
        assert len(stage.journal(named("session_started"))) == 1
        assert stage.journal(named("contract_frozen"))[0]["adopted"] == ["F001"]
        assert statuses(stage) == {"F001": "claimed", "F002": "claimed"}
        assert [event["feature"] for event in stage.journal(named("feature_changed"))] == ["F002"]


def test_a_map_is_a_contract_too(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out(1)
        entry = stage.contract()[0]
        wrapped = {"features": {"F001": {key: value for key, value in entry.items() if key != "id"}}}
        stage.contract_file.unlink()
        (stage.root / "test-results.json").write_text(json.dumps(wrapped))
        engine = stage.run("--max-sessions", "1")
        assert engine.wait(60) in (0, 1, 4)
        assert stage.journal(named("contract_frozen"))[0]["features"] == ["F001"]
        shown = json.loads((stage.root / "test-results.json").read_text())
        assert set(shown) == {"features"} and set(shown["features"]) == {"F001"}
        assert not stage.contract_file.exists()


def test_a_contract_broken_between_two_engines_is_restored(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out(2)
        engine = stage.run("--max-sessions", "1", features=2)
        assert engine.wait(60) == 4, engine.err
        stage.contract_file.write_text('[{"half": ')
        shown = stage.status()["features"]
        assert (shown["total"], shown["passing"]) == (2, 1)
        again = stage.run("--max-sessions", "9", features=2)
        assert again.wait(60) == 0, again.err
        assert "line 1" in stage.journal(named("contract_tampered"))[0]["what"]
        assert texts(stage) == sound(2) and stage.passing() == [True, True]


def test_the_operators_git_sees_nothing_private(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out()
        for name in ("AGENT_FINISH", "STEER.md", "STEER.next.md"):
            (stage.root / name).write_text("x\n")
        engine = stage.run()
        assert engine.wait(60) == 3, engine.err
        listed = subprocess.run(
            ["git", "ls-files", "-o", "--exclude-standard"],
            cwd=stage.root,
            env=stage.env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert not [name for name in listed.stdout.split() if not name.startswith("__pycache__")]

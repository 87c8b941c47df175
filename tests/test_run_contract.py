"""The contract of record under agents and owners who treat it badly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness_core.rehearsal.scenarios import tiny
from tests.harness import Stage, gapless, named, open_stage, text_of


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
    [
        pytest.param("broken-json", "line", marks=pytest.mark.slow),
        pytest.param("wrong-count", "2", marks=pytest.mark.slow),
        ("pre-passed", "passes"),
    ],
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
        back = [text for text in said if "can't be taken as it is" in text]
        assert len(back) == 1
        assert complaint in back[0]
        assert stage.status()["features"]["total"] == features


# The builder


def test_what_an_agent_does_to_the_contract_is_denied_or_undone(tmp_path: Path) -> None:
    attacks = ("rm -f", "os.remove", "sed -i", "flip.py")
    misdeeds = "+".join(f"{name}-contract@F001" for name in ("rm", "py-rm", "sed", "script"))
    with open_stage(tmp_path, f"tiny+{misdeeds}") as stage:
        stage.lay_out(2)
        engine = stage.run("--max-sessions", "1", features=2)
        assert engine.wait(60) == 4, engine.err
        calls = {
            attack: event["tool_use_id"]
            for event in stage.journal(named("tool_use", tool="Bash"))
            for attack in attacks
            if attack in event["input"]["command"]
        }
        answered = [*stage.journal(named("guard_decision")), *stage.journal(named("contract_tampered"))]
        assert calls.keys() == set(attacks)
        assert set(calls.values()) <= {event["tool_use_id"] for event in answered}
        restored = stage.journal(named("contract_tampered"))
        assert stage.status()["tampered"] == len(restored) > 0
        assert all(event["what"] and event["restored"] for event in restored)
        assert texts(stage) == sound(2)
        assert stage.passing() == [True, False]
        assert statuses(stage) == {"F001": "claimed", "F002": "failing"}
        changes = stage.journal(named("feature_changed"))
        assert [(event["feature"], event["to"]) for event in changes] == [("F001", "claimed")]
        assert changes[0]["evidence"]
        # What git has never said anything else.
        for commit in stage.git("log", "--format=%H", "--", "feature_list.json").split():
            shown = json.loads(stage.git("show", f"{commit}:feature_list.json"))
            assert len(shown) == 2 and shown[1]["passes"] is False


def test_a_bare_claim_is_refused_and_nothing_is_written_outside(tmp_path: Path) -> None:
    Path("/tmp/rehearsal-outside.txt").unlink(missing_ok=True)
    with open_stage(tmp_path, "tiny+bare-claim@F001+outside") as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        refused = stage.journal(named("guard_decision", guard="evidence"))
        assert len(refused) == 1
        claims = [e for e in stage.journal(named("tool_use")) if e["tool"].endswith("claim_feature")]
        assert refused[0]["tool_use_id"] == claims[0]["tool_use_id"]
        assert stage.journal(named("tool_result", tool_use_id=claims[0]["tool_use_id"]))[0]["ok"] is False
        denied = stage.journal(named("guard_decision", tool="Write"))
        assert [event["guard"] for event in denied] == ["path", "path"]
        assert not Path("/tmp/rehearsal-outside.txt").exists()
        assert gapless(stage.journal())
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


def test_a_map_from_outside_is_a_contract_and_what_passes_in_it_is_adopted(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out(2)
        first, second = stage.contract()
        first["passes"], second["passes"] = True, False
        stage.contract_file.write_text(json.dumps({"features": {"F001": first, "F002": second}}))
        engine = stage.run(features=7)
        assert engine.wait(60) == 0, engine.err
        assert {event["role"] for event in stage.journal(named("session_started"))} == {"generator"}
        assert len(stage.journal(named("session_started"))) == 1
        assert stage.journal(named("contract_frozen"))[0]["adopted"] == ["F001"]
        assert statuses(stage) == {"F001": "claimed", "F002": "claimed"}
        assert [event["feature"] for event in stage.journal(named("feature_changed"))] == ["F002"]
        kept = json.loads(stage.contract_file.read_text())["features"]
        assert [kept[feature]["passes"] for feature in ("F001", "F002")] == [True, True]


def test_a_contract_broken_between_two_engines_is_restored(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        stage.contract_file.write_text('[{"half": ')
        shown = stage.status()["features"]
        assert (shown["total"], shown["passing"]) == (1, 1)
        again = stage.run()
        assert again.wait(20) == 0, again.err
        assert "line 1" in stage.journal(named("contract_tampered"))[0]["what"]
        assert texts(stage) == sound(1) and stage.passing() == [True]
        assert len(stage.journal(named("session_started"))) == 1


@pytest.mark.slow
def test_what_an_initializer_left_unfinished_is_not_taken_for_a_contract_from_outside(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+pre-passed+wrong-count") as stage:
        assert stage.run("--max-turns", "1", features=3).wait(60) == 4
        assert stage.journal(named("contract_frozen")) == []
        assert stage.run("--max-turns", "200", features=3).wait(90) == 0
        frozen = stage.journal(named("contract_frozen"))
        assert [(len(event["features"]), event["adopted"]) for event in frozen] == [(3, [])]
        built = {event["feature"] for event in stage.journal(named("session_started", role="generator"))}
        assert built == set(frozen[0]["features"])

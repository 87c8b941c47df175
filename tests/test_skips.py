"""Features given up by the operator: at any time, once, with a reason, and over a killed engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from harness_core.config import RunInfo, save_info
from harness_core.contract.ledger import Ledger
from harness_core.contract.record import Status
from harness_core.errors import Mistake
from harness_core.layout import FORMAT
from harness_core.operator import control, skips
from harness_core.record import events as ev
from harness_core.record.journal import Tail
from harness_core.run import Run
from harness_core.sessions import Sessions
from harness_core.steps.judgement import Judgement
from tests.commands import longwatch, said, sentence
from tests.conftest import OpenRun
from tests.harness import named, open_stage


@pytest.fixture
def run(open_run: OpenRun, tmp_path: Path) -> Run:
    made = open_run(tmp_path / "run")
    listed = [{"id": name, "description": name, "steps": [], "passes": False} for name in ("F1", "F2")]
    made.dir.contract.write_text(json.dumps(listed))
    save_info(made.dir, RunInfo(FORMAT, "r", "two-agent", "", made.config))
    return made


def frozen(run: Run) -> Ledger:
    ledger = Ledger(run)
    assert ledger.freeze(None) is None
    return ledger


def changes(run: Run) -> list[tuple[str, str, str, str]]:
    found = [event for event in Tail(run.dir.journal).read_all() if isinstance(event, ev.FeatureChanged)]
    return [(event.feature, event.to.value, event.by, event.note) for event in found]


def test_a_request_is_followed_once_and_gone(run: Run) -> None:
    ledger = frozen(run)
    skips.ask(run.dir, run.state, "F2", "needs a licence")
    for _ in range(2):
        skips.take_up(run, ledger)
    assert changes(run) == [("F2", "skipped", "operator", "needs a licence")]
    assert control.requests(run.dir.skips) == []


@pytest.mark.parametrize("number", ["", "one", "../001", "-1", "1.5"])
def test_a_question_of_no_number_is_none_to_answer(run: Run, number: str) -> None:
    frozen(run)
    run.emit(ev.CheckpointOpened(id=number, kind="needs-work", subject_hash="0", features=["F1"]))
    skips.ask(run.dir, run.state, "F1", "later")
    assert len(control.requests(run.dir.skips)) == 1
    assert "no open checkpoint" in sentence(longwatch("approve", str(run.dir.root)))


def test_a_request_waits_for_the_freeze(run: Run) -> None:
    control.skip(run.dir, "F1", "later")
    skips.take_up(run, Ledger(run))
    assert control.requests(run.dir.skips)
    skips.take_up(run, frozen(run))
    assert run.state.features["F1"].status is Status.SKIPPED


def test_who_is_at_work_on_it_is_told_once_though_the_engine_is_killed_in_between(run: Run) -> None:
    ledger = frozen(run)
    run.emit(
        ev.SessionStarted(
            session=1, role="generator", sdk_session="s", model="m", feature="F1", features=["F1"]
        )
    )
    skips.ask(run.dir, run.state, "F1", "later")
    (path,) = control.requests(run.dir.skips)
    asked = path.read_bytes()
    skips.take_up(run, ledger)
    # As if the kill had come before the request was put away.
    path.write_bytes(asked)
    skips.take_up(run, ledger)
    assert len(changes(run)) == 1
    told = [control.read_steer(run.dir, number) for number in control.numbers(run.dir.steering)]
    assert [(message.mode, "gives F1 up for now: later" in message.text) for message in told if message] == [
        ("now", True)
    ]


def test_an_open_question_about_it_alone_is_answered_by_that(run: Run) -> None:
    frozen(run)
    for features, answered in ((["F1", "F2"], False), (["F1"], True)):
        asked = control.Checkpoint(
            id=f"{len(features):03d}", kind="pass", opened="", summary="", features=features, subject_hash="h"
        )
        run.dir.checkpoints.mkdir(exist_ok=True)
        control.save_checkpoint(run.dir, asked)
        run.emit(ev.CheckpointOpened(id=asked.id, kind="pass", subject_hash="h", features=features))
        skips.ask(run.dir, run.state, "F1", "later")
        decided = control.read_decision(run.dir, asked.id)
        assert (decided is not None and decided.decision == "skip") is answered
    assert len(control.requests(run.dir.skips)) == 1


def test_a_verdict_that_was_under_way_doesn_t_take_it_up_again(run: Run) -> None:
    ledger = frozen(run)
    for feature in ("F1", "F2"):
        ledger.change(feature, Status.CLAIMED, by="generator")
    skips.ask(run.dir, run.state, "F1", "later")
    skips.take_up(run, ledger)
    judgement = Judgement(run, ledger, cast(Sessions, None))
    judgement.apply(run.emit(ev.Verdict(verdict="PASS", scope=["F1", "F2"])))
    assert [ledger.status(name) for name in ("F1", "F2")] == [Status.SKIPPED, Status.VERIFIED]


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"feature":"F9","note":"x","by":"ada","asked":""}'])
def test_what_names_no_feature_is_left_out_with_a_word(run: Run, text: bytes) -> None:
    ledger = frozen(run)
    run.dir.skips.mkdir()
    (run.dir.skips / "001.json").write_bytes(text)
    for _ in range(2):
        skips.take_up(run, ledger)
    assert run.state.errors == 1 and "001.json" in run.state.last_error
    assert control.requests(run.dir.skips) == [] and changes(run) == []
    kept = run.dir.skips / "001.damaged"
    assert kept.read_bytes() == text and str(kept) in run.state.last_error


def test_a_second_damaged_file_of_that_number_leaves_the_first_alone(run: Run) -> None:
    ledger = frozen(run)
    run.dir.skips.mkdir()
    texts = {b"what the operator", b"has said twice"}
    for text in texts:
        (run.dir.skips / "1.json").write_bytes(text)
        skips.take_up(run, ledger)
    assert {path.read_bytes() for path in run.dir.skips.iterdir()} == texts and run.state.errors == 2


def test_what_can_not_be_skipped_is_refused_in_a_sentence(run: Run) -> None:
    ledger, root = frozen(run), str(run.dir.root)
    assert "say why with --note" in sentence(longwatch("skip", root, "F1"))
    assert "no feature F9 to skip: there are F1, F2" in sentence(longwatch("skip", root, "F9", "--note", "x"))
    assert said(longwatch("skip", root, "F1", "--note", "later")).startswith("F1: skip.\nNo engine")
    skips.take_up(run, ledger)
    with pytest.raises(Mistake, match="skipped already"):
        skips.ask(run.dir, run.state, "F1", "again")
    run.dir.run_json.unlink()
    with pytest.raises(Mistake, match="isn't run by Longwatch"):
        skips.ask(run.dir, run.state, "F2", "x")


def test_a_live_run_goes_on_without_it(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out(2)
        engine = stage.run(features=2)
        stage.wait_for(lambda event: event["type"] == "tool_use" and "go" in str(event["input"]))
        assert stage.do("skip", str(stage.root), "F002", "--note", "later").wait() == 0
        changed = stage.wait_for(named("feature_changed", feature="F002"))
        assert (changed["to"], changed["by"], changed["note"]) == ("skipped", "operator", "later")
        stage.release()
        assert engine.wait(60) == 1
        assert stage.passing() == [True, False]
        assert len(stage.journal(named("session_started", role="generator"))) == 1

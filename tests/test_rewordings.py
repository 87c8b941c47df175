"""The contract's text changed by the operator: frozen anew, told, built again, asked again, over a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_core.config import RunInfo, save_info
from harness_core.contract import record as ct
from harness_core.contract.ledger import Ledger
from harness_core.contract.record import Status
from harness_core.errors import Mistake
from harness_core.layout import FORMAT
from harness_core.operator import checkpoints, control, rewordings
from harness_core.record import events as ev
from harness_core.record.journal import Tail
from harness_core.run import Run
from tests.commands import longwatch, said, sentence
from tests.conftest import OpenRun
from tests.harness import named, open_stage, until

LISTED = [
    {"id": name, "category": "x", "description": f"{name} is red", "steps": ["look"], "passes": False}
    for name in ("F1", "F2")
]


@pytest.fixture
def run(open_run: OpenRun, tmp_path: Path) -> Run:
    made = open_run(tmp_path / "run")
    made.dir.contract.write_text(json.dumps(LISTED))
    save_info(made.dir, RunInfo(FORMAT, "r", "two-agent", "", made.config))
    return made


def frozen(run: Run) -> Ledger:
    ledger = Ledger(run)
    assert ledger.freeze(None) is None
    return ledger


def events(run: Run, kind: type[ev.Event]) -> list[ev.Event]:
    return [event for event in Tail(run.dir.journal).read_all() if isinstance(event, kind)]


def shown(run: Run) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run.dir.contract.read_text())
    return found


def test_the_contract_is_frozen_anew_with_the_text_and_what_passed_has_to_be_built_again(run: Run) -> None:
    ledger = frozen(run)
    before = run.state.contract_sha
    ledger.change("F1", Status.CLAIMED, by="generator")
    rewordings.ask(run.dir, "F1", "F1 is blue", ["look", "look again"])
    for _ in range(2):
        rewordings.take_up(run, ledger)
    assert shown(run)[0] == {**LISTED[0], "description": "F1 is blue", "steps": ["look", "look again"]}
    assert shown(run)[1] == LISTED[1]
    (changed,) = events(run, ev.ContractChanged)
    assert isinstance(changed, ev.ContractChanged)
    assert (changed.feature, changed.by) == ("F1", control.operator_name())
    record = ct.decode(run.dir.record.read_bytes())
    assert changed.sha256 == run.state.contract_sha == record.sha256 != before
    assert run.state.features["F1"].status is Status.FAILING
    assert control.requests(run.dir.rewordings) == []
    ledger.inspect(None)
    assert run.state.tampered == 0


def test_a_text_changed_by_anybody_else_is_still_put_back(run: Run) -> None:
    ledger = frozen(run)
    rewordings.ask(run.dir, "F1", "F1 is blue", None)
    rewordings.take_up(run, ledger)
    good = run.dir.contract.read_text()
    run.dir.contract.write_text(good.replace("blue", "any colour"))
    ledger.inspect(None)
    assert run.dir.contract.read_text() == good and run.state.tampered == 1


def test_what_was_given_up_is_taken_up_again(run: Run) -> None:
    ledger = frozen(run)
    ledger.change("F1", Status.SKIPPED, by="engine", note="3 attempts")
    rewordings.ask(run.dir, "F1", None, ["look twice"])
    rewordings.take_up(run, ledger)
    assert run.state.features["F1"].status is Status.FAILING and run.state.features["F1"].attempts == 0


class Killed(BaseException):
    """As a kill of the engine: nothing handles it."""


@pytest.mark.parametrize("survives", range(4))
def test_a_kill_at_any_event_or_file_is_mended_by_the_next_engine(
    run: Run, open_run: OpenRun, survives: int
) -> None:
    ledger = frozen(run)
    ledger.change("F1", Status.CLAIMED, by="generator")
    rewordings.ask(run.dir, "F1", "F1 is blue", None)
    write, left = run.emit, iter(range(survives))

    def crash(event: ev.Event) -> ev.Event:
        if next(left, None) is None:
            raise Killed
        return write(event)

    run.emit = crash  # type: ignore[method-assign,assignment]
    try:
        rewordings.take_up(run, ledger)
    except Killed:
        assert control.requests(run.dir.rewordings)
    later = open_run(run.dir.root)
    again = Ledger(later)
    again.load()
    rewordings.take_up(later, again)
    assert len(events(later, ev.ContractChanged)) == 1
    changes = [event.to for event in events(later, ev.FeatureChanged) if isinstance(event, ev.FeatureChanged)]
    assert changes == [Status.CLAIMED, Status.FAILING]
    assert shown(later)[0]["description"] == "F1 is blue" and shown(later)[0]["passes"] is False
    assert later.state.tampered == 0


def test_who_builds_it_is_told_once(run: Run) -> None:
    ledger = frozen(run)
    run.emit(ev.SessionStarted(session=1, role="generator", sdk_session="s", model="m", features=["F1"]))
    rewordings.ask(run.dir, "F1", "F1 is blue", None)
    rewordings.ask(run.dir, "F2", "F2 is blue", None)
    rewordings.take_up(run, ledger)
    (number,) = control.numbers(run.dir.steering)
    message = control.read_steer(run.dir, number)
    assert message is not None and message.mode == "now" and "text of F1" in message.text


@pytest.mark.parametrize(("feature", "over"), [("F1", True), ("F2", False)])
def test_a_question_about_it_is_over_and_its_answer_void(run: Run, feature: str, over: bool) -> None:
    ledger = frozen(run)
    ledger.change("F1", Status.CLAIMED, by="generator")
    asked = checkpoints.open_checkpoint(run, "end", ["F1"], "is it?")
    assert checkpoints.subject_of(run, "end", ["F1"]).hash == asked.subject_hash
    control.decide(run.dir, asked, "approve")
    rewordings.ask(run.dir, feature, "another text", None)
    rewordings.take_up(run, ledger)
    assert (checkpoints.subject_of(run, "end", ["F1"]).hash != asked.subject_hash) is over
    assert checkpoints.follow_decision(run, ledger)
    assert run.state.checkpoint is None
    assert run.state.features["F1"].status is (Status.FAILING if over else Status.APPROVED)


WORD = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=30)


@settings(deadline=None)
@given(st.sampled_from(["list", "map", "wrapped"]), st.integers(0, 2), WORD, st.lists(WORD, max_size=3))
def test_every_form_of_a_contract_keeps_all_else(
    form: str, place: int, description: str, steps: list[str]
) -> None:
    entries = [
        {"description": f"d{n}", "steps": ["s"], "more": [n, None], "passes": n == 1} for n in range(3)
    ]
    plain: object = {f"k{n}": entry for n, entry in enumerate(entries)} if form == "map" else entries
    whole = {"title": "x", "features": plain} if form == "wrapped" else plain
    record = ct.freeze(ct.parse(json.dumps(whole), "feature_list.json"), "now")
    feature = record.features[place].id
    grown = ct.reword(record, feature, description, steps)
    before, after = ct.document(record), ct.document(grown)
    assert after.features[place].description == description and after.features[place].steps == tuple(steps)
    assert {item.feature for item in ct.compare(before, ct.passing_ids(before), after).texts} <= {feature}
    assert ct.decode(ct.encode(grown)) == grown and ct.reword(grown, feature, description, steps) == grown


# --- The command ------------------------------------------------------------------------------------------


def test_the_command_shows_and_asks(run: Run, tmp_path: Path) -> None:
    ledger, root = frozen(run), str(run.dir.root)
    assert said(longwatch("contract", root, "F1")) == "F1 is red\n\n- look\n"
    steps = tmp_path / "steps.txt"
    steps.write_text("1. open it\n\n- press the key\nlook\n")
    done = said(longwatch("contract", root, "F1", "--description", "F1 is blue", "--steps-from", str(steps)))
    assert done.startswith("F1: its text is to be changed.\nNo engine")
    rewordings.take_up(run, ledger)
    assert shown(run)[0]["steps"] == ["open it", "press the key", "look"]


def test_the_editor_changes_both(run: Run, tmp_path: Path) -> None:
    ledger = frozen(run)
    editor = tmp_path / "editor.sh"
    editor.write_text("#!/bin/sh\nsed -i 's/red/blue/; s/- look/- look\\n- press/' \"$1\"\n")
    editor.chmod(0o755)
    said(longwatch("contract", str(run.dir.root), "F1", "--edit", EDITOR=str(editor)))
    rewordings.take_up(run, ledger)
    assert (shown(run)[0]["description"], shown(run)[0]["steps"]) == ("F1 is blue", ["look", "press"])
    untouched = sentence(longwatch("contract", str(run.dir.root), "F1", "--edit", EDITOR="true"))
    assert "nothing was saved" in untouched
    missing = sentence(longwatch("contract", str(run.dir.root), "F1", "--edit", EDITOR="/nowhere/ed"))
    assert "set EDITOR" in missing


words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
plain = st.lists(words, min_size=1, max_size=4).map(" ".join).filter(lambda said: said[0].isalpha())


@given(plain, st.lists(plain, max_size=4))
def test_an_edited_text_gives_back_what_was_written(description: str, steps: list[str]) -> None:
    listed = [{"id": "F1", "description": description, "steps": steps, "passes": False}]
    text = rewordings.as_text(ct.parse(json.dumps(listed), "feature_list.json").features[0])
    assert rewordings.edited(text) == (description, steps)
    assert rewordings.edited(f"{text}- and this\n  to its end\n")[1] == [*steps, "and this\nto its end"]


def test_an_editor_leaves_to_the_letter_what_was_not_touched(run: Run) -> None:
    odd = [{"id": "F1", "description": "two\n\n  lines", "steps": ["a\nb", "- c"], "passes": False}]
    run.dir.contract.write_text(json.dumps(odd))
    frozen(run)
    before = rewordings.as_text(rewordings.present(run.dir, "F1"))
    with pytest.raises(Mistake, match="says that already"):
        rewordings.ask_edited(run.dir, "F1", before, before + "\n\n")
    rewordings.ask_edited(run.dir, "F1", before, "one line\n" + before.partition("lines\n")[2])
    (path,) = control.requests(run.dir.rewordings)
    request = control.read_request(path, control.RewordRequest)
    assert request is not None and (request.description, request.steps) == ("one line", None)


def test_what_is_no_text_is_refused_in_a_sentence(run: Run, tmp_path: Path) -> None:
    root = str(run.dir.root)
    assert "none before the contract is frozen" in sentence(longwatch("contract", root, "F1"))
    frozen(run)
    assert "no feature F9 in the contract: there are F1, F2" in sentence(longwatch("contract", root, "F9"))
    for given_, says in (
        (["--description", " "], "is empty"),
        (["--description", "F1 is red"], "says that already"),
        (["--description", "x" * 30_000], "over 20000 characters"),
        (["--steps-from", str(tmp_path / "none")], "can't be read"),
        (["--edit", "--description", "x"], "--edit changes both"),
    ):
        assert says in sentence(longwatch("contract", root, "F1", *given_))
    run.dir.run_json.unlink()
    with pytest.raises(Mistake, match="isn't run by Longwatch"):
        rewordings.ask(run.dir, "F1", "x", None)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"feature":"F9","by":"ada","asked":""}'])
def test_what_names_no_feature_is_left_out_with_a_word(run: Run, text: bytes) -> None:
    ledger = frozen(run)
    run.dir.rewordings.mkdir()
    (run.dir.rewordings / "001.json").write_bytes(text)
    rewordings.take_up(run, ledger)
    assert run.state.errors == 1 and "001.json" in run.state.last_error
    assert control.requests(run.dir.rewordings) == [] and events(run, ev.ContractChanged) == []
    assert (run.dir.rewordings / "001.damaged").read_bytes() == text


@pytest.mark.slow
def test_a_live_run_builds_by_the_new_text(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold@F002") as stage:
        stage.lay_out(2)
        engine = stage.run(features=2)
        stage.wait_for(
            lambda event: event["type"] == "tool_use" and "exists(" in str(event["input"]), within=90
        )
        asked = stage.do("contract", str(stage.root), "F001", "--description", "Flag 1 has three stripes")
        assert asked.wait() == 0
        stage.wait_for(named("contract_changed", feature="F001"))
        until(lambda: stage.passing() == [False, False], 10, "F001 has to be built again")
        stage.release()
        assert engine.wait(90) == 0
        assert stage.passing() == [True, True]
        built = [event["feature"] for event in stage.journal(named("session_started", role="generator"))]
        assert built == ["F001", "F002", "F001"]
        assert stage.contract()[0]["description"] == "Flag 1 has three stripes"


@pytest.mark.slow
def test_a_question_left_open_is_put_again_after_the_feature_was_built_by_its_new_text(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, "tiny") as stage:
        stage.lay_out()
        assert stage.run("--set", "checkpoints=end").wait() == 5
        asked = stage.do("contract", str(stage.root), "F001", "--description", "Flag 1 has three stripes")
        assert asked.wait() == 0 and "No engine is running" in asked.out
        assert stage.run().wait() == 5
        happened = [
            (event["type"], event.get("decision") or event.get("to") or event.get("id"))
            for event in stage.journal()
            if event["type"] in ("checkpoint_opened", "checkpoint_decided", "feature_changed")
        ]
        assert happened == [
            ("feature_changed", "claimed"),
            ("checkpoint_opened", "001"),
            ("feature_changed", "failing"),
            ("checkpoint_decided", "stale"),
            ("feature_changed", "claimed"),
            ("checkpoint_opened", "002"),
        ]
        hashes = {event["subject_hash"] for event in stage.journal(named("checkpoint_opened"))}
        assert len(hashes) == 2
        assert stage.do("approve", str(stage.root)).wait() == 0
        assert stage.run().wait() == 0

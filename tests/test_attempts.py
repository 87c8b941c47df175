"""Breadcrumbs: what was tried on a feature reaches whoever builds it next, whatever was killed in between."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_core.contract.record import Status
from harness_core.record import events as ev
from harness_core.run import Run
from harness_core.steps import attempts
from harness_core.steps.attempts import Attempts, attempts_at, told, tried_in
from tests.conftest import OpenRun
from tests.harness import Stage, named, open_stage, text_of

FINDING = ev.Finding("F1", "craft", "the third stripe is missing", "draw it and look")


@pytest.fixture
def run(open_run: OpenRun, tmp_path: Path) -> Run:
    made = open_run(tmp_path / "run")
    made.emit(ev.ContractFrozen(features=["F1", "F2"], sha256="0", name="feature_list.json"))
    return made


def begin(run: Run, number: int, *features: str, role: str = "generator", resumed: bool = False) -> None:
    run.emit(
        ev.SessionStarted(
            session=number, role=role, sdk_session="s", model="m", features=list(features), resumed=resumed
        )
    )


def end(run: Run, reason: str = "done") -> None:
    run.emit(ev.SessionEnded(reason=reason, ms=1, turns=1, usd=0))


def say(run: Run, text: str) -> None:
    run.emit(ev.Text(text=text))


def write(run: Run, name: str, call: str = "t1") -> None:
    given_ = {"file_path": str(run.dir.root / name), "content": ""}
    run.emit(ev.ToolUse(tool_use_id=call, tool="Write", input=given_))


def deny(run: Run, guard: str, reason: str, call: str = "t2") -> None:
    run.emit(ev.GuardDecision(tool_use_id=call, tool="Write", guard=guard, reason=reason))


def change(run: Run, to: Status, by: str = "generator", feature: str = "F1", note: str = "") -> None:
    before = run.state.features[feature].status
    run.emit(ev.FeatureChanged(feature=feature, from_=before, to=to, by=by, note=note))


def judge(run: Run, number: int = 9) -> None:
    begin(run, number, "F1", role="evaluator")
    run.emit(ev.Verdict(verdict="NEEDS_WORK", scope=["F1"], findings=[FINDING]))
    end(run)
    change(run, Status.FAILING, by="evaluator", note="needs work")


def story(run: Run) -> None:
    """A session without a claim, one whose claim is refuted, and one whose claim holds."""
    begin(run, 1, "F1")
    say(run, "I'll try it with a table.")
    write(run, "table.py")
    deny(run, "evidence", "open the picture first")
    write(run, "../outside.py", "t3")
    deny(run, "path", "it lies outside", "t3")
    run.emit(ev.Commit(sha="a" * 40, subject="Draw with a table", by="generator"))
    say(run, "The table can't hold it.")
    end(run)
    begin(run, 2, "F1")
    say(run, "Then with a list.")
    change(run, Status.CLAIMED)
    end(run)
    judge(run, 3)
    begin(run, 4, "F1")
    change(run, Status.CLAIMED)
    end(run)
    change(run, Status.VERIFIED, by="evaluator")


def test_an_attempt_says_what_was_tried_and_what_became_of_it(run: Run) -> None:
    Attempts(run).listen()
    story(run)
    third, second, first = attempts_at(run.dir, "F1")
    assert (first.session, first.tried, first.files) == (1, "The table can't hold it.", ["table.py"])
    assert first.commits == ["aaaaaaaaaa Draw with a table"] and first.refused == ["open the picture first"]
    assert (first.claimed, first.reason) == (False, "done")
    assert (second.claimed, second.held, second.findings) == (True, False, [FINDING])
    assert (second.state, second.note) == ("failing", "needs work")
    assert (third.claimed, third.held, third.state) == (True, True, "verified")
    assert first.started <= first.ended <= second.started


def test_who_comes_next_hears_of_all_that_the_newest_first(run: Run) -> None:
    Attempts(run).listen()
    story(run)
    words = told(run.dir, ["F1"])
    assert [words.index(f"session no. {number}") for number in (4, 2, 1)] == sorted(
        words.index(f"session no. {number}") for number in (4, 2, 1)
    )
    for said in ("The table can't hold it.", "open the picture first", FINDING.where, FINDING.reproduce):
        assert said in words
    assert "it did not hold (needs work)" in words and "no claim was accepted" in words
    assert told(run.dir, ["F2"]) == ""


def test_a_killed_engine_s_attempts_are_those_of_one_that_lived(
    run: Run, open_run: OpenRun, tmp_path: Path
) -> None:
    Attempts(run).listen()
    story(run)
    kept = {path.name: path.read_bytes() for path in run.dir.attempts.iterdir()}
    newest = max(kept)
    (run.dir.attempts / newest).unlink()
    Attempts(open_run(run.dir.root)).listen()
    assert {path.name: path.read_bytes() for path in run.dir.attempts.iterdir()} == kept


def test_a_session_that_an_engine_was_killed_in_is_one_attempt(run: Run, open_run: OpenRun) -> None:
    Attempts(run).listen()
    begin(run, 1, "F1")
    write(run, "before.py", "t1")
    later = open_run(run.dir.root)
    Attempts(later).listen()
    begin(later, 1, "F1", resumed=True)
    write(later, "after.py", "t2")
    say(later, "Nothing helps.")
    end(later)
    (only,) = attempts_at(run.dir, "F1")
    assert (only.files, only.tried) == (["before.py", "after.py"], "Nothing helps.")


def test_one_session_on_many_features_is_an_attempt_at_each_that_it_came_to(run: Run) -> None:
    Attempts(run).listen()
    begin(run, 1, "F1", "F2")
    write(run, "one.py")
    say(run, "F1 is easy.")
    change(run, Status.CLAIMED)
    write(run, "two.py", "t2")
    say(run, "F2 is not.")
    end(run, "timeout")
    assert [(one.files, one.tried, one.claimed) for one in attempts_at(run.dir, "F1")] == [
        (["one.py"], "F1 is easy.", True)
    ]
    assert [(one.files, one.tried, one.reason) for one in attempts_at(run.dir, "F2")] == [
        (["two.py"], "F2 is not.", "timeout")
    ]


def test_a_regression_told_later_marks_the_attempt_that_claimed(run: Run) -> None:
    Attempts(run).listen()
    begin(run, 1, "F1")
    change(run, Status.CLAIMED)
    end(run)
    assert [one.held for one in attempts_at(run.dir, "F1")] == [None]
    begin(run, 2, "F2")
    change(run, Status.REGRESSED, note="the page is blank")
    end(run)
    (only,) = attempts_at(run.dir, "F1")
    assert (only.held, only.state, only.note) == (False, "regressed", "the page is blank")


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"[]", b'{"session": "x"}'])
def test_a_damaged_file_costs_itself_alone(run: Run, damage: bytes) -> None:
    Attempts(run).listen()
    story(run)
    (run.dir.attempts / "002-F1.json").write_bytes(damage)
    assert [one.session for one in attempts_at(run.dir, "F1")] == [4, 1]


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=4, unique=True))
def test_no_two_features_share_a_file(features: list[str]) -> None:
    words = [attempts._file_word(feature) for feature in features]
    assert len(set(words)) == len(features)
    assert all("/" not in word and "-" not in word and len(word) < 80 for word in words)


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(0, 6000))
def test_what_is_kept_and_told_is_bounded(count: int, length: int) -> None:
    build = ev.SessionStarted(session=1, role="generator", sdk_session="s", model="m", features=["F1"])
    events: list[ev.Event] = [ev.Text(text="x" * length)]
    events += [
        ev.GuardDecision(tool_use_id=f"{n}", tool="t", guard="evidence", reason="r" * length)
        for n in range(count)
    ]
    events += [ev.Commit(sha="a" * 40, subject="s" * length, by="me") for _ in range(count)]
    (attempt,) = tried_in(build, events, Path("/nowhere"))
    assert len(json.dumps(attempt.refused)) < (attempts.WORDS + 10) * attempts.MOST
    assert len(attempts._in_words(attempt)) < attempts.TOLD_CHARACTERS


def first_message(stage: Stage, number: int) -> str:
    """What session `number` was told at its start, as it went over the wire."""
    found = [
        text_of(body["messages"][0]["content"])
        for body in stage.bodies("generator")
        if f"This is session {number} " in text_of(body["messages"][0]["content"])
    ]
    assert found
    return found[0]


@pytest.mark.slow
def test_the_next_session_hears_of_the_failed_way_and_of_the_finding(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+idle@1+needs-work@F001") as stage:
        stage.lay_out()
        engine = stage.run("--set", "evaluator=feature")
        assert engine.wait() == 0, engine.err
        idle, claimed = "believe everything is in order already", "F001 is built and claimed."
        found = stage.journal(named("verdict"))[0]["findings"]
        assert "What was tried before" not in first_message(stage, 1)
        second, last = first_message(stage, 2), first_message(stage, 4)
        assert idle in second and "session no. 1" in second
        assert idle in last and claimed in last and last.index(claimed) < last.index(idle)
        assert f"Found in it afterwards ({found[0]['criterion']}): {found[0]['where']}" in last
        files = sorted(path.name for path in (stage.private / "attempts").iterdir())
        assert files == ["001-F001.json", "002-F001.json", "004-F001.json"]
        newest = json.loads((stage.private / "attempts" / files[-1]).read_text())
        assert newest["claimed"] is True and (newest["held"], newest["state"]) == (True, "verified")
        assert "designs/F001.json" in json.loads((stage.private / "attempts" / files[1]).read_text())["files"]


@pytest.mark.parametrize("handed_over", [[], ["PROGRESS.md", "ARCHITECTURE.md"]])
def test_what_is_committed_after_a_claim_belongs_to_what_was_claimed(
    run: Run, handed_over: list[str]
) -> None:
    Attempts(run).listen()
    begin(run, 1, "F1", "F2")
    write(run, "one.py")
    change(run, Status.CLAIMED)
    for number, name in enumerate(handed_over):
        write(run, name, f"note{number}")
    run.emit(ev.Commit(sha="a" * 40, subject="Draw one", by="generator"))
    write(run, "two.py", "t2")
    run.emit(ev.Commit(sha="b" * 40, subject="Begin two", by="generator"))
    change(run, Status.CLAIMED, feature="F2")
    end(run)
    (first,), (second,) = attempts_at(run.dir, "F1"), attempts_at(run.dir, "F2")
    assert (first.files, first.commits) == (["one.py", *handed_over], ["aaaaaaaaaa Draw one"])
    assert (second.files, second.commits) == (["two.py"], ["bbbbbbbbbb Begin two"])

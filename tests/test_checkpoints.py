"""Checkpoints: nothing but the operator's word on what was shown answers one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec
import pytest

from harness_core.contract.ledger import Ledger
from harness_core.contract.record import Status
from harness_core.errors import Mistake
from harness_core.evidence.claim import Kind, fingerprint
from harness_core.operator import checkpoints, control
from harness_core.operator.control import DecisionFile
from harness_core.record import events as ev
from harness_core.record.journal import Tail
from harness_core.run import Run
from tests.conftest import OpenRun

Spawn = Callable[..., BaseProcess]
CLAIM = ev.FeatureChanged(feature="F1", from_=Status.FAILING, to=Status.CLAIMED, by="generator")


@pytest.fixture
def run(open_run: OpenRun, tmp_path: Path) -> Run:
    """A run with one claimed feature, whose evidence and work are committed."""
    made = open_run(tmp_path / "run")
    made.dir.evidence.mkdir()
    features = [{"id": name, "description": name, "steps": [], "passes": False} for name in ("F1", "F2")]
    made.dir.contract.write_text(json.dumps(features))
    (made.dir.evidence / "f1.log").write_text("1 passed\n")
    made.git.commit_all("work")
    assert Ledger(made).freeze(None) is None
    made.emit(msgspec.structs.replace(CLAIM, evidence=[piece(made, "screenshots/f1.log")]))
    return made


def piece(run: Run, path: str) -> ev.BoundPiece:
    found = fingerprint(run.dir.root / path)
    assert found is not None
    return ev.BoundPiece(path=path, sha256=found.sha256, size=found.size, mtime_ns=0, kind=Kind.TEXT)


def ask(run: Run) -> control.Checkpoint:
    return checkpoints.open_checkpoint(run, "end", ["F1"], "is it as it should be?")


def follow(run: Run) -> bool:
    """Look for an answer as an engine does; whether one counted."""
    ledger = Ledger(run)
    ledger.load()
    return checkpoints.follow_decision(run, ledger)


def answers(run: Run) -> list[ev.CheckpointDecided]:
    return [event for event in Tail(run.dir.journal).read_all() if isinstance(event, ev.CheckpointDecided)]


def decisions(run: Run) -> list[str]:
    return [answer.decision for answer in answers(run)]


def open_id(run: Run) -> str | None:
    return run.state.checkpoint.id if run.state.checkpoint else None


# --- What changes under a decision ----------------------------------------------------------------


def commit(run: Run) -> None:
    (run.dir.root / "app.py").write_text("print(1)\n")
    assert run.git.commit_all("more work")


def change_file(run: Run) -> None:
    (run.dir.evidence / "f1.log").write_text("2 passed\n")


def remove_file(run: Run) -> None:
    (run.dir.evidence / "f1.log").unlink()


def claim_again(run: Run) -> None:
    (run.dir.evidence / "f1b.log").write_text("3 passed\n")
    run.emit(msgspec.structs.replace(CLAIM, evidence=[piece(run, "screenshots/f1b.log")]))


def judge(run: Run) -> None:
    run.emit(ev.Verdict(verdict="NEEDS_WORK", scope=["F1"]))


@pytest.mark.parametrize("change", [commit, change_file, remove_file, claim_again, judge])
def test_an_answer_to_what_has_changed_since_is_void_and_the_question_is_put_again(
    run: Run, change: Callable[[Run], None]
) -> None:
    first = ask(run)
    control.decide(run.dir, first, "approve")
    change(run)
    assert not follow(run)
    assert decisions(run) == ["stale"]
    assert open_id(run) == "002"
    second = control.read_checkpoint(run.dir, 2)
    assert second is not None and second.subject_hash != first.subject_hash
    assert (second.kind, second.features, second.summary) == (first.kind, first.features, first.summary)

    control.decide(run.dir, second, "approve", "now it is")
    assert follow(run)
    assert answers(run)[-1].note == "now it is"
    assert open_id(run) is None


def test_a_contract_that_changes_under_an_answer_is_asked_about_again(run: Run) -> None:
    path = run.dir.root / "contracts/01-a.md"
    path.parent.mkdir()
    path.write_text("1. It works.\n")
    run.emit(ev.SprintStarted(sprint=1, features=["F1"], path="contracts/01-a.md"))
    first = checkpoints.open_checkpoint(run, "contract", ["F1"], "does it hold?")
    assert any(piece.startswith("contracts/01-a.md ") for piece in first.evidence)
    control.decide(run.dir, first, "approve")
    path.write_text("1. It nearly works.\n")
    assert not follow(run)
    assert (decisions(run), open_id(run)) == (["stale"], "002")
    second = control.read_checkpoint(run.dir, 2)
    assert second is not None
    control.decide(run.dir, second, "approve")
    assert follow(run)
    assert run.state.sprint is not None and run.state.sprint.accepted == "operator"


def test_what_the_question_is_not_about_may_change(run: Run) -> None:
    first = ask(run)
    run.emit(ev.Verdict(verdict="NEEDS_WORK", scope=["F2"]))
    run.emit(ev.FeatureChanged(feature="F2", from_=Status.FAILING, to=Status.SKIPPED, by="engine"))
    (run.dir.root / "PROGRESS.md").write_text("uncommitted\n")
    control.decide(run.dir, first, "approve")
    assert follow(run)


def test_an_answer_with_another_hash_than_was_asked_is_void(run: Run) -> None:
    ask(run)
    forged = DecisionFile(id="001", decision="approve", by="x", note="", subject_hash="0" * 64, decided="now")
    control.decision_path(run.dir, "001").write_bytes(msgspec.json.encode(forged))
    assert not follow(run)
    assert decisions(run) == ["stale"]
    assert open_id(run) == "002"


# --- The evaluator overruled -----------------------------------------------------------------------


def refuse(run: Run, *criteria: str) -> control.Checkpoint:
    """A verdict that finds F1 wrong by these criteria, followed as an engine does, and the question on it."""
    findings = [ev.Finding("F1", criterion, f"wrong by {criterion}", "look") for criterion in criteria]
    verdict = run.emit(ev.Verdict(verdict="NEEDS_WORK", scope=["F1"], findings=findings))
    checkpoints.write_findings(run, verdict)
    refuted = msgspec.structs.replace(CLAIM, from_=Status.CLAIMED, to=Status.FAILING, by="evaluator")
    run.emit(refuted)
    return checkpoints.open_checkpoint(run, "needs-work", ["F1"], "more work?")


def test_overruling_all_that_was_found_approves_the_work_and_is_kept(run: Run) -> None:
    control.decide(run.dir, refuse(run, "craft"), "approve", "it is fine", ["craft"])
    assert follow(run)
    assert answers(run)[-1].overrides == ["craft"]
    assert run.state.features["F1"].status is Status.APPROVED
    assert run.state.verdict is not None and run.state.verdict.verdict == "PASS"
    assert "wrong by" not in run.dir.findings.read_text()
    case = json.loads((run.dir.calibration / "001.json").read_bytes())
    assert case["verdict"]["findings"][0]["criterion"] == "craft" and case["answer"]["note"] == "it is fine"


def test_overruling_a_part_leaves_the_rest_to_mend(run: Run) -> None:
    control.decide(run.dir, refuse(run, "craft", "functionality"), "approve", overrides=["craft"])
    assert follow(run)
    assert run.state.features["F1"].status is Status.FAILING
    assert run.state.verdict is not None and run.state.verdict.verdict == "NEEDS_WORK"
    page = run.dir.findings.read_text()
    assert "wrong by functionality" in page and "wrong by craft" not in page


# --- Which iteration of a design stands -----------------------------------------------------------------


def design(run: Run, *totals: float) -> control.Checkpoint:
    """The question at the end of a design whose iterations scored so."""
    for number, total in enumerate(totals, 1):
        (run.dir.root / "poster.txt").write_text(f"poster {number}\n")
        commit = run.git.commit_all(f"iteration {number}")
        run.emit(ev.Verdict(verdict="PASS", scope=[], iteration=number, total=total, commit=commit))
    return checkpoints.open_checkpoint(run, "end", [], "which one?")


def test_any_iteration_of_a_design_can_be_chosen_and_the_journal_has_what_was_shown(run: Run) -> None:
    shown = design(run, 5.0, 9.0, 7.0)
    assert [(one.number, one.total) for one in shown.iterations] == [(1, 5.0), (2, 9.0), (3, 7.0)]
    assert shown.iterations[2].commit == run.git.head()
    control.decide(run.dir, shown, "approve", choice=1)
    assert follow(run)
    answer = answers(run)[-1]
    assert (answer.choice, answer.iterations) == (1, shown.iterations)
    assert run.state.choice == 1


def test_only_an_iteration_that_was_shown_can_be_chosen(run: Run) -> None:
    with pytest.raises(Mistake, match=r"no iteration 3: choose one of 1 \(5.0\), 2 \(9.0\)"):
        control.decide(run.dir, design(run, 5.0, 9.0), "approve", choice=3)
    with pytest.raises(Mistake, match="isn't the end of a design"):
        control.decide(run.dir, refuse(run, "craft"), "approve", choice=1)


def test_an_answer_that_chooses_what_is_not_there_is_void(run: Run) -> None:
    asked = design(run, 5.0, 9.0)
    said = {"decision": "approve", "by": "x", "note": "", "decided": "now", "choice": 9}
    forged = {"id": asked.id, "subject_hash": asked.subject_hash, **said}
    control.decision_path(run.dir, asked.id).write_bytes(msgspec.json.encode(forged))
    assert not follow(run)
    assert (decisions(run), open_id(run)) == (["stale"], "002")


def test_a_choice_is_bound_to_the_iterations_that_were_shown(run: Run) -> None:
    control.decide(run.dir, design(run, 5.0, 9.0), "approve", choice=1)
    run.emit(ev.Verdict(verdict="PASS", scope=[], iteration=2, total=4.0, commit=run.git.head()))
    assert not follow(run)
    assert (decisions(run), run.state.choice) == (["stale"], None)


# --- Only an answer answers ----------------------------------------------------------------


def test_without_an_answer_there_is_none_however_often_it_is_looked_for(run: Run) -> None:
    ask(run)
    before = run.journal.last_seq
    assert not any(follow(run) for _ in range(50))
    assert run.journal.last_seq == before
    assert open_id(run) == "001"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"approve",
        b"\xff",
        b'{"decision":"approve"}',
        b'{"id":"001","decision":"yes","by":"x","note":""}',
    ],
    ids=range(6),
)
def test_what_is_no_whole_decision_decides_nothing(run: Run, content: bytes) -> None:
    ask(run)
    control.decision_path(run.dir, "001").write_bytes(content)
    assert not follow(run)
    assert (open_id(run), decisions(run)) == ("001", [])


def test_an_answer_to_another_question_is_not_taken(run: Run) -> None:
    first = ask(run)
    ahead = msgspec.structs.replace(first, id="002")
    control.decide(run.dir, ahead, "approve")
    assert not follow(run)
    assert open_id(run) == "001"


def test_without_a_question_an_answer_is_nothing(run: Run) -> None:
    assert not follow(run)


def test_a_second_answer_is_refused_and_the_first_one_holds(run: Run) -> None:
    first = ask(run)
    control.decide(run.dir, first, "reject", "the button is grey")
    with pytest.raises(Mistake, match="already has a decision"):
        control.decide(run.dir, first, "approve")
    assert follow(run)
    assert answers(run)[-1].note == "the button is grey"
    assert not follow(run)
    assert decisions(run) == ["reject"]


def _decide(run: Run, checkpoint: control.Checkpoint, note: str) -> None:
    control.decide(run.dir, checkpoint, "approve", note)


def test_of_answers_at_the_same_time_one_counts(run: Run, spawn: Spawn) -> None:
    first = ask(run)
    operators = [spawn(_decide, run, first, str(number)) for number in range(4)]
    for operator in operators:
        operator.join(30)
    assert sorted(operator.exitcode == 0 for operator in operators) == [False, False, False, True]
    winner = next(number for number, operator in enumerate(operators) if operator.exitcode == 0)
    assert follow(run)
    assert answers(run)[-1].note == str(winner)


@pytest.mark.parametrize("decision", ["reject", "skip"])
@pytest.mark.parametrize("note", ["", " \n"])
def test_sending_back_or_skipping_needs_a_reason(run: Run, decision: control.Decision, note: str) -> None:
    first = ask(run)
    with pytest.raises(Mistake, match="say why with --note"):
        control.decide(run.dir, first, decision, note)
    assert control.read_decision(run.dir, "001") is None


@pytest.mark.parametrize("there", [b"{", b"{}", b'{"decision": "approve"}'])
def test_a_file_that_answers_nothing_does_not_lock_the_operator_out(run: Run, there: bytes) -> None:
    control.decision_path(run.dir, "001").write_bytes(there)
    first = ask(run)
    assert not follow(run)
    control.decide(run.dir, first, "approve", "mine")
    assert follow(run)
    assert answers(run)[-1].note == "mine"


# --- Over crashes ----------------------------------------------------------------


def test_question_and_answer_outlive_the_engine(run: Run, open_run: OpenRun) -> None:
    first = ask(run)
    later = open_run(run.dir.root)
    assert open_id(later) == "001"
    assert not follow(later)
    control.decide(run.dir, first, "approve", "fine")
    latest = open_run(run.dir.root)
    assert follow(latest)
    assert not follow(open_run(run.dir.root))
    assert [(answer.decision, answer.note) for answer in answers(run)] == [("approve", "fine")]


@pytest.mark.parametrize("survives", [0, 1, 2])
def test_a_decision_cut_off_at_any_event_is_followed_to_its_end_and_not_twice(
    run: Run, open_run: OpenRun, survives: int
) -> None:
    first = ask(run)
    control.decide(run.dir, first, "approve", "fine")
    write, left = run.emit, iter(range(survives))

    def crash(event: ev.Event) -> ev.Event:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return write(event)

    run.emit = crash  # type: ignore[method-assign,assignment]
    with contextlib.suppress(KeyboardInterrupt):
        follow(run)
    later = open_run(run.dir.root)
    follow(later)
    assert not follow(later)
    assert decisions(later) == ["approve"]
    assert later.state.features["F1"].status is Status.APPROVED
    changes = [event for event in Tail(run.dir.journal).read_all() if isinstance(event, ev.FeatureChanged)]
    assert [change.to for change in changes] == [Status.CLAIMED, Status.APPROVED]
    assert control.highest(run.dir.steering) == 1


def test_a_question_that_was_written_and_not_journaled_is_asked_under_the_same_number(
    run: Run, open_run: OpenRun
) -> None:
    def crash(event: ev.Event) -> ev.Event:
        raise KeyboardInterrupt

    run.emit = crash  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        ask(run)
    later = open_run(run.dir.root)
    assert open_id(later) is None
    assert ask(later).id == "001"
    assert open_id(later) == "001"


def test_a_decision_says_who_when_and_about_what(run: Run) -> None:
    first = ask(run)
    control.decide(run.dir, first, "approve", "good")
    kept = json.loads(control.decision_path(run.dir, "001").read_bytes())
    assert kept["by"] == control.operator_name()
    assert kept["subject_hash"] == first.subject_hash
    assert kept["decided"].endswith("Z")
    digest = fingerprint(run.dir.root / "screenshots/f1.log")
    assert digest is not None and list(first.evidence) == [f"screenshots/f1.log {digest.sha256}"]
    assert first.commit == run.git.head()

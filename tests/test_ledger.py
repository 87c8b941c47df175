"""The ledger: claims are judged, tampering is undone, and a crash between two writes is mended."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness_core.agent.gate import Gate, Running
from harness_core.answer import Answer
from harness_core.brake import Brake
from harness_core.config import RunConfig, Switches
from harness_core.contract import record as ct
from harness_core.contract.ledger import Ledger
from harness_core.contract.record import Status
from harness_core.errors import ContractError
from harness_core.evidence import claim as evd
from harness_core.guards import GuardContext, ToolCall
from harness_core.guards.contract import Kind
from harness_core.operator.steering import Steering
from harness_core.record import events as ev
from harness_core.record.history import History
from harness_core.record.journal import Tail
from harness_core.run import Run
from harness_core.secrets.redact import Redactor
from tests.conftest import OpenRun

FEATURES = [{"id": f"F{number}", "description": f"number {number}", "passes": False} for number in (1, 2, 3)]
NAME = "feature_list.json"


@dataclass
class Built:
    """A run with a frozen contract and a session at work."""

    run: Run
    ledger: Ledger
    session: evd.SessionEvidence = field(default_factory=evd.SessionEvidence.of_now)

    @property
    def mirror(self) -> Path:
        return self.run.dir.root / NAME

    def shown(self, name: str = "f1.log", content: str = "3 passed\n") -> str:
        """Evidence that a program made and the agent has read."""
        path = f"screenshots/{name}"
        target = self.run.dir.root / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(content)
        return self.read(path)

    def read(self, path: str) -> str:
        """Have the agent read a file to its end."""
        target = self.run.dir.root / path
        found = evd.fingerprint(target)
        assert found is not None
        lines = target.read_text().count("\n")
        file = {"numLines": lines, "startLine": 1, "totalLines": lines}
        self.session.note_read(path, found.sha256, {"type": "text", "file": file})
        return path

    def claim(self, feature: str = "F1", *paths: str, also_for: tuple[str, ...] = ()) -> str | None:
        """None when a claim is accepted, else the reason."""
        answer = self.ledger.claim(feature, paths or (self.shown(),), "done", also_for, self.session)
        return None if answer.ok else answer.text

    def edit(self, feature: str, passes: bool) -> tuple[object, Answer | None]:
        """An agent's Edit of the contract, from its judgement to its record: a denial, or the answer."""
        rows = json.loads(self.mirror.read_text())
        next(row for row in rows if row["id"] == feature)["passes"] = passes
        text = json.dumps(rows)
        call = ToolCall("Write", {"file_path": str(self.mirror), "content": text}, "tool-1")
        denial, edit = self.ledger.judge_edit(call, self.session)
        if denial is not None or edit is None:
            return denial, None
        self.mirror.write_text(text)
        answer = self.ledger.settle_edit(edit, self.session)
        self.ledger.inspect("tool-1")
        return None, answer

    @property
    def passing(self) -> list[str]:
        """What the agents' file says."""
        return [row["id"] for row in json.loads(self.mirror.read_text()) if row["passes"] is True]

    @property
    def statuses(self) -> list[str]:
        """What the record on disk says."""
        return [row.status.value for row in ct.decode(self.run.dir.record.read_bytes()).features]

    def journaled(self, kind: type[ev.Event]) -> list[ev.Event]:
        return [event for event in Tail(self.run.dir.journal).read_all() if isinstance(event, kind)]

    @property
    def tampered(self) -> int:
        return len(self.journaled(ev.ContractTampered))


def gate_of(built: Built) -> Gate:
    """What the calls of that session pass."""
    run = built.run
    return Gate(
        run,
        built.ledger,
        Steering(run),
        History(run),
        Brake(run),
        "generator",
        "sdk-1",
        built.session,
        run.dir.private / "notes.json",
    )


Build = Callable[..., Built]


@pytest.fixture
def build(open_run: OpenRun, tmp_path: Path) -> Build:
    def make(**switches: object) -> Built:
        config = RunConfig(switches=Switches(**switches))  # type: ignore[arg-type]
        run = open_run(tmp_path / "run", config)
        ledger = Ledger(run)
        if run.state.features:
            ledger.load()
        else:
            (run.dir.root / NAME).write_text(json.dumps(FEATURES, indent=2))
            assert ledger.freeze(3) is None
        return Built(run, ledger)

    return make


@pytest.fixture
def built(build: Build) -> Built:
    return build()


# --- Freezing ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected", "said"),
    [
        ("{", 3, "line 1"),
        (json.dumps(FEATURES[:2]), 3, "it has 2 features, 3 were asked for"),
        (json.dumps([{**FEATURES[0], "passes": True}]), 1, "already passes"),
    ],
)
def test_a_contract_that_can_not_be_frozen_gets_a_sentence(
    open_run: OpenRun, tmp_path: Path, content: str, expected: int, said: str
) -> None:
    run = open_run(tmp_path / "run")
    (run.dir.root / NAME).write_text(content)
    ledger = Ledger(run)
    wrong = ledger.freeze(expected)
    assert wrong is not None and said in wrong
    assert not ledger.frozen
    assert not run.dir.record.exists()


def test_what_passes_in_a_contract_from_outside_is_adopted_as_claimed(
    open_run: OpenRun, tmp_path: Path
) -> None:
    run = open_run(tmp_path / "run")
    (run.dir.root / NAME).write_text(json.dumps([{**FEATURES[0], "passes": True}, *FEATURES[1:]]))
    ledger = Ledger(run)
    assert ledger.freeze(None) is None
    assert ledger.status("F1") is Status.CLAIMED
    assert ledger.passing == {"F1"}


def test_before_the_freeze_nothing_can_be_claimed(open_run: OpenRun, tmp_path: Path) -> None:
    answer = Ledger(open_run(tmp_path / "run")).claim("F1", ["a.log"], "", (), evd.SessionEvidence.of_now())
    assert not answer.ok


# --- Claims by the tool ----------------------------------------------------------------


def test_a_claim_with_evidence_is_on_record_everywhere(built: Built) -> None:
    built.run.git.commit_all("work")
    assert built.claim() is None
    assert built.passing == ["F1"]
    assert built.statuses == ["claimed", "failing", "failing"]
    (change,) = built.journaled(ev.FeatureChanged)
    assert isinstance(change, ev.FeatureChanged)
    assert (change.from_, change.to, change.by, change.note) == ("failing", "claimed", "generator", "done")
    assert [(piece.path, piece.commit) for piece in change.evidence] == [
        ("screenshots/f1.log", built.run.git.head())
    ]
    assert built.claim() is None
    assert len(built.journaled(ev.FeatureChanged)) == 1


def test_a_claim_without_proof_is_refused_and_changes_nothing(built: Built) -> None:
    (built.run.dir.root / "unread.log").write_text("3 passed\n")
    built.shown("failed.log", "1 passed\n2 failed\n")
    before = built.run.journal.last_seq
    assert "needs evidence" in str(built.ledger.claim("F1", (), "", (), built.session).text)
    assert "opened" in str(built.claim("F1", "unread.log"))
    assert "isn't there" in str(built.claim("F1", "screenshots/none.log"))
    assert built.claim("F1", "screenshots/failed.log") is not None
    assert "outside" in str(built.claim("F1", "/etc/hostname"))
    assert "no feature F9" in str(built.claim("F9"))
    assert "also_for names F8" in str(built.claim("F1", built.shown(), also_for=("F8",)))
    assert built.run.journal.last_seq == before
    assert built.passing == []


@pytest.mark.parametrize(
    ("command", "accepted"),
    [
        ("cp /etc/hostname screenshots/f1.log", False),
        ("head -2 notes.txt > screenshots/f1.log", False),
        ("head -2 notes.txt > part.log && mv part.log screenshots/f1.log", False),
        ("cp screenshots/old.log screenshots/f1.log", False),
        ("python3 -c 'print(6 * 7)' | tee screenshots/f1.log", True),
        ("python3 -c 'print(6 * 7)' > part.log && cp part.log screenshots/f1.log", True),
    ],
)
def test_a_copy_is_worth_what_it_was_made_from(built: Built, command: str, accepted: bool) -> None:
    root = built.run.dir.root
    os.utime(root / built.shown("old.log"), ns=(1, 1))
    gate = gate_of(built)
    typed = ToolCall("Write", {"file_path": str(root / "notes.txt")}, "tool-1")
    shell = ToolCall("Bash", {"command": command}, "tool-2")
    for call, doing in (
        (typed, "printf '3 passed\\nall of it\\nin three lines\\n' > notes.txt"),
        (shell, command),
    ):
        gate.running[call.tool_use_id] = Running(call, 0.0)
        subprocess.run(["bash", "-c", doing], cwd=root, check=True)
        gate.finish(call.tool_use_id)
    refused = built.claim("F1", built.read("screenshots/f1.log"))
    assert refused is None if accepted else "not made by a program" in str(refused)


@pytest.mark.parametrize(
    ("made", "kept"),
    [
        ("results/login.log", "screenshots/F1-login.log"),
        ("f1-test.log", "screenshots/f1-test.log"),
        ("results/taken.log", "screenshots/F1-taken-2.log"),
        ("screenshots/login.log", "screenshots/login.log"),
    ],
)
def test_what_proves_a_feature_is_kept_in_one_folder(built: Built, made: str, kept: str) -> None:
    root = built.run.dir.root
    for folder in ("screenshots", "results"):
        (root / folder).mkdir()
    (root / "screenshots/F1-taken.log").write_text("of something else\n")
    (root / made).write_text("3 passed\n")
    assert built.claim("F1", built.read(made)) is None
    (change,) = built.journaled(ev.FeatureChanged)
    assert isinstance(change, ev.FeatureChanged)
    assert [piece.path for piece in change.evidence] == [kept]
    assert (root / kept).read_text() == "3 passed\n"
    assert (root / "screenshots/F1-taken.log").read_text() == "of something else\n"


def test_no_evidence_is_copied_out_of_the_run(built: Built, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (built.run.dir.root / "screenshots").symlink_to(outside)
    (built.run.dir.root / "f1.log").write_text("3 passed\n")
    assert built.claim("F1", built.read("f1.log")) is None
    assert list(outside.iterdir()) == []


def test_evidence_is_spent_once_unless_the_claim_says_so_openly(built: Built) -> None:
    shared = built.shown()
    assert built.claim("F1", shared) is None
    assert "already spent on feature F1" in str(built.claim("F2", shared))
    assert built.claim("F2", shared, also_for=("F1",)) is None
    change = built.journaled(ev.FeatureChanged)[-1]
    assert isinstance(change, ev.FeatureChanged) and change.evidence[0].also_for == ["F1"]


def test_without_the_evidence_gate_a_word_is_enough(build: Build) -> None:
    built = build(evidence_gate=False)
    assert built.ledger.claim("F1", (), "", (), built.session).ok
    denial, _ = built.edit("F2", True)
    assert denial is None
    assert built.passing == ["F1", "F2"]


def test_passes_may_wait_for_the_evaluator(build: Build) -> None:
    built = build(passes_from="verified")
    assert built.claim() is None
    assert (built.passing, built.statuses[0]) == ([], "claimed")
    later = "In feature_list.json it passes once it is verified: don't build it again"
    assert later in built.ledger.claim("F1", (), "", (), built.session).text
    built.ledger.change("F1", Status.VERIFIED, by="evaluator")
    assert built.passing == ["F1"]
    assert later not in built.ledger.claim("F1", (), "", (), built.session).text
    built.shown("f2.log", "2 passed\n")
    for _ in range(2):
        _, answer = built.edit("F2", True)
        assert answer is not None and answer.ok and later in answer.text
        assert (built.passing, built.statuses[1], built.tampered) == (["F1"], "claimed", 0)


# --- Claims by edit, and steps back ----------------------------------------------------------------


def test_an_edit_that_flips_one_feature_is_the_same_claim(built: Built) -> None:
    built.shown()
    denial, _ = built.edit("F1", True)
    assert denial is None
    assert (built.passing, built.statuses[0], built.tampered) == (["F1"], "claimed", 0)


def test_an_edit_without_proof_is_denied(built: Built) -> None:
    denial, _ = built.edit("F1", True)
    assert getattr(denial, "guard", None) == "evidence"
    assert built.passing == []


def test_an_edit_whose_proof_has_gone_meanwhile_is_taken_back(built: Built) -> None:
    path = built.run.dir.root / built.shown()
    rows = [{**FEATURES[0], "passes": True}, *FEATURES[1:]]
    call = ToolCall("Write", {"file_path": str(built.mirror), "content": json.dumps(rows)}, "tool-1")
    denial, edit = built.ledger.judge_edit(call, built.session)
    assert denial is None and edit is not None and edit.kind is Kind.CLAIM
    built.mirror.write_text(json.dumps(rows))
    path.write_text("1 failed\n")
    refused = built.ledger.settle_edit(edit, built.session)
    assert refused is not None and not refused.ok
    assert built.passing == []


def test_an_edit_is_judged_by_the_frozen_file_even_beside_one_of_the_other_name(
    open_run: OpenRun, tmp_path: Path
) -> None:
    run = open_run(tmp_path / "run")
    mirror = run.dir.root / "test-results.json"
    mirror.write_text(json.dumps(FEATURES))
    built = Built(run, Ledger(run))
    assert built.ledger.freeze(3) is None
    (run.dir.root / NAME).write_text("[]")
    change = {"old_string": '"number 1","passes":false', "new_string": '"number 1","passes":true'}
    text = mirror.read_text()
    change = {key: value.replace(",", ", ").replace(":", ": ") for key, value in change.items()}
    assert change["old_string"] in text
    call = ToolCall("Edit", {"file_path": str(mirror), **change}, "tool-1")
    denial, _ = built.ledger.judge_edit(call, built.session)
    assert getattr(denial, "guard", None) == "evidence"


@pytest.mark.parametrize("way", ["tool", "edit"])
def test_an_honest_step_back_is_never_refused(built: Built, way: str) -> None:
    assert built.claim() is None
    if way == "tool":
        assert built.ledger.report_regression("F1", "it broke").ok
    else:
        assert built.edit("F1", False) == (None, None)
    assert (built.passing, built.statuses[0], built.tampered) == ([], "regressed", 0)
    assert "already spent" not in str(built.claim())
    assert built.passing == ["F1"]


def test_stepping_back_from_what_does_not_pass_is_nothing(built: Built) -> None:
    assert built.ledger.report_regression("F1", "").ok
    assert not built.ledger.report_regression("F9", "").ok
    assert built.journaled(ev.FeatureChanged) == []


# --- Tampering ----------------------------------------------------------------


def sed(path: Path) -> None:
    path.write_text(path.read_text().replace("false", "true", 1))


def change_text(path: Path) -> None:
    path.write_text(path.read_text().replace("number 2", "nothing"))


def keep_time_and_size(path: Path) -> None:
    before = path.stat()
    path.write_text(path.read_text().replace("number 2", "Number 2"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def move_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere.json"))


def link(path: Path) -> None:
    move_away(path)
    path.symlink_to(path.with_name("elsewhere.json"))


def dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def hard_link(path: Path) -> None:
    os.link(path, path.with_name("elsewhere.json"))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").write_text("x")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def forbid(path: Path) -> None:
    path.chmod(0)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(b"\xff{")


WAYS = [
    sed, change_text, keep_time_and_size, Path.unlink, move_away, link, dangling_link, hard_link, folder,
    fifo, forbid, truncate, empty, garbage,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("which", ["mirror", "record"])
def test_tampering_is_undone_and_journaled_once(
    built: Built, way: Callable[[Path], None], which: str
) -> None:
    assert built.claim() is None
    path = built.mirror if which == "mirror" else built.run.dir.record
    if way is sed and which == "record":
        way = truncate
    contents = built.mirror.read_bytes(), built.run.dir.record.read_bytes()
    way(path)
    built.ledger.inspect("tool-5")
    assert (built.mirror.read_bytes(), built.run.dir.record.read_bytes()) == contents
    assert path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o600 == 0o600
    (event,) = built.journaled(ev.ContractTampered)
    assert isinstance(event, ev.ContractTampered)
    assert event.what and event.tool_use_id == "tool-5"
    built.ledger.inspect("tool-6")
    assert built.tampered == 1


def test_another_formatting_is_no_tampering(built: Built) -> None:
    built.mirror.write_text(json.dumps(json.loads(built.mirror.read_text())))
    built.ledger.inspect("tool-5")
    assert built.tampered == 0


def test_what_a_link_points_to_is_left_alone(built: Built, tmp_path: Path) -> None:
    target = tmp_path / "target.json"
    target.write_text("[]")
    built.mirror.unlink()
    built.mirror.symlink_to(target)
    built.ledger.inspect(None)
    assert target.read_text() == "[]"
    assert len(json.loads(built.mirror.read_text())) == 3


def test_a_secret_in_a_note_reaches_neither_journal_nor_record(built: Built) -> None:
    built.run.redact = Redactor({"API_KEY": "correct-horse-battery"})
    path = built.shown()
    assert built.ledger.claim("F1", [path], "it took correct-horse-battery", (), built.session).ok
    for file in (built.run.dir.journal, built.run.dir.record):
        assert b"it took [redacted]" in file.read_bytes()
        assert b"correct-horse" not in file.read_bytes()


# --- Crashes ----------------------------------------------------------------


@pytest.mark.parametrize("lost", ["record and mirror", "mirror"])
@pytest.mark.parametrize("step", ["claim", "regress"])
def test_a_crash_after_the_journal_is_mended_from_it(build: Build, lost: str, step: str) -> None:
    built = build()
    if step == "regress":
        assert built.claim() is None
    mirror, record = built.mirror.read_bytes(), built.run.dir.record.read_bytes()
    if step == "claim":
        assert built.claim() is None
    else:
        built.ledger.report_regression("F1", "broke")
    after = built.mirror.read_bytes(), built.run.dir.record.read_bytes()
    built.mirror.write_bytes(mirror)
    if lost == "record and mirror":
        built.run.dir.record.write_bytes(record)

    again = build()
    assert (again.mirror.read_bytes(), again.run.dir.record.read_bytes()) == after
    assert again.tampered == 0
    assert len(again.journaled(ev.FeatureChanged)) == (1 if step == "claim" else 2)
    again.session = built.session
    assert "already spent" in str(again.claim("F2", "screenshots/f1.log"))


def flip(path: Path, feature: str) -> None:
    """What an agent's edit does to the file, whether it was let through or not."""
    rows = json.loads(path.read_text())
    row = next(row for row in rows if row["id"] == feature)
    row["passes"] = not row["passes"]
    path.write_text(json.dumps(rows))


@pytest.mark.parametrize(
    "at_work", ["an edit of the contract", "another call", "an ended edit", "an older edit"]
)
def test_only_a_cut_off_edit_explains_an_unjournaled_claim(build: Build, at_work: str) -> None:
    built = build()
    target = str(built.mirror) if "edit" in at_work else str(built.run.dir.root / "other.json")
    built.run.emit(ev.RunStarted(format=1, preset="two-agent", run_id="test"))
    built.run.emit(ev.ToolUse(tool_use_id="call-1", tool="Edit", input={"file_path": target}))
    if at_work == "an ended edit":
        built.run.emit(ev.ToolResult(tool_use_id="call-1", ok=True, ms=1))
    if at_work == "an older edit":
        built.run.emit(ev.RunResumed(pid=1))
    flip(built.mirror, "F2")
    built.run.emit(ev.RunResumed(pid=2))
    again = build()
    assert again.passing == []
    assert again.tampered == (0 if at_work == "an edit of the contract" else 1)


def test_no_crash_explains_a_changed_text_or_another_feature(build: Build) -> None:
    built = build()
    flip(built.mirror, "F1")
    again = build()
    assert again.passing == [] and again.tampered == 1
    assert again.claim("F1") is None
    flip(again.mirror, "F2")
    again = build()
    assert again.passing == ["F1"] and again.tampered == 2
    again.mirror.write_text(again.mirror.read_text().replace("number 3", "easy"))
    assert build().tampered == 3


def test_a_crash_between_record_and_freeze_event_is_a_freeze_anew(open_run: OpenRun, tmp_path: Path) -> None:
    run = open_run(tmp_path / "run")
    (run.dir.root / NAME).write_text(json.dumps(FEATURES))
    frozen = ct.freeze(ct.read(run.dir.contract), "now")
    run.dir.record.write_bytes(ct.encode(frozen))
    ledger = Ledger(run)
    ledger.load()
    assert not ledger.frozen
    assert ledger.freeze(3) is None


@pytest.mark.parametrize("way", [Path.unlink, truncate, folder, change_text], ids=lambda way: way.__name__)
def test_a_record_lost_while_no_engine_ran_is_told_and_nothing_is_guessed(
    build: Build, way: Callable[[Path], None]
) -> None:
    built = build()
    way(built.run.dir.record)
    with pytest.raises(ContractError, match=r"record|contract\.json"):
        build()


def test_a_guard_that_fails_denies_and_is_journaled(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(call: ToolCall, context: GuardContext) -> None:
        raise RuntimeError("out of order")

    built = build()
    monkeypatch.setattr("harness_core.guards.order.GUARDS", (("paths", failing),))
    denial, _ = gate_of(built).judge(ToolCall("Read", {"file_path": "README.md"}, "t1"))
    assert denial is not None and "failed" in denial.reason
    assert [event.kind for event in built.journaled(ev.Error) if isinstance(event, ev.Error)] == ["guard"]

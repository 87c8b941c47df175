"""Runs on disk in each state that a console must show, made of real journals, contracts and repositories."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image, ImageDraw

from harness_core.contract import record as ct
from harness_core.contract.record import Status
from harness_core.evidence.claim import Kind, fingerprint
from harness_core.layout import RunDir
from harness_core.operator import control
from harness_core.record import events
from harness_core.record import events as ev
from harness_core.steps.iterations import Iteration

START = 1_790_000_000
"""Seconds since the epoch at which every scene begins, so that its pictures are always the same."""
HOSTILE = (
    "\x1b[2J\x1b]52;c;aGVsbG8=\x07\x1b]0;owned\x07\x9b31m\u202egnp.exe\u202c "
    "[@click=app.exit]x[/] [/foo] [^/]+"
)
"""What acts on a terminal or in Textual's markup where it gets there."""
WIDE = "日本語の機能 한국어 中文字 é"


@dataclass
class Scene:
    """A run's directory, and the journal that is written as if an engine had."""

    root: Path
    seq: int = 0
    second: float = START
    session: int | None = None
    role: str | None = None

    @property
    def run(self) -> RunDir:
        return RunDir.at(self.root)

    def add(self, *happened: ev.Event, after: float = 1.0) -> None:
        """Let events happen, `after` seconds one after the other."""
        for event in happened:
            self.seq += 1
            self.second += after
            fields = {"seq": self.seq, "ts": _stamp(self.second), "session": self.session, "role": self.role}
            line = events.encode(type(event)(**{**_fields(event), **fields}))
            self.run.private.mkdir(exist_ok=True)
            with self.run.journal.open("ab") as journal:
                journal.write(line)

    def begin(self, number: int, role: str, feature: str | None = None, features: Sequence[str] = ()) -> None:
        self.session, self.role = number, role
        phase = {
            "planner": "plan",
            "initializer": "initialize",
            "generator": "build",
            "evaluator": "evaluate",
        }[role]
        self.add(ev.PhaseStarted(phase=phase))
        self.add(
            ev.SessionStarted(
                sdk_session=f"00000000-0000-4000-8000-{number:012d}",
                model="sonnet",
                phase=phase,
                feature=feature,
                features=list(features),
            )
        )

    def end(self, reason: str = "done") -> None:
        self.add(ev.SessionEnded(reason=reason, ms=61_000, turns=9, usd=0.12, passing=2, total=4))
        self.session = self.role = None

    def call(
        self, tool: str, given: dict[str, object], output: str = "", *, ok: bool = True, ms: int = 42
    ) -> None:
        name = f"toolu_{self.seq:06d}"
        self.add(ev.ToolUse(tool_use_id=name, tool=tool, input=given))
        self.add(ev.ToolResult(tool_use_id=name, ok=ok, ms=ms, output=output))

    def deny(self, tool: str, given: dict[str, object], guard: str, reason: str) -> None:
        name = f"toolu_{self.seq:06d}"
        self.add(ev.ToolUse(tool_use_id=name, tool=tool, input=given))
        self.add(ev.GuardDecision(tool_use_id=name, tool=tool, guard=guard, reason=reason))
        self.add(ev.ToolResult(tool_use_id=name, ok=False, ms=2, output=reason))

    def git(self, *arguments: str) -> str:
        stamp = f"{int(self.second)} +0000"
        who = {f"GIT_{one}_{what}": value for one in ("AUTHOR", "COMMITTER") for what, value in _WHO.items()}
        dates = {"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp}
        environment = {**os.environ, **who, **dates, "GIT_CONFIG_GLOBAL": "/dev/null"}
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, subject: str, by: str = "generator") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        sha = self.git("rev-parse", "HEAD")
        self.add(ev.Commit(sha=sha, subject=subject, by=by))
        return sha

    def picture(self, name: str, colour: str = "#7aa2f7") -> Path:
        path = self.root / "screenshots" / name
        path.parent.mkdir(exist_ok=True)
        image = Image.new("RGB", (96, 64), "#101218")
        draw = ImageDraw.Draw(image)
        draw.rectangle((8, 8, 88, 40), fill=colour)
        draw.ellipse((30, 20, 66, 56), fill="#e0af68")
        image.save(path)
        os.utime(path, (self.second, self.second))
        return path

    def claim(
        self,
        feature: str,
        evidence: Iterable[Path] = (),
        to: Status = Status.CLAIMED,
        commit: str | None = None,
    ) -> None:
        pieces = []
        for path in evidence:
            found = fingerprint(path)
            assert found is not None
            name = str(path.relative_to(self.root))
            self.add(ev.EvidenceCaptured(path=name, sha256=found.sha256, size=found.size))
            self.add(ev.EvidenceRead(path=name, sha256=found.sha256, tool_use_id=f"toolu_{self.seq:06d}"))
            pieces.append(
                ev.BoundPiece(
                    path=name,
                    sha256=found.sha256,
                    size=found.size,
                    mtime_ns=0,
                    kind=Kind.PICTURE,
                    commit=commit,
                )
            )
        self.add(
            ev.FeatureChanged(
                feature=feature, from_=Status.FAILING, to=to, by=self.role or "engine", evidence=pieces
            )
        )

    def freeze(self) -> None:
        """Leave what Longwatch keeps of a run of its own: the contract of record as well."""
        self.run.run_json.write_text("{}")
        record = ct.freeze(ct.read(self.run.contract), _stamp(self.second))
        self.run.record.write_bytes(ct.encode(record))


_WHO = {"NAME": "Ada", "EMAIL": "ada@example.org"}


def _stamp(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(event: ev.Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def contract(count: int = 4, text: str = "Draw a {n}-pixel flag") -> list[dict[str, object]]:
    kinds = ("functional", "style", "speed")
    return [
        {
            "id": f"F{number:03d}",
            "category": kinds[number % len(kinds)],
            "description": text.format(n=number),
            "steps": [f"Run flags.py {number}", "Look at the picture"],
            "passes": False,
        }
        for number in range(1, count + 1)
    ]


def begun(root: Path, features: list[dict[str, object]] | None = None) -> Scene:
    """A run whose contract is frozen and whose repository has a first commit."""
    root.mkdir(parents=True, exist_ok=True)
    scene = Scene(root)
    listed = features if features is not None else contract()
    (root / "feature_list.json").write_text(json.dumps(listed, indent=1, ensure_ascii=False))
    (root / "PROGRESS.md").write_text(NOTES)
    (root / "flags.py").write_text("print('flags')\n")
    scene.git("init", "-q", "-b", "main")
    (root / ".git" / "info" / "exclude").write_text(".longwatch/\n")
    scene.add(ev.RunStarted(format=1, preset="two-agent", run_id="0123456789ab", limits={"max_usd": 50.0}))
    scene.begin(1, "initializer")
    scene.add(ev.Text(text="I read the specification and write the contract."))
    scene.commit("Lay out the flags", "initializer")
    scene.add(
        ev.ContractFrozen(
            features=[str(item["id"]) for item in listed], sha256="0" * 64, name="feature_list.json"
        )
    )
    scene.add(ev.Cost(usd=0.21, tokens=41_000, phase="initialize", turns=6, context=21_000))
    scene.end()
    return scene


def empty(root: Path) -> Scene:
    root.mkdir(parents=True, exist_ok=True)
    return Scene(root)


def running(root: Path, features: list[dict[str, object]] | None = None) -> Scene:
    """The second feature is being built."""
    scene = begun(root, features)
    scene.begin(2, "generator", "F001")
    scene.add(ev.Thinking(text="The first flag needs a palette."))
    scene.add(ev.Text(text="I take F001 and begin with a test.\nThen I draw."))
    scene.call("Bash", {"command": "python3 flags.py 1"}, "drawn\n", ms=310)
    scene.call("Read", {"file_path": "flags.py"}, "print('flags')\n", ms=4)
    scene.deny("Bash", {"command": "rm -rf /"}, "shell", "rm outside the run's directory is closed")
    scene.claim("F001", [scene.picture("F001-flag.png")])
    scene.commit("Draw the first flag")
    scene.add(ev.SteerQueued(id="001", mode="now", text="Use a darker blue"))
    scene.add(ev.SteerDelivered(id="001", tool_use_id="toolu_000017"))
    scene.add(ev.SteerAcknowledged(id="001"))
    scene.add(ev.Cost(usd=0.48, tokens=120_000, phase="build", turns=14, context=38_500))
    scene.end()
    scene.begin(3, "generator", "F002")
    scene.add(ev.Text(text="F002 is next: the second flag."))
    scene.call("Bash", {"command": "python3 -m pytest -q"}, "1 failed\n", ok=False, ms=2210)
    return scene


def waiting(root: Path) -> Scene:
    """An evaluator wants more work, and the operator is asked."""
    scene = running(root)
    scene.claim("F002", [scene.picture("F002-flag.png", "#9ece6a")])
    sha = scene.commit("Draw the second flag")
    scene.end()
    scene.begin(4, "evaluator", "F002")
    verdict = ev.Verdict(
        verdict="NEEDS_WORK",
        scope=["F002"],
        scores=[ev.Score("functionality", 8, "it draws"), ev.Score("craft", 4, "the edge is ragged")],
        findings=[
            ev.Finding("F002", "craft", "the right edge is ragged", "open screenshots/F002-flag.png", "major")
        ],
        commit=sha,
    )
    scene.add(verdict)
    scene.end()
    asked = control.Checkpoint(
        id="001",
        kind="needs-work",
        opened=_stamp(scene.second),
        summary="The evaluator wants more work on F002.",
        features=["F002"],
        subject_hash="1" * 64,
        commit=sha,
        verdict="NEEDS_WORK",
        findings=["F002: the right edge is ragged"],
        evidence=["screenshots/F002-flag.png " + "2" * 64],
    )
    scene.run.checkpoints.mkdir(parents=True, exist_ok=True)
    control.save_checkpoint(scene.run, asked)
    scene.add(
        ev.CheckpointOpened(
            id="001", kind="needs-work", subject_hash="1" * 64, summary=asked.summary, features=["F002"]
        )
    )
    return scene


def stopped(root: Path) -> Scene:
    scene = running(root)
    (root / "AGENT_STOP").touch()
    scene.add(ev.StopRequested(mode="pause"))
    scene.add(ev.StopConfirmed(mode="pause", survivors=[]))
    return scene


def complete(root: Path) -> Scene:
    scene = running(root)
    for number in (2, 3, 4):
        scene.claim(f"F{number:03d}", to=Status.VERIFIED)
    scene.commit("Draw all flags")
    scene.end()
    scene.add(ev.RunEnded(reason="all features pass", exit=0))
    return scene


def failed(root: Path) -> Scene:
    scene = running(root)
    scene.add(ev.Error(message="the API refuses the key", kind="authentication"))
    scene.end("api_error")
    scene.add(ev.RunEnded(reason="the API refuses the key: set another one", exit=1))
    return scene


def tampered(root: Path) -> Scene:
    scene = running(root)
    scene.add(ev.ContractTampered(what="F003 was removed from feature_list.json", tool_use_id="toolu_000031"))
    return scene


def no_git(root: Path) -> Scene:
    root.mkdir(parents=True, exist_ok=True)
    scene = Scene(root)
    (root / "feature_list.json").write_text(json.dumps(contract()))
    scene.add(ev.RunStarted(format=1, preset="two-agent", run_id="0123456789ab"))
    return scene


def many(root: Path) -> Scene:
    return running(root, contract(200, "Feature number {n} does what it says"))


def wide(root: Path) -> Scene:
    scene = running(root, contract(6, WIDE + " {n}"))
    scene.add(ev.Text(text=f"{WIDE} {WIDE} {WIDE} {WIDE} {WIDE} {WIDE} {WIDE}"))
    return scene


def hostile(root: Path) -> Scene:
    """Every text that comes from outside tries to act."""
    scene = running(root, contract(5, HOSTILE.replace("{", "").replace("}", "") + " {n}"))
    scene.picture("F003-[@click=app.exit]x[/].png")
    scene.add(ev.Text(text=HOSTILE), ev.Thinking(text=HOSTILE), ev.Error(message=HOSTILE))
    scene.call("Bash", {"command": HOSTILE}, HOSTILE)
    scene.deny("Bash", {"command": HOSTILE}, "shell", HOSTILE)
    scene.add(ev.SteerQueued(id="002", mode="now", text=HOSTILE))
    (scene.root / "PROGRESS.md").write_text(f"# {HOSTILE}\n\n- {HOSTILE}\n\n```\n{HOSTILE}\n```\n")
    scene.commit(HOSTILE.replace("\x07", ""))
    return scene


def sprint(root: Path) -> Scene:
    """Two features are one sprint: its contract is negotiated, and the second one is judged."""
    scene = begun(root)
    criteria = [ev.Agreed("C1", "the flag has three stripes", "run flags.py 1")]
    finding = ev.Finding(None, "clarity", "C1 names no colours", "read the contract", "major")
    scene.add(ev.SpecWritten(name="app_spec.txt", sha256="3" * 64, by="planner"))
    scene.add(ev.SprintStarted(sprint=1, features=["F001", "F002"], path="sprints/01.md"))
    for proposal, verdict in ((1, "NEEDS_WORK"), (2, "PASS")):
        found = [finding] if verdict != "PASS" else []
        scene.add(
            ev.ContractProposed(sprint=1, round=proposal, path="sprints/01.md", sha256="4" * 64),
            ev.ContractReviewed(sprint=1, round=proposal, verdict=verdict, criteria=criteria, findings=found),
        )
    scene.add(
        ev.ContractAgreed(sprint=1, path="sprints/01.md", sha256="4" * 64, criteria=criteria, by="both")
    )
    scene.begin(2, "generator", features=["F001", "F002"])
    scene.add(ev.Compacted(trigger="auto", before=167_000, after=21_000))
    scene.claim("F001", [scene.picture("F001-flag.png")])
    scene.claim("F002")
    scene.commit("Draw two flags")
    scene.end()
    scene.begin(3, "evaluator", features=["F001", "F002"])
    scene.add(ev.Verdict(verdict="PASS", scope=["F001", "F002"], scores=[], total=7.5))
    scene.end()
    scene.add(ev.SprintEnded(sprint=1))
    scene.add(ev.FeaturesAdded(features=["F005"], sha256="5" * 64, request="6" * 64))
    scene.add(ev.CheckpointOpened(id="001", kind="sprint", subject_hash="1" * 64, features=["F001", "F002"]))
    return scene


def design(root: Path) -> Scene:
    """A design of three iterations, of which one is to be chosen; the second was the best one."""
    scene, made = begun(root), []
    for iteration, total in ((1, 5.5), (2, 7.25), (3, 6.0)):
        scene.begin(2 * iteration, "generator", features=["F001", "F002", "F003", "F004"])
        scene.add(ev.Text(text=f"Iteration {iteration}: another layout."))
        scene.picture("poster.png", ("#7aa2f7", "#9ece6a", "#f7768e")[iteration - 1])
        (root / "flags.py").write_text(f"print('layout {iteration}')\n")
        sha = scene.commit(f"Lay it out anew, {iteration}")
        made.append(Iteration(iteration, total, iteration == 2, sha))
        scene.end()
        scene.begin(2 * iteration + 1, "evaluator")
        scores = [ev.Score("originality", total, "it is its own"), ev.Score("craft", total + 0.5, "neat")]
        word = "PASS" if iteration == 2 else "NEEDS_WORK"
        scene.add(
            ev.Verdict(verdict=word, scope=[], scores=scores, total=total, iteration=iteration, commit=sha)
        )
        scene.end()
    scene.add(ev.GoalJudged(met=False, reason="the page has no footer"))
    asked = control.Checkpoint(
        id="001",
        kind="end",
        opened=_stamp(scene.second),
        summary="Iteration 2 of 3 scored best (7.2): keep it?",
        features=[],
        subject_hash="1" * 64,
        commit=sha,
        verdict="NEEDS_WORK",
        iterations=made,
    )
    scene.run.checkpoints.mkdir(parents=True, exist_ok=True)
    control.save_checkpoint(scene.run, asked)
    scene.add(ev.CheckpointOpened(id="001", kind="end", subject_hash="1" * 64, summary=asked.summary))
    return scene


SCENES: dict[str, Callable[[Path], Scene]] = {
    "empty": empty,
    "running": running,
    "waiting": waiting,
    "stopped": stopped,
    "complete": complete,
    "failed": failed,
    "tampered": tampered,
    "no-git": no_git,
    "many": many,
    "wide": wide,
    "hostile": hostile,
    "sprint": sprint,
    "design": design,
}
NOTES = """# Progress

## Session 2: the first flag

- Drew F001 with a palette of five colours.
- `python3 flags.py 1` writes `screenshots/F001-flag.png`.

## Session 1: the layout

- Wrote the contract: four flags, one feature each.
- **init.sh** has nothing to start.
"""

"""A past run's directory as it was at a moment of it, so that every pane shows it as it shows a run.

It is a directory of its own, which goes with the console: the journal as far as it is played, a repository
that borrows the run's objects and stands at the commit of that moment, the evidence that had been made, the
contract once it was frozen. Nothing that is done there reaches the run.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path, PurePosixPath

from harness_core.evidence.claim import fingerprint
from harness_core.layout import CONTRACT_NAMES, EVIDENCE_DIR, FINDINGS_NAMES, NOTES_NAMES, SPEC_NAMES, RunDir
from harness_core.reading.burnup import seconds
from harness_core.record import events as ev

SHOWN = (*NOTES_NAMES, *CONTRACT_NAMES, *SPEC_NAMES, *FINDINGS_NAMES)
"""Files of a commit that panes read; all others stay in the repository."""
_SECONDS = 20
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class ReplayRun(RunDir):
    """A run as it was: what panes read is in `root`, what can't have changed since in the run itself."""

    def __init__(self, root: Path, original: RunDir) -> None:
        super().__init__(root)
        self.original = original

    @property
    def blobs(self) -> Path:
        return self.original.blobs

    @property
    def workplace(self) -> Path:
        return self.original.workplace


class Stage:
    """Keeps such a directory. Its methods wait for git and files: call them in a thread."""

    def __init__(self, original: RunDir) -> None:
        """Raises OSError where there is no room for it."""
        self._folder = tempfile.TemporaryDirectory(prefix="longwatch-", ignore_cleanup_errors=True)
        # The name stands in the terminal's title.
        self.run = ReplayRun(Path(self._folder.name).resolve() / (original.root.name or "run"), original)
        self.run.private.mkdir(parents=True)
        self.run.journal.touch()
        self._captured: dict[str, float] = {}
        self._commit = ""
        self._at = 0.0
        self._has_git = self._borrow()

    def prepare(self, event: ev.Event) -> None:
        """Have what an event tells of lie there before it is told; commits come with `settle`."""
        match event:
            case ev.RunStarted() if event.head:
                self._commit, self._at = event.head, seconds(event.ts) or 0.0
            case ev.Commit():
                self._commit, self._at = event.sha, seconds(event.ts) or 0.0
            case ev.ContractFrozen():
                self._copy(self.run.original.record, self.run.record)
            case ev.CheckpointOpened() if event.id.isdecimal():
                name = f"{event.id}.json"
                self._copy(self.run.original.checkpoints / name, self.run.checkpoints / name)
            case ev.EvidenceCaptured():
                self._capture(event)

    def settle(self) -> None:
        """Put the repository at the newest commit that was told."""
        commit, self._commit = self._commit, ""
        if not commit or not self._has_git or not _SHA.fullmatch(commit):
            return
        if self._git("update-ref", "refs/heads/main", commit):
            self._git("reset", "-q", "--hard")
            self._date()

    def close(self) -> None:
        """Take the directory away."""
        self._folder.cleanup()

    # --- Git ------------------------------------------------------------------------------------------

    def _borrow(self) -> bool:
        """Make a repository that has the run's commits without a copy of them; False where there are none."""
        original = self.run.original.root
        if not (original / ".git").exists():
            return False
        objects = _git(original, "rev-parse", "--git-path", "objects")
        if not objects or not self._git("init", "-q", "--template=", "-b", "main"):
            return False
        git = self.run.root / ".git"
        (git / "objects" / "info").mkdir(parents=True, exist_ok=True)
        (git / "objects" / "info" / "alternates").write_text(f"{(original / objects.strip()).resolve()}\n")
        (git / "info").mkdir(exist_ok=True)
        (git / "info" / "exclude").write_text(".longwatch/\n")
        shown = "".join(f"/{name}\n" for name in (*SHOWN, f"{EVIDENCE_DIR}/"))
        (git / "info" / "sparse-checkout").write_text(shown)
        # A link that a commit holds becomes a file with its target's name: nothing leads out of here.
        settings = ("core.sparseCheckout=true", "core.symlinks=false", "core.autocrlf=false")
        return all(self._git("config", *setting.split("=")) is not None for setting in settings)

    def _git(self, *arguments: str) -> bool:
        return _git(self.run.root, *arguments) is not None

    def _date(self) -> None:
        """Give evidence that a commit has brought the time at which it was made, or else the commit's."""
        for folder, _, names in os.walk(self.run.evidence):
            for name in names:
                path = Path(folder) / name
                at = self._captured.get(path.relative_to(self.run.root).as_posix(), self._at)
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime > at:
                        os.utime(path, (at, at))

    # --- Files ----------------------------------------------------------------------------------------

    def _capture(self, event: ev.EvidenceCaptured) -> None:
        """Copy a piece of evidence, if the run still has it as it was then; else a commit may bring it."""
        path = PurePosixPath(event.path)
        if path.is_absolute() or not {"..", ".git", ".longwatch"}.isdisjoint(path.parts):
            return
        at = seconds(event.ts) or 0.0
        self._captured[event.path] = at
        source, target = self.run.original.root / path, self.run.root / path
        known = fingerprint(source)
        if known is not None and known.sha256 == event.sha256 and self._copy(source, target):
            os.utime(target, (at, at))

    @staticmethod
    def _copy(source: Path, target: Path) -> bool:
        with contextlib.suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            return True
        return False


def _git(root: Path, *arguments: str) -> str | None:
    """What git says, None where it refuses. None of the user's settings count."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    ours = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    try:
        done = subprocess.run(
            ["git", "-c", f"core.hooksPath={os.devnull}", *arguments], cwd=root, env=kept | ours,
            capture_output=True, stdin=subprocess.DEVNULL, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None

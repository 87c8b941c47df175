"""The run's git repository, through GitPython: made ready before the first session, read cheaply after."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from harness_core.errors import Mistake
from harness_core.layout import EVIDENCE_DIR, NEVER_COMMITTED, RunDir
from harness_core.machine import processes
from harness_core.machine.gitfiles import OWN, GitFiles, durable
from harness_core.secrets.redact import known_values
from harness_core.secrets.scan import Finding, scan_commit

# GitPython looks for git when it is imported and raises; a missing git is told in our own words.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import git

NAME = "Longwatch"
EMAIL = "longwatch@localhost"
_BROWSER_NOTES = (f"{EVIDENCE_DIR}/page-*.yml", f"{EVIDENCE_DIR}/console-*.log")
"""What the agents' browser writes down by itself with each page that it opens."""
_LOCAL_EXCLUDES = (*NEVER_COMMITTED, *_BROWSER_NOTES, "node_modules/", "__pycache__/", ".venv/")

ABANDONED_AFTER = 1.0
"""Seconds after which a lock may be one that a killed git has left behind."""
_LOCKS_AT_MOST = 5
_LOCKED = re.compile(r"Unable to create '(.+\.lock)': File exists")
T = TypeVar("T")


class GitRepo(GitFiles):
    """The repository at a run's root."""

    def __init__(self, run: RunDir) -> None:
        """Open the repository, or make one on `main`. Raises Mistake when git is missing or refuses."""
        self.run = run
        try:
            git.refresh()
            if (run.root / ".git").exists():
                self._repo = git.Repo(run.root)
            else:
                self._repo = git.Repo.init(run.root, initial_branch="main")
        except (git.GitCommandNotFound, ImportError) as error:
            raise Mistake("git is not installed or not on PATH: install git and run this again") from error
        except git.GitError as error:
            raise Mistake(
                f"git can't use {run.root} as a repository ({error}): mend or move its .git"
            ) from None
        self._repo.git.update_environment(**durable())
        super().__init__(run.root)
        self.left_out: list[str] = []
        """What was kept out of commits, as patterns; for whoever tells of it to take away."""
        self.withheld: list[Finding] = []
        """The credentials for which files were kept out of the newest commit. Nothing hides these files: they
        stay uncommitted until somebody has mended them."""
        self.known_secrets = known_values()
        """Values that are credentials for certain, besides what looks like one."""

    def prepare(self) -> None:
        """Give the repository an identity where git has none, and keep Longwatch's files out of it.

        Raises Mistake when git can't read its configuration.
        """
        if not self._has_identity():
            try:
                self._repo.git.config("user.name", NAME)
                self._repo.git.config("user.email", EMAIL)
            except git.GitError as error:
                raise Mistake(
                    f"git's configuration can't be used ({error}): mend {self._repo.git_dir}/config"
                ) from None
        self.keep_out(_LOCAL_EXCLUDES)

    def _has_identity(self) -> bool:
        # Asked of git itself: what GitPython reads of the configuration isn't all that git does.
        try:
            self._repo.git.config("--get", "user.name")
            self._repo.git.config("--get", "user.email")
        except git.GitError:
            names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
            return all(name in os.environ for name in names)
        return True

    def changed_since(self, sha: str | None) -> list[str]:
        """Paths that differ between `sha` and HEAD (all tracked ones when `sha` is None)."""
        try:
            if sha is None:
                listing: str = self._repo.git.ls_tree("-r", "--name-only", "-z", "HEAD")
            else:
                listing = self._repo.git.diff("--name-only", "--no-renames", "-z", sha, "HEAD")
        except git.GitError:
            return []
        return [path for path in listing.split("\0") if path]

    def commit_all(self, message: str, *paths: str) -> str | None:
        """Commit what is uncommitted, all or only at `paths`; the new sha, or None when there was nothing.

        A file that would bring in a credential is left as it is, see `withheld`. Raises OSError, in a
        sentence, when git refuses.
        """
        return self._past_locks("commit", lambda: self._commit_all(message, paths))

    def bring_back(self, sha: str, message: str) -> None:
        """Make the project what it was at `sha`, by a new commit on top; nothing that was committed is lost,
        and what wasn't is committed first. Doing it once more, whole or half done, changes nothing further.

        Raises OSError, in a sentence, when git refuses.
        """
        self._past_locks(f"bring {sha[:10]} back", lambda: self._bring_back(sha, message))

    def _past_locks(self, what: str, do: Callable[[], T]) -> T:
        """What `do` comes to; a lock that a killed git has left behind is taken away."""
        for _ in range(_LOCKS_AT_MOST):
            try:
                return do()
            except git.GitError as error:
                held = _LOCKED.search(str(error))
                if held is None or not self._abandoned(Path(held[1])):
                    raise OSError(f"git could not {what}: {_reason(error)}") from None
                Path(held[1]).unlink(missing_ok=True)
        raise OSError(f"git could not {what}: its locks come back as often as they are taken away")

    def _bring_back(self, sha: str, message: str) -> None:
        wanted = self._repo.git.rev_parse(f"{sha}^{{tree}}")
        if self._repo.git.log("-1", "--format=%T %s") != f"{wanted} {message}":
            self._commit_all(f"{OWN}what was uncommitted before {sha[:10]} came back", ())
            self._set_aside()
            commit = self._repo.git.commit_tree(wanted, "-p", "HEAD", "-m", message)
            # The commit comes before the files: who is killed in between finds it and takes them from it.
            self._unhooked.update_ref("HEAD", commit)
        self._unhooked.read_tree("-u", "--reset", "HEAD")

    @property
    def _unhooked(self) -> git.Git:
        """Git without the repository's hooks: what an agent has put there would run unguarded."""
        found: git.Git = self._repo.git(c=f"core.hooksPath={os.devnull}")
        return found

    def _commit_all(self, message: str, paths: Sequence[str]) -> str | None:
        only = ["--", *self._known(paths)] if paths else []
        if only == ["--"]:
            return None
        self.left_out += self.leave_out()
        self._unhooked.add("-A", *only)
        if not paths:
            self.withheld = []
        if self._is_staged(only):
            held = self._withhold()
            only = [word for word in only if word not in held]
        if only == ["--"] or not self._is_staged(only):
            return None
        self._unhooked.commit("-q", "--no-verify", "--no-gpg-sign", "-m", message, *only)
        return self.head()

    def _is_staged(self, only: Sequence[str]) -> bool:
        return bool(self._repo.git.diff("--cached", "--name-only", *only))

    def _withhold(self) -> set[str]:
        """Take the files that would bring in a credential back out of the index, and name them."""
        try:
            found = scan_commit(self.run.root, everything=False, known=self.known_secrets)
        except subprocess.SubprocessError as error:
            raise OSError(f"nothing was committed, since it can't be searched for secrets: {error}") from None
        held = {finding.path for finding in found}
        if held:
            self._repo.git(literal_pathspecs=True).reset("-q", "--", *sorted(held))
            self.withheld += found
        return held

    def _set_aside(self) -> None:
        """Keep a copy of the files that no commit has, in `.longwatch/withheld/`."""
        for name in {finding.path for finding in self.withheld}:
            copy = self.run.private / "withheld" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.run.root / name, copy, follow_symlinks=False)

    def _known(self, paths: Sequence[str]) -> list[str]:
        """Those of the paths that git tracks or would track: the others it refuses to be told of."""
        listing = self._ask("ls-files", "-co", "--exclude-standard", "-z", "--", *paths) or ""
        return [path for path in dict.fromkeys(listing.split("\0")) if path]

    def _abandoned(self, lock: Path) -> bool:
        """Whether a lock of this repository has no git any more that would take it away."""
        if Path(self._repo.common_dir).resolve() not in lock.resolve().parents:
            return False
        try:
            young = ABANDONED_AFTER - (time.time() - lock.stat().st_mtime)
        except FileNotFoundError:
            return True
        # What isn't git's own program holds a lock for an instant only.
        time.sleep(min(max(young, 0.0), ABANDONED_AFTER))
        return not any(_is_git(found) and self._may_be_here(found) for found in processes.everyone())

    def _may_be_here(self, found: processes.Found) -> bool:
        folder = processes.folder(found.pid)
        if folder is None and not found.alive:
            return False
        inside = folder is None or folder == self.run.root or self.run.root in folder.parents
        return inside or str(self.run.root) in found.command


def _is_git(found: processes.Found) -> bool:
    name = Path(found.command.partition(" ")[0]).name
    return name == "git" or name.startswith("git-")


def _reason(error: git.GitError) -> str:
    """What git itself says, in one line."""
    said = str(getattr(error, "stderr", "") or error).strip()
    line = said.removeprefix("stderr: '").strip("' \n").partition("\n")[0]
    return line.removeprefix("fatal: ").removeprefix("error: ")

"""What can be known of a repository from its files and from the program `git`, in little time.

`gitrepo` is the engine's own, through GitPython, which takes longer to load than a hook may last.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness_core.machine.ballast import ballast
from harness_core.machine.files import MAX_TEXT, read_bounded, read_text

_REMOTE = re.compile(rb'^\s*\[remote "((?:[^"\\\n]|\\.)+)"\]', re.MULTILINE)
_GIT = ("git", "-c", "log.showSignature=false", "-c", "core.fsmonitor=", "--no-optional-locks")
OWN = "longwatch: "
"""How the subject of each of the engine's own commits begins."""
_WITHIN = 20
"""Seconds after which a question to git has failed."""
_OTHERS = 2000
"""Files that git doesn't track whose content is looked at."""


def durable() -> dict[str, str]:
    """Variables that have git write a commit to disk before it says that it is made: by itself it leaves
    the objects to the system, and a loss of power leaves a branch that points to empty files."""
    count = os.environ.get("GIT_CONFIG_COUNT", "")
    number = int(count) if count.isdigit() else 0
    return {
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": "core.fsync",
        f"GIT_CONFIG_VALUE_{number}": "committed",
    }


class CommitInfo(NamedTuple):
    """A commit: its full sha and the first line of its message."""

    sha: str
    subject: str


class GitFiles:
    """Reads the repository that `root` lies in; where there is none, everything is empty."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._git_dir = _git_dir(root)

    @property
    def _common_dir(self) -> Path | None:
        """What all worktrees of the repository share."""
        if self._git_dir is None:
            return None
        shared = (read_text(self._git_dir / "commondir") or "").strip()
        return (self._git_dir / shared).resolve() if shared else self._git_dir

    def head(self) -> str | None:
        """The sha that HEAD stands for, read from files (no process); None before the first commit."""
        common = self._common_dir
        if self._git_dir is None or common is None:
            return None
        head = (read_text(self._git_dir / "HEAD") or "").strip()
        if not head.startswith("ref: "):
            return head or None
        name = head.removeprefix("ref: ")
        loose = (read_text(common / name) or "").strip()
        return loose or _packed(common / "packed-refs", name)

    def remotes(self) -> frozenset[str]:
        """The names of the configured remotes."""
        common = self._common_dir
        config = read_bounded(common / "config", MAX_TEXT) if common else None
        return frozenset(name.decode("utf-8", "replace") for name in _REMOTE.findall(config or b""))

    def commits(self, since: str | None, until: str) -> list[CommitInfo]:
        """The commits up to `until` that `since` doesn't hold, oldest first; all where `since` is gone."""
        span = (until, f"^{since}") if since else (until,)
        listing = self._ask("log", "--reverse", "--ignore-missing", "--format=%H%x00%s", *span) or ""
        return [CommitInfo(*line.split("\0", 1)) for line in listing.splitlines() if "\0" in line]

    def files_of(self, shas: Sequence[str]) -> list[str]:
        """The paths that these commits touched, each once."""
        if not shas:
            return []
        listing = self._ask("show", "--name-only", "--format=", "-z", "--no-renames", *shas) or ""
        return [*dict.fromkeys(path.strip("\n") for path in listing.split("\0") if path.strip("\n"))]

    def source_candidates(self) -> Iterator[str]:
        """Every file that git tracks or would track, relative to the root; without git, every file."""
        listing = self._ask("ls-files", "-co", "--exclude-standard", "-z") if self._git_dir else None
        if listing is None:
            from harness_core.evidence.files import walk_files  # noqa: PLC0415  (rarely needed)

            return walk_files(self._root)
        return (path for path in listing.split("\0") if path)

    def untracked(self) -> list[str]:
        """The files that git doesn't know yet and wouldn't pass over."""
        listing = self._ask("ls-files", "-o", "--exclude-standard", "-z") or ""
        return [path for path in listing.split("\0") if path]

    def fingerprint(self) -> str:
        """What the project's files hold now, ignored ones aside: the same content gives the same text."""
        digest = hashlib.sha256((self.head() or "").encode())
        changed = self._ask("diff", "--no-ext-diff", "--no-textconv", "--full-index", "-U0", "HEAD") or ""
        digest.update(changed.encode("utf-8", "surrogateescape"))
        for name in self.untracked()[:_OTHERS]:
            digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
            digest.update(read_bounded(self._root / name, MAX_TEXT) or b"")
        return digest.hexdigest()

    def leave_out(self) -> list[str]:
        """Have git pass over what doesn't belong into a commit, and return the patterns that this took."""
        return self.keep_out(ballast(self._root, self.untracked()))

    def ballast_since(self, sha: str | None, began: float) -> list[str]:
        """What doesn't belong into a commit, of the files that commits after `sha` brought; of those alone
        that were made since a time, in seconds since 1970: others may be another branch's."""
        listing = self._ask(
            "log",
            f"--since={int(began)}",
            "--diff-filter=A",
            "--no-renames",
            "--name-only",
            "--format=",
            "-z",
            f"{sha}..HEAD" if sha else "HEAD",
        )
        return ballast(self._root, [path for path in (listing or "").split("\0") if path])

    def keep_out(self, names: Sequence[str]) -> list[str]:
        """Have git pass over `names`, by its file for what one user ignores in one repository; those are
        returned that it didn't hold yet."""
        if self._common_dir is None:
            return []
        exclude = self._common_dir / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)
        present = exclude.read_bytes() if exclude.exists() else b""
        there = present.splitlines()
        missing = [name for name in names if os.fsencode(name) not in there]
        if missing:
            joint = b"" if not present or present.endswith(b"\n") else b"\n"
            with exclude.open("ab") as stream:
                stream.write(joint + b"\n".join(map(os.fsencode, missing)) + b"\n")
        return missing

    def _ask(self, *arguments: str) -> str | None:
        """What git answers; None when it refuses."""
        import subprocess  # noqa: PLC0415  (who reads files alone does without)

        try:
            done = subprocess.run(
                [*_GIT, *arguments],
                cwd=self._root,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_WITHIN,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None


def _git_dir(root: Path) -> Path | None:
    """The folder `.git` that holds for `root`, also where a file of that name points to it."""
    for folder in (root, *root.parents):
        found = folder / ".git"
        if found.is_dir():
            return found
        if found.is_file():
            named = (read_text(found) or "").strip().removeprefix("gitdir: ")
            return (folder / named).resolve() if named else None
    return None


def _packed(path: Path, name: str) -> str | None:
    lines = (read_text(path, 64 << 20) or "").splitlines()
    return next((line.split(" ", 1)[0] for line in lines if line.endswith(f" {name}")), None)

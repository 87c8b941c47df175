"""What git knows of a run: commits, and what isn't committed.

A repository is an agent's to write, its configuration too. So git is run without anything that the
configuration could make it start, without taking a lock, for a bounded time, and with a bounded output.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness_core.machine.files import read_bounded

SECONDS = 20.0
"""How long one git may take."""
_MOST = 16 << 20
"""Bytes that are read of a log or a status."""
_SETTINGS = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.quotePath=false",
    "diff.autoRefreshIndex=false",
    "diff.mnemonicPrefix=false",
    "diff.noprefix=false",
    "log.showSignature=false",
    "protocol.allow=never",
)
_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
_FILTER = re.compile(r"(filter\..+)\.(?:clean|smudge|process|required)", re.DOTALL)
_REFS_MOST = 2000


class NoGit(Exception):
    """There is nothing to show of git; says why in a calm sentence."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as the log has it."""

    sha: str
    when: int
    """Seconds since the epoch."""
    author: str
    refs: tuple[str, ...]
    """Branches, and tags as `tag: name`, that stand at it."""
    subject: str


class Repository:
    """The repository at a run's root, read only. All but `mark` waits for git: call it in a thread."""

    def __init__(self, root: Path) -> None:
        """Raises NoGit."""
        # GitPython looks for git when it is imported and raises; a missing git is told in our own words.
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        import git  # noqa: PLC0415  (costs 90 ms that a start doesn't have)

        try:
            git.refresh()
            if not (root / ".git").exists():
                raise NoGit("This directory has no git repository yet.")
            self._repo = git.Repo(root)
        except (git.GitCommandNotFound, ImportError):
            raise NoGit("git is not installed, or not on PATH.") from None
        except (git.GitError, OSError, ValueError):
            raise NoGit("The repository here can't be read.") from None
        self._git_dir = Path(self._repo.git_dir)
        self._common = Path(self._repo.common_dir)

    def mark(self) -> tuple[object, ...]:
        """Changes whenever HEAD, a branch or a tag does."""
        files = [self._git_dir / "HEAD", self._common / "packed-refs", *self._refs()]
        return tuple(_stamp(path) for path in files)

    def _refs(self) -> list[Path]:
        found = (Path(folder) / name for folder, _, names in os.walk(self._common / "refs") for name in names)
        return sorted(path for path, _ in zip(found, range(_REFS_MOST), strict=False))

    def log(self, most: int) -> list[Commit]:
        """The newest commits, at most so many. Raises NoGit where there is none."""
        form = "--format=%H%x00%ct%x00%an%x00%D%x00%s"
        output = self.run("log", "-z", f"-n{most}", form, "--encoding=UTF-8", "HEAD", "--")
        if output.status and not output.text:
            if self.run("rev-parse", "-q", "--verify", "HEAD").status:
                raise NoGit("No commit yet.")
            raise NoGit(f"git can't show its log: {output.error or 'it took too long'}")
        fields = output.text.split("\0")
        return [
            Commit(sha, int(when or 0), author, tuple(filter(None, refs.split(", "))), subject)
            for sha, when, author, refs, subject in zip(*[iter(fields)] * 5, strict=False)
        ]

    def changed(self) -> int:
        """How many files differ from HEAD, untracked ones included. Raises NoGit."""
        output = self.run(
            "status",
            "--porcelain",
            "-z",
            "--no-renames",
            "--untracked-files=normal",
            "--ignore-submodules=dirty",
        )
        if output.status:
            raise NoGit(f"git can't say what has changed: {output.error or 'it took too long'}")
        return output.text.count("\0")

    def untracked(self) -> list[str]:
        """Files that git doesn't know and isn't told to leave alone."""
        output = self.run("ls-files", "-z", "--others", "--exclude-standard")
        return [name for name in output.text.split("\0") if name]

    def empty_tree(self) -> str:
        """What a first commit is compared with."""
        return self.run("hash-object", "-t", "tree", os.devnull).text.strip()

    @contextlib.contextmanager
    def own_index(self) -> Iterator[Path]:
        """A copy of the index that a git of ours may write to; the repository's stays as it is."""
        with tempfile.TemporaryDirectory(prefix="longwatch-") as folder:
            index = Path(folder) / "index"
            with contextlib.suppress(OSError):
                # With its time: by that git knows which files may have changed since without looking so.
                shutil.copy2(self._git_dir / "index", index)
            yield index

    def run(self, *arguments: str, most: int = _MOST, index: Path | None = None) -> Output:
        """Run git and return its output, up to `most` bytes; it is ended there."""
        import git  # noqa: PLC0415

        environment = _ENVIRONMENT | ({"GIT_INDEX_FILE": str(index)} if index else {})
        settings = [*_SETTINGS, *self._no_filters(arguments[0])]
        options = [part for setting in settings for part in ("-c", setting)]
        command = [git.Git.GIT_PYTHON_GIT_EXECUTABLE, "--no-pager", "--no-optional-locks", *options]
        try:
            process = self._repo.git.execute([*command, *arguments], as_process=True, env=environment)
        except (git.GitError, OSError) as trouble:
            return Output("", 1, error=type(trouble).__name__)
        inner = process.proc
        assert inner is not None and inner.stdout is not None and inner.stderr is not None
        watchdog = threading.Timer(SECONDS, inner.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            data, cut = _read(inner.stdout.fileno(), most)
            if cut:
                inner.kill()
            said = inner.stderr.read(4096) if not cut else b""
            status = inner.wait()
        finally:
            watchdog.cancel()
            inner.stdout.close()
            inner.stderr.close()
        error = said.decode(errors="replace").strip().partition("\n")[0].removeprefix("fatal: ")
        return Output(data.decode(errors="replace"), 0 if cut else status, cut, error)

    def _no_filters(self, command: str) -> Iterator[str]:
        """Settings that switch off the programs through which this repository would pass its files."""
        if command not in ("status", "diff", "update-index"):
            return
        files = (self._common / "config", self._git_dir / "config.worktree")
        texts = [(_quietly(path) or b"").lower() for path in files]
        if not any(b"filter" in text or b"include" in text for text in texts):
            return
        listed = self.run("config", "--includes", "--name-only", "-z", "--get-regexp", r"^filter\.")
        names = {found[1] for name in listed.text.split("\0") if (found := _FILTER.fullmatch(name))}
        for name in sorted(names):
            yield from (f"{name}.clean=", f"{name}.smudge=", f"{name}.process=", f"{name}.required=false")


@dataclass(frozen=True, slots=True)
class Output:
    """What a git has said."""

    text: str
    status: int
    cut: bool = False
    """Whether it had more to say."""
    error: str = ""


def _read(descriptor: int, most: int) -> tuple[bytes, bool]:
    data = bytearray()
    while piece := os.read(descriptor, 1 << 16):
        data += piece
        if len(data) > most:
            return bytes(data[:most]), True
    return bytes(data), False


def _stamp(path: Path) -> tuple[str, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return str(path), found.st_ino, found.st_mtime_ns


def _quietly(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        return read_bounded(path)
    return None

"""What can be seen of a run from outside: commits, features that begin to pass, files that change."""

from __future__ import annotations

import contextlib
import os
import queue
import stat
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness_core.contract import record as ct
from harness_core.contract.record import Status
from harness_core.errors import ContractError
from harness_core.evidence.claim import fingerprint
from harness_core.evidence.files import walk_files
from harness_core.layout import EVIDENCE_DIR, OPERATOR_NAMES, RunDir
from harness_core.record import events as ev
from harness_core.record.foreign import moment, now, stamp
from harness_core.safe import one_line
from tui.folders import SWEEP, WORK, there

BY = "outside"
"""Who did what nobody told us of."""
FILES = "files"
"""The role of words about files that have changed."""
_COMMITS = 30
"""Commits that were there before and are told."""
_NAMED = 8
_REST = 20
"""How many times as long as it took the next look at all files is away."""
_GIT = ("git", "-c", "log.showSignature=false", "-c", "core.fsmonitor=", "--no-optional-locks")


class Commits:
    """A repository's commits, each once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._log = Path(self._git("rev-parse", "--absolute-git-dir").strip() or os.devnull) / "logs" / "HEAD"
        self._mark: tuple[int, int] | None = None
        self._seen = ""

    def new(self) -> list[ev.Event]:
        """The commits that came since the last call; at first the newest ones."""
        mark = _mark(self._log)
        if mark is None or mark == self._mark:
            return []
        self._mark = mark
        span = f"{self._seen}..HEAD" if self._seen else "HEAD"
        listed = self._git(
            "log", f"-n{200 if self._seen else _COMMITS}", "--format=%H%x00%cI%x00%an%x00%s", span
        )
        fields = [line.split("\0") for line in listed.splitlines() if line.count("\0") == 3]
        if fields:
            self._seen = fields[0][0]
        return [
            ev.Commit(sha=sha, subject=subject, by=one_line(name), ts=stamp(moment(at) or now()))
            for sha, at, name, subject in reversed(fields)
        ]

    def _git(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                [*_GIT, *arguments], cwd=self._root, capture_output=True, timeout=10, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return ""
        return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


class Contract:
    """Which features begin or cease to pass in the agents' file."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._mark: tuple[int, int] | None = None
        self._passing: frozenset[str] | None = None

    def changed(self) -> list[ev.Event]:
        """What has changed since the last call."""
        mark = _mark(self._run.contract)
        if mark is None or mark == self._mark:
            return []
        self._mark = mark
        try:
            passing = ct.passing_ids(ct.read(self._run.contract))
        except (ContractError, OSError):
            return []
        before, self._passing = self._passing, passing
        if before is None:
            return []
        at = stamp(now())
        return [
            *(_change(name, Status.FAILING, Status.CLAIMED, at) for name in sorted(passing - before)),
            *(_change(name, Status.CLAIMED, Status.REGRESSED, at) for name in sorted(before - passing)),
        ]


def _change(name: str, before: Status, after: Status, at: str) -> ev.Event:
    return ev.FeatureChanged(feature=name, from_=before, to=after, by=BY, ts=at)


class Changes:
    """Which files of a directory change: at once where the kernel tells, else by a look at all of them, which
    comes the less often the longer it takes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._times: dict[str, int] = {}
        """When each file was last written, in ns."""

    def start(self) -> None:
        threading.Thread(target=self._watch, name="foreign files", daemon=True).start()

    def _watch(self) -> None:
        self._changed(walk_files(self._root))
        while True:
            # RuntimeError is what watchfiles makes of any other trouble; the looks go on without it.
            with contextlib.suppress(OSError, RuntimeError):
                self._hear(there(self._root, WORK))
                continue
            time.sleep(SWEEP)
            self._tell(walk_files(self._root))

    def _hear(self, folders: Mapping[Path, int]) -> None:
        """Tell what happens in these folders, and now and then anywhere, until they are others."""
        from watchfiles import watch  # noqa: PLC0415

        again = time.monotonic() + SWEEP
        told = watch(
            *folders,
            recursive=False,
            raise_interrupt=False,
            debounce=400,
            rust_timeout=round(SWEEP * 1000),
            yield_on_timeout=True,
        )
        for batch in told:
            self._tell(os.path.relpath(path, self._root) for _, path in batch)
            if (began := time.monotonic()) >= again:
                self._tell(walk_files(self._root))
                again = time.monotonic() + max(SWEEP, _REST * (time.monotonic() - began))
            if there(self._root, WORK) != folders:
                return

    def _tell(self, names: Iterable[str]) -> None:
        if changed := self._changed(names):
            self._found.put(changed)

    def _changed(self, names: Iterable[str]) -> list[str]:
        """Those of these files that were written since they were last looked at, now noted."""
        changed = []
        for name in names:
            with contextlib.suppress(OSError):
                found = os.lstat(self._root / name)
                if stat.S_ISREG(found.st_mode) and self._times.get(name) != found.st_mtime_ns:
                    self._times[name] = found.st_mtime_ns
                    changed.append(name)
        return sorted(changed)

    def new(self, *, files: bool) -> list[ev.Event]:
        """Pictures that came since the last call and, with `files`, all else that changed, in words."""
        with contextlib.suppress(queue.Empty):
            names = self._found.get_nowait()
            return [*self._evidence(names), *(self._told(names) if files else ())]
        return []

    def _evidence(self, names: list[str]) -> Iterator[ev.Event]:
        for name in names:
            if name.startswith(f"{EVIDENCE_DIR}/"):
                known = fingerprint(self._root / name)
                if known is not None:
                    yield ev.EvidenceCaptured(
                        path=name, sha256=known.sha256, size=known.size, ts=stamp(now())
                    )

    def _told(self, names: list[str]) -> Iterator[ev.Event]:
        told = [
            name for name in names if name not in OPERATOR_NAMES and not name.startswith(f"{EVIDENCE_DIR}/")
        ]
        if told:
            more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
            text = f"changed: {', '.join(map(one_line, told[:_NAMED]))}{more}"
            yield ev.Text(text=text, ts=stamp(now()), role=FILES)


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns)

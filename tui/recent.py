"""The runs that an operator may want to open: those that were opened lately, and those that lie near."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import platformdirs

from harness_core import config
from harness_core.errors import LongwatchError
from harness_core.layout import CONTRACT_NAMES, NOTES_NAMES, RunDir
from harness_core.machine.files import read_bounded, write_whole
from harness_core.record.journal import now_iso
from harness_core.record.status import status

MOST = 50
"""Opened runs that are kept."""
DEPTH = 3
"""How far below a folder runs are looked for."""
MOST_FOLDERS = 3000
"""Folders that are looked into at most, so that a look at a home folder ends."""
_PASSED_OVER = frozenset(
    (
        "node_modules",
        "site-packages",
        "__pycache__",
        "venv",
        "dist",
        "build",
        "target",
        "vendor",
        "proc",
        "sys",
    )
)


class Opened(msgspec.Struct, frozen=True):
    """A run that was opened in the console."""

    root: str
    at: str
    """When, in UTC."""


class Known(msgspec.Struct, frozen=True):
    """A run as a list shows it."""

    run: RunDir
    lifecycle: str
    passing: int
    total: int
    changed: float
    """When something last happened in it, in seconds since 1970."""
    wrong: str = ""
    """Why it can't be read."""


def folder() -> Path:
    """Where the list lies. `LONGWATCH_STATE` names another folder."""
    named = os.environ.get("LONGWATCH_STATE")
    return Path(named) if named else platformdirs.user_state_path("longwatch")


def note(run: RunDir) -> None:
    """Keep `run` as the one that was opened last. Where nothing can be written, nothing is kept."""
    others = [item for item in opened() if item.root != str(run.root)]
    kept = [Opened(str(run.root), now_iso()), *others][:MOST]
    with contextlib.suppress(OSError, UnicodeEncodeError):
        write_whole(folder() / "recent.json", msgspec.json.encode(kept) + b"\n", durable=False)


def opened() -> list[Opened]:
    """The runs that were opened, the last one first."""
    try:
        data = read_bounded(folder() / "recent.json") or b"[]"
        return msgspec.json.decode(data, type=list[Opened])[:MOST]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def found(below: Path) -> list[RunDir]:
    """The runs in a folder and below it, whoever drives them. What can't be read is passed over."""
    return [RunDir(path) for path in _folders(below.resolve()) if holds_run(path)]


def holds_run(path: Path) -> bool:
    """Whether a folder holds a run: of Longwatch, or a contract with notes beside it."""
    with contextlib.suppress(OSError):
        return RunDir(path).run_json.is_file() or (_any(path, CONTRACT_NAMES) and _any(path, NOTES_NAMES))
    return False


def _any(path: Path, names: tuple[str, ...]) -> bool:
    return any((path / name).is_file() for name in names)


def _folders(top: Path) -> Iterator[Path]:
    """`top` and the folders below it, nearest first; what is inside a run isn't gone into."""
    level, looked = [top], 0
    for depth in range(DEPTH + 1):
        below: list[Path] = []
        for path in level:
            if looked == MOST_FOLDERS:
                return
            looked += 1
            yield path
            if depth < DEPTH and (path == top or not holds_run(path)):
                below += _inside(path)
        level = below


def _inside(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            names = [
                entry.name
                for entry in entries
                if not entry.name.startswith(".")
                and entry.name not in _PASSED_OVER
                and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []
    return [path / name for name in sorted(names)]


def candidates(below: Path) -> list[RunDir]:
    """What a list offers: the runs near `below`, then those opened lately that are still there."""
    near = found(below)
    roots = {run.root for run in near}
    lately = [Path(item.root) for item in opened()]
    return near + [RunDir(path) for path in lately if path not in roots and holds_run(path)]


def look(run: RunDir) -> Known:
    """Where a run stands. Reads its journal; takes as long as that takes."""
    try:
        config.load_info(run)
        report = status(run)
    except (LongwatchError, OSError) as error:
        return Known(run, "", 0, 0, changed(run), str(error))
    features = report.features
    return Known(run, report.lifecycle, features["passing"], features["total"], changed(run))


def changed(run: RunDir) -> float:
    """When something last happened in a run, in seconds since 1970; 0 where nobody knows."""
    for path in (run.journal, run.contract, run.root):
        with contextlib.suppress(OSError):
            return path.stat().st_mtime
    return 0.0

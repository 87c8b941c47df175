"""Which files of a run can be evidence, which are sources, and which are neither.

Everything goes by the path, relative to the run, with `/` between its parts:

- *evidence kinds*: pictures and logs anywhere; JSON and XML only where the folder or the name says that they
  are results, since anywhere else they are part of the project. Markdown and HTML never are.
- *sources*: all that is left after evidence kinds, notes, documents, the contract, the operator's files, data
  that a running app writes, lock files of package managers, and dependency, build and hidden folders.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from harness_core.layout import CONTRACT_NAMES, FINDINGS_NAMES, NOTES_NAMES, OPERATOR_NAMES, SPEC_NAMES


class Kind(StrEnum):
    """What a piece of evidence is."""

    PICTURE = "picture"
    TEXT = "text"


class SourceFile(NamedTuple):
    """A source file of the run and when it last changed, in ns since the epoch."""

    path: str
    mtime_ns: int


PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"})
LOG_SUFFIXES = frozenset({".log", ".txt", ".out", ".tap"})
RESULT_SUFFIXES = frozenset({".json", ".xml"})
"""Evidence only in a folder or under a name that says so."""

_CLOSED_FOLDERS = frozenset(
    [
        "node_modules",
        "bower_components",
        "jspm_packages",
        "vendor",
        "venv",
        "env",
        "site-packages",
        "__pycache__",
        "__pypackages__",
        "pods",
        "deriveddata",
        "deps",
        "dist",
        "build",
        "out",
        "target",
        "_build",
        "obj",
        "elm-stuff",
    ]
)
_RESULT_FOLDERS = frozenset(
    [
        "screenshots",
        "screenshot",
        "evidence",
        "test-results",
        "test_results",
        "testresults",
        "results",
        "reports",
        "report",
        "logs",
        "log",
        "artifacts",
        "coverage",
        "playwright-report",
        "proof",
        "captures",
    ]
)
_OUTPUT_FOLDERS = frozenset(
    ["screenshots", "evidence", "test-results", "test_results", "coverage", "playwright-report"]
)
"""At the top of a run, nothing in these is source."""
_DATA_FOLDERS = _RESULT_FOLDERS | {"tmp", "temp", "uploads", "cache"}
_DATA_SUFFIXES = frozenset(
    {"", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".xml", ".html", ".dat", ".bin"}
)
"""In a data folder at any depth, files with these aren't source; code is."""
_RESULT_WORDS = frozenset(
    ["result", "results", "report", "reports", "output", "junit", "console", "evidence", "testresults"]
)
_RUN_FILES = frozenset(
    name.lower() for name in (*CONTRACT_NAMES, *NOTES_NAMES, *SPEC_NAMES, *FINDINGS_NAMES, *OPERATOR_NAMES)
)
"""Files at the top of a run that are neither evidence nor source."""
_PROJECT_TEXTS = re.compile(
    r"(requirements|constraints)([-_.]\w+)?\.txt|cmakelists\.txt|robots\.txt|humans\.txt|meson_options\.txt"
    r"|(readme|licen[cs]e|copying|notice|authors|changes|changelog|todo|notes?)\.txt"
)
_DOCUMENT_NAMES = re.compile(r"(licen[cs]e|copying|notice|authors|changelog|readme|contributing)(-\w+)?")
_DOCUMENT_SUFFIXES = frozenset({".md", ".markdown", ".rst", ".adoc", ".pdf"})
_RUNTIME_NAME = re.compile(
    r".*\.(db|db3|sqlite3?|s3db|(db|sqlite3?)-(journal|wal|shm)|rdb|aof|pid|sock|lock|lockb|tmp|temp|swp|swo|bak|orig"
    r"|pyc|pyo|class|o|obj|tsbuildinfo|map|cache|coverage|webm|mp4|trace|zip|gz|tgz|har)"
    r"|.*~|package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|go\.sum"
    r"|\.(ds_store|gitignore|gitattributes|coverage|eslintcache)"
)


def is_closed(path: str) -> bool:
    """Whether a path lies in a dependency, build or hidden folder."""
    return any(part.startswith(".") or part.lower() in _CLOSED_FOLDERS for part in path.split("/")[:-1])


def evidence_kind(path: str) -> Kind | None:
    """What kind of evidence a file can be by its path, or None."""
    *folders, name = path.lower().split("/")
    stem, suffix = os.path.splitext(name)
    if suffix in PICTURE_SUFFIXES:
        return Kind.PICTURE
    if not folders and name in _RUN_FILES:
        return None
    if suffix in LOG_SUFFIXES:
        return None if _PROJECT_TEXTS.fullmatch(name) else Kind.TEXT
    if suffix in RESULT_SUFFIXES and (
        any(folder in _RESULT_FOLDERS for folder in folders)
        or any(word in _RESULT_WORDS for word in re.split(r"[\W_]+", stem))
    ):
        return Kind.TEXT
    return None


def is_source(path: str) -> bool:
    """Whether a change of this file makes evidence that is older out of date."""
    *folders, name = path.lower().split("/")
    if is_closed(path) or (not folders and name in _RUN_FILES) or evidence_kind(path):
        return False
    suffix = os.path.splitext(name)[1]
    if folders and folders[0] in _OUTPUT_FOLDERS:
        return False
    if suffix in _DATA_SUFFIXES and any(folder in _DATA_FOLDERS for folder in folders):
        return False
    if suffix in _DOCUMENT_SUFFIXES or _PROJECT_TEXTS.fullmatch(name):
        return name.startswith(("requirements", "constraints", "cmakelists", "robots", "meson"))
    return not (_DOCUMENT_NAMES.fullmatch(name) or _RUNTIME_NAME.fullmatch(name))


def newest_source(root: Path, files: Iterable[str]) -> SourceFile | None:
    """The source file that changed last among `files`, or None. `files` are paths relative to `root`, as from
    `git ls-files -co --exclude-standard` or `walk_files`; those that are gone are passed over."""
    base = f"{root}/"
    newest: SourceFile | None = None
    for path in files:
        try:
            info = os.stat(base + path)
        except (OSError, ValueError):
            continue
        # The time first: it rules out nearly all files at a fraction of the cost of the names.
        if newest is not None and info.st_mtime_ns <= newest.mtime_ns:
            continue
        if stat.S_ISREG(info.st_mode) and is_source(path):
            newest = SourceFile(path, info.st_mtime_ns)
    return newest


def walk_files(root: Path) -> Iterator[str]:
    """The files below `root` outside dependency, build and hidden folders, relative to it; for a run without
    git. Doesn't follow symbolic links to folders."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(f"{root}/{folder}") as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        yield folder + entry.name
                    elif not is_closed(f"{entry.name}/"):
                        waiting.append(f"{folder}{entry.name}/")
        except OSError:
            continue

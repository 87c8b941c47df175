"""Reads the agents' notes, within bounds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness_core.layout import RunDir
from harness_core.machine.files import read_bounded, read_end
from harness_core.safe import safe
from tui.console.paper import Block, split

_WHOLE = 1 << 20
"""Bytes up to which notes are shown whole; of longer ones the beginning and the end are."""
_PART = _WHOLE // 2

Mark = tuple[str, int, int, int]
"""What a file is recognised by: its name, inode, time and size."""


@dataclass(frozen=True)
class Notes:
    """One version of the notes."""

    path: Path
    mark: Mark | None
    """None where there is no file."""
    blocks: Sequence[Block] = ()
    remark: str = ""
    """What is odd about the file."""


def read_notes(run: RunDir, known: Mark | None) -> Notes | None:
    """The notes as they are now; None when they are still those with the mark `known`."""
    path = run.notes
    try:
        found = os.stat(path)
        mark = (path.name, found.st_ino, found.st_mtime_ns, found.st_size)
        if mark == known:
            return None
        data = read_bounded(path, _WHOLE + 1)
    except FileNotFoundError:
        return Notes(path, None)
    except OSError as error:
        return Notes(path, None, remark=f"{path.name} can't be read: {error.strerror}")
    if data is None:
        return Notes(path, None, remark=f"{path.name} is no regular file")
    if len(data) <= _WHOLE:
        return Notes(path, mark, split(_text(data)), _oddity(data))
    left_out = (found.st_size - 2 * _PART) / (1 << 20)
    gap = f"*… {left_out:.1f} MB are left out here: the file has them …*\n\n"
    parts = (_text(data[:_PART]) + "\n", gap, _text(read_end(path, _PART)))
    return Notes(path, mark, [block for part in parts for block in split(part)])


def _text(data: bytes) -> str:
    # Line by line: most lines are clean, and no single step over the whole text holds up other threads.
    return "\n".join(safe(line) for line in data.decode("utf-8", errors="replace").splitlines())


def _oddity(data: bytes) -> str:
    try:
        data.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return ""

"""The bytes of a file that may be evidence, and where it lies."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

MAX_BYTES = 32 * 1024 * 1024
"""Evidence larger than this is refused: nobody can have seen it whole."""


class Loaded(NamedTuple):
    """A file's content and its time, in ns since the epoch."""

    data: bytes
    mtime_ns: int


def load(path: Path) -> Loaded | str:
    """The bytes of a regular file and its time, from one open file; or what keeps it from being read."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
        with open(handle, "rb") as stream:
            info = os.fstat(handle)
            if not stat.S_ISREG(info.st_mode):
                return "isn't a regular file"
            if info.st_size > MAX_BYTES:
                return f"is larger than {MAX_BYTES // 2**20} MiB"
            return Loaded(stream.read(MAX_BYTES), info.st_mtime_ns)
    except FileNotFoundError:
        return "isn't there"
    except (OSError, ValueError) as error:
        return f"can't be read ({getattr(error, 'strerror', None) or error})"


def relative_to(root: Path, text: str) -> str | None:
    """The path of `text` (relative to `root`, or absolute) inside the resolved `root`, symbolic links
    resolved; None if it isn't inside."""
    try:
        return Path(os.path.realpath(root / text)).relative_to(root).as_posix()
    except (ValueError, OSError):
        return None

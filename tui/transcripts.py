"""Finds Claude Code's transcripts of a directory and reads them on, from their end where they are large."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness_core.machine.files import read_bounded
from harness_core.record.foreign import Transcript

TAIL = 4 << 20
"""Bytes of a transcript's end that are read when it is opened."""
STEP = 1 << 20
"""Bytes that are read at most at once."""
LONGEST = 16 << 20
"""A longer line isn't waited for."""
LIST_EVERY = 0.5
"""Seconds between two looks for new sessions."""
QUIET = 30.0
"""Seconds without a word after which an older session that speaks again takes the newest one's place."""
_SUBAGENTS = 8
"""Of how many subagents that were there already the words are read."""


@dataclass
class Lines:
    """Whole lines that were added, and which subagent wrote them."""

    lines: list[bytes]
    agent: str | None


class Tail:
    """A growing file's lines. A rest without its line break waits for the break."""

    def __init__(self, path: Path, tail: int = TAIL) -> None:
        self.path = path
        size = _size(path)
        self._offset = max(0, size - tail)
        self._rest = b""
        self._skip = self._offset > 0
        """Whether what comes first is the end of a line that isn't read."""

    def read(self) -> list[bytes]:
        """The lines that were added since the last call, at most STEP bytes of them."""
        size = _size(self.path)
        if size < self._offset:
            self._offset, self._rest, self._skip = size, b"", False
        if size == self._offset:
            return []
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read(STEP)
        except OSError:
            return []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._skip and lines:
            self._skip = False
            del lines[0]
        if len(self._rest) > LONGEST:
            self._rest, self._skip = b"", True
        return [line for line in lines if line]


@dataclass
class Session:
    """A session's transcript, with those of its subagents."""

    path: Path
    number: int
    transcript: Transcript = field(init=False)

    def __post_init__(self) -> None:
        self.transcript = Transcript(self.number, self.path.stem)
        self._main = Tail(self.path)
        self._agents: dict[Path, Tail] = {}
        self._listed = 0.0

    @property
    def name(self) -> str:
        return self.path.stem

    def read(self) -> Iterator[Lines]:
        """What was added since the last call."""
        self._list_agents()
        yield Lines(self._main.read(), None)
        for path, tail in self._agents.items():
            yield Lines(tail.read(), path.stem.removeprefix("agent-"))

    def _list_agents(self) -> None:
        now = time.monotonic()
        if now - self._listed < LIST_EVERY:
            return
        first, self._listed = not self._listed, now
        found = _jsonl(self.path.with_suffix("") / "subagents")
        # Those of long ago have nothing to say to what the main agent does now.
        for _, path in found[-_SUBAGENTS:] if first else found:
            if path not in self._agents:
                self._agents[path] = Tail(path, TAIL // _SUBAGENTS)
        if first:
            self._agents |= {path: Tail(path, 0) for _, path in found[:-_SUBAGENTS]}


class Sessions:
    """The transcripts of one directory's sessions."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._root = root
        self._known: dict[Path, Session] = {}
        self._others: set[Path] = set()
        """Transcripts of other directories whose names come out the same."""
        self._numbers: dict[Path, int] = {}
        self._newest: Session | None = None
        self._listed = 0.0

    def newest(self) -> Session | None:
        """The session that speaks, or spoke last."""
        now = time.monotonic()
        if self._listed and now - self._listed < LIST_EVERY:
            return self._newest
        self._listed = now
        found = [item for item in _jsonl(self._folder) if self._ours(item[1])]
        fresh = [path for _, path in found if path not in self._numbers]
        for path in fresh:
            self._numbers[path] = len(self._numbers) + 1
        if fresh:
            self._take(fresh[-1])
        elif found and self._newest is not None and found[-1][1] != self._newest.path:
            times = {path: changed for changed, path in found}
            if found[-1][0] - times.get(self._newest.path, 0.0) > QUIET:
                self._take(found[-1][1])
        return self._newest

    def _take(self, path: Path) -> None:
        if path not in self._known:
            self._known[path] = Session(path, self._numbers[path])
        self._newest = self._known[path]

    def _ours(self, path: Path) -> bool:
        """Whether a session worked in this directory, as far as its transcript says where."""
        if path in self._numbers:
            return True
        if path not in self._others and not _works_in(path, self._root):
            self._others.add(path)
        return path not in self._others


def _works_in(path: Path, root: Path) -> bool:
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        told = re.search(rb'"cwd":("(?:[^"\\]|\\.)*")', read_bounded(path, 1 << 18) or b"")
        if told:
            place = Path(os.path.realpath(msgspec.json.decode(told[1], type=str)))
            return place == root or root in place.parents
    return True


def _jsonl(folder: Path) -> list[tuple[float, Path]]:
    """The transcripts in a folder with the times of their last change, the oldest first."""
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name.endswith(".jsonl") and entry.is_file(follow_symlinks=False):
                    found.append((entry.stat().st_mtime, Path(entry.path)))
    return sorted(found)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

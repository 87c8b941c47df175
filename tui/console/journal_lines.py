"""Whole lines of a journal by their place in the file: forwards and backwards, a bounded piece at a time.

A place is a byte offset where a line begins. A line that is being written isn't one yet.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

CHUNK = 64 << 10
"""Bytes that are read at a time."""
LONG = 1 << 20
"""Bytes from which on a line is too long to be read as an event: its beginning stands for it."""
_BEGINNING = 4096
_SEQ = re.compile(rb'"seq":(\d+)')

Step = Literal[-1, 1]
"""Which way to go: on, or back."""


class File(NamedTuple):
    """An open file, as it was when it was opened."""

    fd: int
    size: int
    inode: int


class Line(NamedTuple):
    """A line of the file, and its bytes without the newline; of one over `LONG` only the first."""

    offset: int
    size: int
    """With the newline."""
    data: bytes

    @property
    def whole(self) -> bool:
        """Whether all of its bytes are here."""
        return self.size <= len(self.data) + 1


class Piece(NamedTuple):
    """Lines that stand together; or one over `LONG`, with only the beginning of its bytes."""

    offset: int
    size: int
    data: bytes

    @property
    def end(self) -> int:
        return self.offset + self.size

    def edge(self, step: Step) -> int:
        """Where the next piece in that direction begins, or ends."""
        return self.end if step > 0 else self.offset

    def lines(self) -> list[Line]:
        if self.size > len(self.data):
            return [Line(*self)]
        lines, offset = [], self.offset
        for text in self.data[:-1].split(b"\n"):
            lines.append(Line(offset, len(text) + 1, text))
            offset += len(text) + 1
        return lines


@contextlib.contextmanager
def opened(path: Path) -> Iterator[File | None]:
    """The file, open to be read by offset; None where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        yield None
        return
    try:
        found = os.fstat(fd)
        yield File(fd, found.st_size, found.st_ino)
    finally:
        os.close(fd)


# --- Where lines begin and end -----------------------------------------------------------------------


def line_start(fd: int, offset: int) -> int:
    """Where the line begins that holds the byte before `offset`; a newline belongs to the line it ends."""
    position = offset - 1
    while position > 0:
        start = max(0, position - CHUNK)
        found = os.pread(fd, position - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


def line_end(fd: int, offset: int) -> int | None:
    """Where the line that holds the byte at `offset` ends, newline included; None where it isn't whole."""
    while piece := os.pread(fd, CHUNK, offset):
        found = piece.find(b"\n")
        if found >= 0:
            return offset + found + 1
        offset += len(piece)
    return None


def whole_end(file: File) -> int:
    """Where the last whole line ends."""
    fd, size, _ = file
    return size if size and os.pread(fd, 1, size - 1) == b"\n" else line_start(fd, size)


# --- Pieces --------------------------------------------------------------------------------------------


def piece_at(fd: int, edge: int, step: Step, want: int = CHUNK) -> Piece | None:
    """The lines from `edge` on, or those before it for `step` -1: about `want` bytes, one line at least.

    None where there is no whole line.
    """
    return _piece_after(fd, edge, want) if step > 0 else _piece_before(fd, edge, want)


def _piece_after(fd: int, start: int, want: int) -> Piece | None:
    data = os.pread(fd, want, start)
    last = data.rfind(b"\n")
    if last >= 0:
        return Piece(start, last + 1, data[: last + 1])
    end = line_end(fd, start + len(data)) if data else None
    return None if end is None else _one(fd, start, end)


def _piece_before(fd: int, end: int, want: int) -> Piece | None:
    if end <= 0:
        return None
    start = max(0, end - want)
    data = os.pread(fd, end - start, start)
    if start > 0:
        first = data.find(b"\n", 0, len(data) - 1)
        if first < 0:
            return _one(fd, line_start(fd, end), end)
        start, data = start + first + 1, data[first + 1 :]
    return Piece(start, len(data), data)


def _one(fd: int, start: int, end: int) -> Piece:
    size = end - start
    return Piece(start, size, os.pread(fd, _BEGINNING if size > LONG else size, start))


# --- The number of an event ----------------------------------------------------------------------------


def seq_in(data: bytes) -> int | None:
    """The `seq` that stands at the beginning of a line, None where there is none."""
    found = _SEQ.search(data, 0, 256)
    return int(found[1]) if found else None


def offset_of(path: Path, seq: int) -> int | None:
    """Where the first event from `seq` on begins, None where there is none."""
    with opened(path) as file:
        if file is None:
            return None
        fd, size, _ = file
        low, high = 0, size
        while low < high:
            middle = (low + high) // 2
            start = line_start(fd, middle + 1)
            number, after = _seq_from(fd, start, size)
            if number is None or number >= seq:
                high = min(start, middle)
            else:
                low = after
        return low if low < size else None


def _seq_from(fd: int, start: int, size: int) -> tuple[int | None, int]:
    """The `seq` of the first sound line from `start` on, and where the next one begins."""
    while start < size:
        end = line_end(fd, start)
        if end is None:
            break
        number = seq_in(os.pread(fd, 256, start))
        if number is not None:
            return number, end
        start = end
    return None, size

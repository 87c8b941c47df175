"""The handover notes, kept short: what is old goes whole into an archive beside them, and nothing is lost."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness_core.layout import RunDir
from harness_core.machine.files import read_bounded, write_whole
from harness_core.machine.gitfiles import OWN

if TYPE_CHECKING:
    from harness_core.machine.gitrepo import GitRepo

MOST_BYTES = 40_000
MOST_SECTIONS = 30
"""Notes beyond either are shortened to about half of both, so that it isn't done after every session."""
ARCHIVE_HEAD = b"# Older notes\n\nThe newest come first. Nothing here was changed when it was moved.\n\n"
_TOO_LARGE = 16 << 20
"""Bytes from which on a file of notes is something else, and left alone."""
_SECTIONS_AT_LEAST = 3
_HEADING = re.compile(rb"^(#{1,6})[ \t]")
_FENCE = re.compile(rb"^ {0,3}(```+|~~~+)")


@dataclass(frozen=True)
class Notes:
    """A file of notes: what stands above its sections, and the sections, byte for byte."""

    head: bytes
    sections: Sequence[bytes]

    @property
    def whole(self) -> bytes:
        return b"".join((self.head, *self.sections))


def read_notes(data: bytes) -> Notes:
    """Notes cut into sections: they begin at headings of the highest level that has several of them."""
    found = _headings(data)
    levels = [level for _, level in found]
    often = [level for level in sorted({*levels}) if levels.count(level) >= _SECTIONS_AT_LEAST]
    if not often:
        return Notes(data, ())
    first = next(at for at, level in found if level == often[0])
    cuts = [at for at, level in found if at >= first and level <= often[0]]
    return Notes(data[:first], [data[at:end] for at, end in zip(cuts, [*cuts[1:], len(data)], strict=True)])


def _headings(data: bytes) -> list[tuple[int, int]]:
    """(offset, level) of each heading outside of fenced code."""
    found, fence, offset = [], b"", 0
    for line in data.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if fence:
            closes = mark is not None and mark[1].startswith(fence) and line.strip() == mark[1]
            fence = b"" if closes else fence
        elif mark is not None:
            fence = mark[1]
        elif heading := _HEADING.match(line):
            found.append((offset, len(heading[1])))
        offset += len(line)
    return found


def shortened(data: bytes) -> tuple[bytes, bytes]:
    """Notes within bounds, and the sections that don't fit; the newest section always stays."""
    notes = read_notes(data)
    if len(data) <= MOST_BYTES and len(notes.sections) <= MOST_SECTIONS:
        return data, b""
    kept, size = 0, len(notes.head)
    for section in notes.sections:
        size += len(section)
        if kept and (size > MOST_BYTES // 2 or kept >= MOST_SECTIONS // 2):
            break
        kept += 1
    moved = b"".join(notes.sections[kept:])
    return Notes(notes.head, notes.sections[:kept]).whole, moved


def archived(archive: bytes, moved: bytes) -> bytes:
    """The archive with what is moved into it on top."""
    joint = b"" if moved.endswith(b"\n") else b"\n"
    return ARCHIVE_HEAD + moved + joint + archive.removeprefix(ARCHIVE_HEAD)


# --- In a run -------------------------------------------------------------------------------------------


class Move(msgspec.Struct, frozen=True):
    """What is about to be moved, `.longwatch/handoff.json`: a kill between two writes is mended from it."""

    notes: str
    notes_before: str
    archive_before: str
    kept: bytes
    moved: bytes


def archive_of(notes: Path) -> Path:
    """Where the older sections of a file of notes go."""
    return notes.with_name(f"{notes.stem}.archive{notes.suffix}")


def keep_short(run: RunDir, git: GitRepo) -> None:
    """Move older notes into the archive where they are beyond bounds, and commit that.

    Raises OSError.
    """
    finish(run, git)
    path = run.notes
    data, archive = _content(path), _content(archive_of(path))
    if data is None or archive is None:
        return
    kept, moved = shortened(data)
    if moved:
        move = Move(path.name, digest(data), digest(archive), kept, moved)
        write_whole(_intent(run), msgspec.json.encode(move))
        finish(run, git)


def finish(run: RunDir, git: GitRepo) -> None:
    """Bring a move to its end that was begun; nothing where none was. Raises OSError."""
    data = read_bounded(_intent(run), 2 * _TOO_LARGE)
    if data is None:
        return
    try:
        move = msgspec.json.decode(data, type=Move)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _intent(run).unlink()
        return
    notes = run.root / move.notes
    archive = archive_of(notes)
    before = _content(archive)
    if before is not None and digest(before) == move.archive_before:
        write_whole(archive, archived(before, move.moved))
    if digest(_content(notes) or b"") == move.notes_before:
        write_whole(notes, move.kept)
    there = [path.name for path in (notes, archive) if path.exists()]
    git.commit_all(f"{OWN}older notes are in {archive.name}", *there)
    _intent(run).unlink()


def _intent(run: RunDir) -> Path:
    return run.private / "handoff.json"


def _content(path: Path) -> bytes | None:
    """The bytes of a file, none where there isn't one yet; None for what isn't a file of notes."""
    if path.is_symlink():
        return None
    data = read_bounded(path, _TOO_LARGE + 1)
    if data is None:
        return None if path.exists() else b""
    return data if len(data) <= _TOO_LARGE else None


def digest(data: bytes) -> str:
    """By which a file's content is known again."""
    return hashlib.sha256(data).hexdigest()

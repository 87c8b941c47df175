"""What one session has seen and typed, learnt from what PostToolUse tells."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from harness_core.evidence.files import Kind, evidence_kind


class Fingerprint(msgspec.Struct, frozen=True):
    """A file's content, by its hash and its size in bytes."""

    sha256: str
    size: int


class Read(msgspec.Struct, frozen=True):
    """What the Read tool has shown of one content of a file."""

    sha256: str
    picture: bool = False
    """It was shown as a picture."""
    lines: tuple[tuple[int, int], ...] = ()
    """The runs of lines shown, first and last, counted from 1; sorted, apart from each other."""

    def reaches(self, line: int) -> bool:
        """Whether this line was shown."""
        return any(first <= line <= last for first, last in self.lines)


class SessionEvidence(msgspec.Struct):
    """What one session knows of evidence. Paths are as `relative_to` gives them. It goes through
    `msgspec.json` whole, since it has to outlive the engine."""

    started_ns: int
    """When the session started, in ns since the epoch."""
    reads: dict[str, Read] = {}
    """By path, in the order of their first reading."""
    typed: dict[str, tuple[Fingerprint | None, ...]] = {}
    """By path, what was there after each time that the agent typed it; None where that isn't known."""
    copied: dict[str, tuple[int, ...]] = {}
    """By the sha256 of what the agent copied from files that prove nothing, when each copy was written, in ns
    since the epoch. The same content written anew by a program is none of them."""

    @classmethod
    def of_now(cls) -> SessionEvidence:
        """What a session knows that starts now."""
        return cls(started_ns=time.time_ns())

    def note_read(self, path: str, sha256: str, response: object) -> None:
        """Take in a successful Read of `path`: `sha256` of its content right after, and the tool's response.
        Parts of the same content add up; another content starts anew."""
        before = self.reads.get(path)
        if before is None or before.sha256 != sha256:
            before = Read(sha256)
        shown = _lines_shown(response)
        lines = _merged((*before.lines, shown)) if shown else before.lines
        self.reads[path] = Read(sha256, before.picture or _shows_picture(path, response), lines)

    def note_typed(self, path: str, content: Fingerprint | None) -> None:
        """Take in that the agent typed `path` (a file tool, echo, a heredoc), and what is there now."""
        known = self.typed.get(path, ())
        if content not in known:
            self.typed[path] = (*known, content)

    def note_copied(self, sha256: str, mtime_ns: int) -> None:
        """Take in that the agent copied this content from a file that proves nothing."""
        known = self.copied.get(sha256, ())
        if mtime_ns not in known:
            self.copied[sha256] = (*known, mtime_ns)


def _merged(runs: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Runs of lines, sorted, those that touch made one."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(runs):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _shows_picture(path: str, response: object) -> bool:
    """Whether a Read's response showed a picture. A picture is shown whole or not at all."""
    if isinstance(response, list):
        return any(isinstance(block, dict) and block.get("type") == "image" for block in response)
    if not isinstance(response, dict):
        return False
    if "type" in response:
        return bool(response["type"] == "image")
    if isinstance(response.get("content"), list):
        return _shows_picture(path, response["content"])
    file = response.get("file")
    return isinstance(file, dict) and evidence_kind(path) is Kind.PICTURE and "numLines" not in file


def _lines_shown(response: object) -> tuple[int, int] | None:
    """The first and last line that a Read's response showed. The numbers decide; the content stands in for a
    missing count and bounds a larger one, and a response that tells neither has shown nothing."""
    if not isinstance(response, dict) or response.get("type", "text") != "text":
        return None
    file = response.get("file")
    if not isinstance(file, dict):
        return None
    content = file.get("content")
    counted = content.count("\n") + 1 if isinstance(content, str) and content else None
    number = _whole(file.get("numLines"))
    known = [value for value in (counted, number) if value is not None]
    start = _whole(file.get("startLine"))
    first = 1 if start is None else max(start, 1)
    total = _whole(file.get("totalLines"))
    if not known or min(known) < 1 or (total is not None and first > total):
        return None
    last = first + min(known) - 1
    return first, last if total is None else min(last, total)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

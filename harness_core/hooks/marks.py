"""Whether the contract's two files lie as they were left: a cheap look, as `contract.files` takes it."""

from __future__ import annotations

import os
from pathlib import Path

from harness_core.hooks.shelf import Common
from harness_core.layout import RunDir


def marks_of(run: RunDir, name: str) -> list[list[int] | None]:
    """How the record and the agents' file of that name lie on disk."""
    return [_mark(run.record), _mark(run.root / name)]


def _mark(path: Path) -> list[int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_nlink, found.st_mode]


def strayed(run: RunDir, common: Common) -> bool:
    """Whether either file was touched, and not by an edit that was let through."""
    if not common.contract:
        return False
    now = marks_of(run, common.contract)
    if now == common.marks:
        return False
    record_same = now[:1] == common.marks[:1]
    return not (record_same and digest(run.root / common.contract) in common.edits.values())


def digest(path: Path) -> str:
    """The sha256 of a contract's text whatever its line ends; "" when it can't be read."""
    try:
        return digest_of(path.read_bytes())
    except OSError:
        return ""


def digest_of(data: bytes) -> str:
    import hashlib  # noqa: PLC0415

    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()

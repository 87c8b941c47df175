"""Sprint contracts that were agreed on: each file stays as it was then, or is put back."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from harness_core.contract.files import Mark, mark_of, put
from harness_core.guards import Denial
from harness_core.guards.contract import NAME, is_contract
from harness_core.machine.files import read_bounded, write_whole
from harness_core.record import events as ev
from harness_core.run import Logbook

_MOST = 64 << 20


class Agreements:
    """Writes the files of agreed contracts and notices by a cheap look when somebody else did."""

    def __init__(self, run: Logbook) -> None:
        self._run = run
        self._seen: dict[str, Mark] = {}

    def keep(self, path: Path, data: bytes) -> str:
        """Write one of a contract's files, with a copy to put it back from; returns its hash."""
        sha256 = hashlib.sha256(data).hexdigest()
        write_whole(self._copy(sha256), data)
        put(path, data)
        return sha256

    def judge(self, target: Path) -> Denial | None:
        """Deny a call that would write this file, if it is one that was agreed on."""
        agreed = (self._run.dir.root / path for path in self._run.state.agreements)
        if not any(is_contract(target, path) for path in agreed):
            return None
        return Denial(
            NAME,
            f"{target.name} is agreed on and frozen: build what it says. What no longer fits, "
            f"put into {self._run.dir.notes.name}; the next sprint's contract can take it up.",
        )

    def inspect(self, tool_use_id: str | None) -> None:
        """Put back each file that strayed from what was agreed, and journal that it had."""
        for name, sha256 in self._run.state.agreements.items():
            path = self._run.dir.root / name
            found = mark_of(path)
            if name in self._seen and found == self._seen[name]:
                continue
            wrong = _deviation(path, name, sha256)
            if wrong is not None:
                restored = self._restore(path, sha256)
                self._run.emit(ev.ContractTampered(what=wrong, tool_use_id=tool_use_id, restored=restored))
            self._seen[name] = mark_of(path)

    def _restore(self, path: Path, sha256: str) -> bool:
        data = read_bounded(self._copy(sha256), _MOST)
        if data is None:
            return False
        try:
            put(path, data)
        except OSError:
            return False
        return True

    def _copy(self, sha256: str) -> Path:
        return self._run.dir.blobs / sha256


def _deviation(path: Path, name: str, sha256: str) -> str | None:
    """How a file differs from what was agreed, in a sentence, or None."""
    try:
        found = os.lstat(path)
    except OSError:
        return f"{name} is gone"
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        return f"{name} is no longer a file of its own"
    data = read_bounded(path, _MOST) or b""
    return (
        None if hashlib.sha256(data).hexdigest() == sha256 else f"{name} was changed after it was agreed on"
    )

"""A frozen contract's two files, the record and what agents see: each as it was last written, or put back."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness_core.contract import record as ct
from harness_core.contract.record import Contract, Record
from harness_core.errors import ContractError
from harness_core.machine.files import clear_way, write_whole

Mark = tuple[int, ...] | None
"""What tells a file from the same file written anew; None where there is none."""


@dataclass
class ContractFiles:
    """Writes both, and notices by a cheap look when somebody else did."""

    record: Path
    """The contract of record, `.longwatch/contract.json`."""
    shown: Path
    """The agents' file. They may write it as long as it says the same."""
    _record_mark: Mark = None
    _shown_mark: Mark = None

    def store(self, record: Record) -> None:
        put(self.record, ct.encode(record))
        self._record_mark = mark_of(self.record)

    def show(self, document: Contract, passing: frozenset[str]) -> None:
        put(self.shown, ct.render(document, passing).encode())
        self._shown_mark = mark_of(self.shown)

    def strays(self, record: Record, document: Contract, passing: frozenset[str]) -> Iterator[str]:
        """Put back each file that strayed from what the engine knows, and say how it had."""
        if mark_of(self.record) != self._record_mark:
            self.store(record)
            yield "the contract of record was changed"
        found = mark_of(self.shown)
        if found is not None and found == self._shown_mark:
            return
        wrong = self._deviation(document, passing)
        if wrong is None:
            self._shown_mark = found
            return
        self.show(document, passing)
        yield wrong

    def _deviation(self, document: Contract, passing: frozenset[str]) -> str | None:
        name = self.shown.name
        try:
            found = os.lstat(self.shown)
        except OSError:
            return f"{name} is gone"
        if stat.S_ISLNK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink > 1):
            return f"{name} was replaced by a link"
        if not stat.S_ISREG(found.st_mode):
            return f"{name} is no longer a file"
        if ~found.st_mode & (stat.S_IRUSR | stat.S_IWUSR):
            return f"{name} can't be read and written by its owner any more"
        try:
            change = ct.compare(document, passing, ct.read(self.shown))
        except ContractError as error:
            return str(error)
        return ct.describe(change) if change else None


def put(path: Path, data: bytes) -> None:
    """Make `path` a file with `data`, whatever lies in its place."""
    clear_way(path)
    write_whole(path, data)


def mark_of(path: Path) -> Mark:
    """A file's mark: a look that reads nothing."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_nlink, found.st_mode)

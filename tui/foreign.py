"""A run that another harness drives, as the console watches it: with a journal of its own, kept elsewhere.

The directory itself isn't touched. What Claude Code writes into its transcripts, what git and the contract's
file say, and, where there is no transcript, which files change, becomes a journal in a folder that goes when
the console does.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness_core.layout import RunDir
from harness_core.record import events as ev
from harness_core.record.foreign import Transcript, transcripts_folder
from harness_core.secrets.redact import Redactor
from tui.outside import Changes, Commits, Contract
from tui.transcripts import Lines, Sessions

EVERY = 0.05
"""Seconds between two looks."""
SILENT = 600.0
"""Seconds without a word after which a session counts as over, until it says something again."""


class ForeignRun(RunDir):
    """A directory that Longwatch doesn't drive. What it reads of Longwatch's own is in `kept`."""

    def __init__(self, root: Path, kept: Path) -> None:
        super().__init__(root)
        self.kept = kept

    @property
    def private(self) -> Path:
        return self.kept


def watchable(run: RunDir) -> RunDir:
    """`run` with a journal: its own, or, where another harness drives it, one that is written from now on
    for as long as this process lives."""
    if run.run_json.exists() or run.journal.exists():
        return run
    return Keeper(run.root).start()


def seen(run: RunDir) -> tuple[RunDir, Keeper | None]:
    """`run` with a journal: its own, or, where another harness drives it, one of what can be seen of it now.
    That one goes when the second is let go."""
    if run.run_json.exists() or run.journal.exists():
        return run, None
    keeper = Keeper(run.root)
    keeper.look()
    return keeper.run, keeper


class Keeper:
    """Keeps the journal of a directory that another harness works in."""

    def __init__(self, root: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="longwatch-", ignore_cleanup_errors=True)
        self.run = ForeignRun(root, Path(self._folder.name))
        self.run.journal.touch()
        self._redact = Redactor(os.environ)
        self._seq = 0
        self._sessions = Sessions(transcripts_folder(root), root)
        self._transcript: Transcript | None = None
        self._heard = 0.0
        self._commits = Commits(root)
        self._contract = Contract(self.run)
        self._changes = Changes(root)

    def start(self) -> RunDir:
        """Keep it from now on, beside whatever this process does."""
        self._changes.start()
        threading.Thread(target=self._keep, name="foreign run", daemon=True).start()
        return self.run

    def _keep(self) -> None:
        while self.run.kept.is_dir():
            # A disk that has no room now has some later.
            with contextlib.suppress(OSError):
                self.look()
            time.sleep(EVERY)

    def look(self) -> None:
        """Write down what has happened since the last look."""
        told = [*self._said(), *self._commits.new(), *self._contract.changed()]
        speaks = self._transcript is not None and self._transcript.begun
        told += self._changes.new(files=not speaks)
        self._write(sorted(told, key=lambda event: event.ts))

    def _said(self) -> list[ev.Event]:
        """What the newest session has said."""
        told: list[ev.Event] = []
        session = self._sessions.newest()
        if session is None:
            return told
        if self._transcript is None or self._transcript.name != session.name:
            told += self._transcript.end("another session began") if self._transcript else []
            self._transcript = session.transcript
        before = len(told)
        while batch := [lines for lines in session.read() if lines.lines]:
            for lines in batch:
                told += self._taken(lines)
        now = time.monotonic()
        if len(told) > before:
            self._heard = now - _age(self._transcript.last)
        elif now - self._heard >= SILENT:
            told += self._transcript.end("silent")
        return told

    def _taken(self, lines: Lines) -> Iterable[ev.Event]:
        assert self._transcript is not None
        for line in lines.lines:
            yield from self._transcript.take(line, lines.agent)

    def _write(self, told: Iterable[ev.Event]) -> None:
        written = bytearray()
        for event in told:
            stamped = msgspec.structs.replace(event, seq=self._seq + 1)
            try:
                written += ev.encode(self._redact.event(stamped))
            except RecursionError:
                # What is nested too deeply to be looked through for secrets.
                continue
            self._seq += 1
        if written:
            with self.run.journal.open("ab") as journal:
                journal.write(written)


def _age(stamp: str) -> float:
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds())

"""One engine per run: a lock that the kernel drops with its holder, and a record of who that is."""

from __future__ import annotations

import os
from types import TracebackType

import msgspec

from harness_core.errors import Mistake, RunLocked
from harness_core.layout import RunDir
from harness_core.machine.alive import boot_id, is_alive, start_time
from harness_core.machine.files import read_bounded, write_whole

_HOOKS_WITHIN = 2.0
"""Seconds that an engine waits for hooks, each of which holds the lock while it answers."""


class Owner(msgspec.Struct, frozen=True):
    """The engine that holds, or last held, a run. `started` counts from the start of the machine, which
    `boot` names."""

    pid: int
    started: float
    epoch: int
    boot: str = ""

    @property
    def alive(self) -> bool:
        return self.boot == boot_id() and is_alive(self.pid, self.started)


def owner_of(run: RunDir) -> Owner | None:
    """Who holds or last held the run, or None when nobody ever did."""
    data = read_bounded(run.owner)
    try:
        return msgspec.json.decode(data or b"", type=Owner)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class Hold:
    """An engine's hold on its run, asked before it writes.

    The lock alone doesn't do: where its file was deleted, or on a file system that forgets locks, an engine
    that was stopped for a while may wake when another has gone on with the run.
    """

    def __init__(self, run: RunDir, epoch: int) -> None:
        self._run = run
        self._epoch = epoch
        self._known = 0

    def check(self) -> None:
        """Raises RunLocked when a later engine has the run."""
        try:
            found = os.stat(self._run.owner).st_mtime_ns
        except OSError:
            return  # Whoever removed that record, it was no engine.
        if found == self._known:
            return
        owner = owner_of(self._run)
        if owner is not None and owner.epoch > self._epoch:
            raise RunLocked(
                f"another engine (pid {owner.pid}) has gone on with {self._run.root}: this one ends"
            )
        self._known = found


def engine_alive(run: RunDir) -> bool:
    owner = owner_of(run)
    return owner is not None and owner.alive


class RunLock:
    """Held by an engine for as long as it lives."""

    def __init__(self, run: RunDir) -> None:
        from filelock import FileLock  # noqa: PLC0415  (costs 10 ms that those who only watch don't have)

        self.run = run
        self._lock = FileLock(run.lock)

    def __enter__(self) -> Owner:
        """Take the lock; a directory that isn't there yet is made.

        Raises RunLocked, naming the pid that has it, and Mistake where nothing can be written.
        """
        from filelock import Timeout  # noqa: PLC0415

        try:
            self._make_room()
            # A hook of plain Claude Code may have it, for an instant.
            self._lock.acquire(timeout=0 if engine_alive(self.run) else _HOOKS_WITHIN, poll_interval=0.01)
            before = owner_of(self.run)
            started = start_time(os.getpid()) or 0.0
            owner = Owner(os.getpid(), started, before.epoch + 1 if before else 1, boot_id())
            write_whole(self.run.owner, msgspec.json.encode(owner))
        except Timeout:
            holder = owner_of(self.run)
            pid = f"pid {holder.pid}" if holder and holder.alive else "another process"
            raise RunLocked(
                f"an engine is already running on {self.run.root} ({pid}): watch it with "
                f"`longwatch attach {self.run.root}` or end it with `longwatch stop --now {self.run.root}`"
            ) from None
        except OSError as error:
            self._lock.release()
            raise Mistake(
                f"{self.run.root} can't be written ({error.strerror}): choose a directory of your own"
            ) from None
        return owner

    def _make_room(self) -> None:
        new = not self.run.root.exists()
        self.run.root.mkdir(exist_ok=True)
        try:
            self.run.private.mkdir(exist_ok=True)
        except OSError:
            if new:
                self.run.root.rmdir()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

"""What a soak does to a run while it works: by the operator's files, by signals, by stray bytes."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from tests.harness import Command, Stage

ON_THE_WIRE = ("429", "500", "529", "cut", "limit-short", "long", "silent")
STRAY = b'{"type":"text","seq":'
"""The beginning of an event, as a crash in the middle of a write leaves it."""
STANDSTILL = 4
"""Seconds."""


@dataclass
class Havoc:
    """One-time deeds against a stage's run, counted by name."""

    stage: Stage
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)

    def strike(self, name: str) -> None:
        """Do one of DEEDS; where there is nothing to do it to, it isn't counted."""
        with suppress(psutil.Error, OSError, ValueError):
            DEEDS[name](self)
            self.done[name] += 1

    def kill(self, engine: Command) -> None:
        """End an engine at once, in the middle of a write as it were."""
        engine.kill()
        self._tear_journal()
        self.done["engine killed, half an event left"] += 1

    def _tear_journal(self) -> None:
        with (self.stage.private / "journal.jsonl").open("ab") as journal:
            journal.write(STRAY)

    def _kill_cli(self) -> None:
        self._cli().kill()

    def _stand_still(self) -> None:
        """Halt the engine, or its CLI, for a while, as a machine that is short of memory does."""
        halted = self.chance.choice([psutil.Process(self.stage.engine_pid()), self._cli()])
        halted.suspend()
        try:
            time.sleep(STANDSTILL)
        finally:
            halted.resume()

    def _cli(self) -> psutil.Process:
        """The CLI of a session at work. Raises ValueError where there is none."""
        below = psutil.Process(self.stage.engine_pid()).children()
        (found,) = self.chance.sample([one for one in below if "--output-format" in one.cmdline()], 1)
        return found

    def _lock_git(self) -> None:
        (self.stage.root / ".git" / "index.lock").touch(exist_ok=False)

    def _steer(self) -> None:
        with (self.stage.root / "STEER.md").open("a") as inbox:
            inbox.write(f"Remember the stripes of message {self.done['steered']}.\n")

    def _stop(self) -> None:
        self.stage.stop_file.touch()


DEEDS: Mapping[str, Callable[[Havoc], None]] = {
    "CLI killed": Havoc._kill_cli,
    "engine or CLI stood still": Havoc._stand_still,
    "stray bytes in the journal": Havoc._tear_journal,
    "index.lock left": Havoc._lock_git,
    "steered": Havoc._steer,
    "stopped and resumed": Havoc._stop,
}

"""A long rehearsal under random faults: does it end well, and do its processes stay as they were?

python -m tests.soak --features 155: over 300 sessions and 100,000 events, a console on them all the time.
Prints a table; exit 1 where a figure is bad.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

import psutil

from harness_core.config import Options
from harness_core.record import events as ev
from harness_core.record.journal import Tail
from harness_core.request import Request
from tests.harness import Command, Stage, named, open_stage
from tests.havoc import DEEDS, ON_THE_WIRE, Havoc
from tests.terminal import Terminal, open_terminal

GROWTH = 0.10
"""The part by which memory may grow after the first tenth of a process's life."""
SPARE = 4
"""Open descriptors that may be more than there were."""
SESSIONS = 2.2
"""Sessions a feature: one builds it, one judges it, and every tenth comes back."""
SESSION_EVENTS = 304
SESSION_REQUESTS = 16
"""What a session comes to, to foresee how long the run will be."""
DOLLARS = 500.0
"""More than the script pretends to spend; the limit of a run with a key would end it after 370 sessions."""
SILENCE = 0.4
"""Minutes after which an API that says nothing is asked again; the default would have most of a soak wait."""
REQUESTS_A_FAULT = 50
EVENTS_A_DEED = 900


@dataclass(frozen=True)
class Sample:
    """A process at one time: its memory in MiB, its open descriptors."""

    rss: float
    descriptors: int


@dataclass
class Life:
    """What was seen of one process, once a second."""

    samples: list[Sample] = field(default_factory=list)

    def look(self, pid: int) -> None:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            # One that has just ended has none.
            if memory := process.memory_info().rss:
                self.samples.append(Sample(memory / (1 << 20), process.num_fds()))

    @property
    def early(self) -> Sequence[Sample]:
        """A twentieth of its time, right after the first tenth."""
        tenth = len(self.samples) // 10
        return self.samples[tenth : tenth + max(1, tenth // 2)]

    @property
    def late(self) -> Sequence[Sample]:
        """The last twentieth of its time."""
        return self.samples[-max(1, len(self.samples) // 20) :]

    @property
    def growth(self) -> float:
        return _rss(self.late) / _rss(self.early) - 1

    @property
    def good(self) -> bool:
        return self.growth < GROWTH and _descriptors(self.late) <= _descriptors(self.early) + SPARE

    def __str__(self) -> str:
        memory = f"{_rss(self.early):.1f} → {_rss(self.late):.1f} MiB ({self.growth:+.1%})"
        return f"{memory}, {_descriptors(self.early)} → {_descriptors(self.late)} descriptors"


def _rss(samples: Sequence[Sample]) -> float:
    return mean(sample.rss for sample in samples)


def _descriptors(samples: Sequence[Sample]) -> int:
    """How many are mostly open: for a program that is started some more are, for an instant."""
    return round(median(sample.descriptors for sample in samples))


@dataclass
class Seen:
    """What has come into the journal, read on as it grows."""

    tail: Tail
    last_seq: int = 0
    sessions: int = 0
    gaps: int = 0
    stopped: bool = False

    def read_on(self) -> None:
        for event in self.tail.read_all():
            self.gaps += event.seq != self.last_seq + 1
            self.last_seq = event.seq
            self.sessions += isinstance(event, ev.SessionEnded)
            if isinstance(event, ev.StopConfirmed | ev.StopCleared):
                self.stopped = isinstance(event, ev.StopConfirmed)


class Soak:
    """One run, its engines, a console on it, and what is done to them."""

    def __init__(self, stage: Stage, features: int, chance: random.Random) -> None:
        self.stage = stage
        self.features = features
        self.havoc = Havoc(stage, chance)
        self.seen = Seen(Tail(stage.private / "journal.jsonl"))
        self.engines: list[Life] = []
        self.console = Life()
        foreseen = round(features * SESSIONS * SESSION_EVENTS)
        places = range(SESSION_EVENTS, foreseen, EVENTS_A_DEED)
        names = [*DEEDS]
        self._deeds = [
            (place + chance.randrange(EVENTS_A_DEED), names[number % len(names)])
            for number, place in enumerate(places)
        ]
        parts = (chance.uniform(0.02, 0.06), chance.uniform(0.94, 0.98))
        self._kills = [round(foreseen * part) for part in parts]

    def play(self, within: float) -> int | None:
        """Start engines until one ends by itself; its exit code, or None where none has in that time."""
        self.stage.lay_out(self.features)
        deadline = time.monotonic() + within
        engine = self._start()
        self.stage.wait_for(named("session_started"), 60)
        attach = ("attach", str(self.stage.root))
        with open_terminal(*attach, env=self.stage.env, cwd=self.stage.scratch) as console:
            while time.monotonic() < deadline:
                self._accompany(engine, console, deadline)
                if engine.ended and engine.process.returncode != -signal.SIGKILL:
                    return engine.process.returncode
                engine = self._start()
        return None

    def _start(self) -> Command:
        """An engine as a console starts it: while the run is stopped, it waits."""
        options = Options(
            preset="two-agent",
            features=self.features,
            sets=["evaluator=feature", "checkpoints=never"],
            limits={"max_usd": DOLLARS},
            stall_timeout=SILENCE,
        )
        request = Request(
            directory=str(self.stage.root), spec=str(self.stage.spec), options=options, console=True
        )
        return self.stage.start(request.encoded(), "1", program=(sys.executable, "-P", "-m", "tui.launch"))

    def _accompany(self, engine: Command, console: Terminal, deadline: float) -> None:
        """Look at an engine once a second until it has ended, and do what is due."""
        life, before = Life(), self.seen.sessions
        self.engines.append(life)
        while not engine.ended and time.monotonic() < deadline:
            time.sleep(1)
            self.seen.read_on()
            # What is loaded before the first session has ended isn't growth.
            if self.seen.sessions > before:
                life.look(engine.pid)
                self.console.look(console.process.pid)
                self._do_what_is_due(engine)
                self._tell(life)
            console.forget()
        self.seen.read_on()

    def _do_what_is_due(self, engine: Command) -> None:
        if self.stage.stop_file.exists():
            if self.seen.stopped:
                self.stage.stop_file.unlink()
        elif self._kills and self.seen.last_seq > self._kills[0]:
            self._kills.pop(0)
            self.havoc.kill(engine)
        elif self._deeds and self.seen.last_seq > self._deeds[0][0]:
            self.havoc.strike(self._deeds.pop(0)[1])

    # What is told

    def _tell(self, life: Life) -> None:
        """Once a minute, how far it has come."""
        if life.samples and len(self.console.samples) % 60 == 1:
            memory = " ".join(f"{_rss(one.samples[-1:]):.1f}" for one in (life, self.console))
            print(
                f"{self.seen.sessions} sessions, {self.seen.last_seq} events, MiB: {memory}", file=sys.stderr
            )

    def good(self, code: int | None) -> bool:
        whole = code == 0 and self.seen.gaps == self.seen.tail.damaged == 0 and all(self.stage.passing())
        return whole and self.engine.good and self.console.good and not self.stage.alive()

    @property
    def engine(self) -> Life:
        """The engine that lived longest."""
        return max(self.engines, key=lambda life: len(life.samples))

    def faults(self) -> Counter[str]:
        """What was done to it, by kind."""
        assert self.stage.server is not None
        wire = Counter(f"API: {one.fault}" for one in self.stage.server.requests if one.fault)
        return wire + self.havoc.done

    def table(self, code: int | None) -> Iterator[tuple[str, str]]:
        passing = self.stage.passing()
        yield "features that pass", f"{sum(passing)} of {len(passing)}"
        yield "sessions", f"{self.seen.sessions}"
        yield "events", f"{self.seen.last_seq:,}, {self.seen.gaps} gaps, {self.seen.tail.damaged} damaged"
        yield "exit", "none in time" if code is None else str(code)
        yield "engine, from the first tenth on", str(self.engine)
        yield "console, from the first tenth on", str(self.console)
        yield "processes left", str(len(self.stage.alive()))
        for name, count in sorted(self.faults().items()):
            yield name, str(count)


def notation(features: int, chance: random.Random) -> str:
    """A chatty scenario with a fault of the wire every now and then."""
    foreseen = round(features * SESSIONS * SESSION_REQUESTS)
    places = range(SESSION_REQUESTS, foreseen, REQUESTS_A_FAULT)
    faults = [
        f"{chance.choice(ON_THE_WIRE)}:1:{place + chance.randrange(REQUESTS_A_FAULT)}" for place in places
    ]
    return "+".join(["chatter", *faults])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=155, help="about two sessions each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=240, help="stop and judge after that")
    given = parser.parse_args()
    chance, began = random.Random(given.seed), time.monotonic()
    scenario = notation(given.features, chance)
    scratch = Path(tempfile.mkdtemp(prefix="soak-"))
    with open_stage(scratch / "stage", scenario, record=False) as stage:
        soak = Soak(stage, given.features, chance)
        code = soak.play(given.minutes * 60)
        minutes = (time.monotonic() - began) / 60
        rows = [("seed", str(given.seed)), ("minutes", f"{minutes:.0f}"), *soak.table(code)]
        good = soak.good(code)
    for name, value in rows:
        print(f"{name:36}{value}")
    if good:
        shutil.rmtree(scratch)
    print("good" if good else f"bad: what is left is in {scratch}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

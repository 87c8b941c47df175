"""A long rehearsal under random faults of the wire: does it end well, and does the engine stay as it was?

python -m tests.soak --features 300: some hundred sessions; prints figures as JSON, exit 1 where one is bad.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tests.harness import Command, Stage, gapless, named, open_stage

FAULTS = ("429", "500", "529", "cut", "limit-short", "long")
GROWTH = 0.10
"""The part by which the engine's memory may grow after the first tenth of the time."""


@dataclass
class Figures:
    """What one soak came to. Memory is in MiB; `growth` compares the last tenth with the second."""

    features: int
    faults: int
    exit: int
    seconds: float
    events: int
    sessions: int
    gapless: bool
    rss_early: float
    rss_late: float
    growth: float
    descriptors_early: int
    descriptors_late: int
    processes_left: int

    @property
    def good(self) -> bool:
        steady = self.growth < GROWTH and self.descriptors_late <= self.descriptors_early + 8
        return self.exit == 0 and self.gapless and steady and self.processes_left == 0


def notation(features: int, seed: int) -> tuple[str, int]:
    """A scenario of so many features, with a fault at about each twelfth request."""
    chance = random.Random(seed)
    places = range(4, features * 9, 12)
    faults = [f"{chance.choice(FAULTS)}:1:{place + chance.randrange(6)}" for place in places]
    return "+".join(["tiny", *faults]), len(faults)


def watch(stage: Stage, engine: Command, within: float) -> list[tuple[float, int]]:
    """The engine's memory in MiB and its open descriptors, once a second from its first session's end on:
    what is loaded before isn't growth."""
    stage.wait_for(named("session_ended"), within)
    process, seen, deadline = psutil.Process(engine.pid), [], time.monotonic() + within
    while not engine.ended and time.monotonic() < deadline:
        with suppress(psutil.Error):
            seen.append((process.memory_info().rss / (1 << 20), process.num_fds()))
        time.sleep(1)
    return seen


def play(stage: Stage, features: int, faults: int, within: float) -> Figures:
    stage.lay_out(features)
    started = time.monotonic()
    engine = stage.run(features=features)
    seen = watch(stage, engine, within)
    if not engine.ended:
        engine.interrupt()
    code = engine.wait(60)
    tenth = max(1, len(seen) // 10)
    early, late = seen[tenth : 2 * tenth] or seen, seen[-tenth:]
    rss = [sum(memory for memory, _ in part) / len(part) for part in (early, late)]
    events = stage.journal()
    return Figures(
        features=features,
        faults=faults,
        exit=code,
        seconds=round(time.monotonic() - started, 1),
        events=len(events),
        sessions=len(stage.journal(named("session_ended"))),
        gapless=gapless(events),
        rss_early=round(rss[0], 1),
        rss_late=round(rss[1], 1),
        growth=round(rss[1] / rss[0] - 1, 4),
        descriptors_early=max(count for _, count in early),
        descriptors_late=max(count for _, count in late),
        processes_left=len(stage.alive()),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=300, help="about one session each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=240, help="stop and judge after that")
    given = parser.parse_args()
    scenario, faults = notation(given.features, given.seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch, open_stage(Path(scratch), scenario) as stage:
        found = play(stage, given.features, faults, given.minutes * 60)
    print(json.dumps({**asdict(found), "good": found.good}, indent=1))
    return 0 if found.good else 1


if __name__ == "__main__":
    sys.exit(main())

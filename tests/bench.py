"""`make bench`: what the harness adds, measured against the bare SDK, how quick a hook
and the console are.

The same scripted model makes the same calls twice: in sessions that the engine holds, and in sessions of
the bare SDK without hooks. Both run in turns, so that what else the machine does meets both alike.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests import bench_console, bench_hook
from tests.harness import Stage, named, open_stage, until

SESSIONS = 10
CALLS = 12
BARE = Path(__file__).with_name("bench_bare.py")


@dataclass(frozen=True)
class Measured:
    """One run of all sessions: the whole in seconds, and each call by its place, in milliseconds."""

    seconds: float
    calls: Sequence[Sequence[float]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (5)")
    parser.add_argument("--only", choices=("engine", "console", "hook"), help="one of the three")
    bench_console.add_options(parser)
    options = parser.parse_args()
    if options.only in (None, "engine"):
        engine(options.rounds)
    if options.only in (None, "hook"):
        bench_hook.run(4 * options.rounds)
    if options.only in (None, "console"):
        bench_console.run(options)


def engine(rounds: int) -> None:
    """What the harness adds to a session, and how soon it is back after a kill."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folders = (Path(scratch) / str(number) for number in range(10_000))
        overhead(folders, rounds, think_ms=0, at_most=1.15)
        overhead(folders, max(2, rounds // 2), think_ms=300, at_most=1.05)
        resume(folders, rounds)


def overhead(folders: Iterator[Path], rounds: int, think_ms: int, at_most: float) -> None:
    """The engine against the bare SDK: the whole, and what the guards add to a call."""
    print(f"\n{SESSIONS} sessions of {CALLS} tool calls, a model that thinks {think_ms} ms, {rounds} rounds")
    engine, bare = [], []
    for _ in range(rounds):
        bare.append(measure(next(folders), think_ms, under_engine=False))
        engine.append(measure(next(folders), think_ms, under_engine=True))
    mine, theirs = (statistics.median(one.seconds for one in side) for side in (engine, bare))
    spread = ", ".join(f"{one.seconds / other.seconds:.3f}" for one, other in zip(engine, bare, strict=True))
    print(f"  bare SDK   {theirs:7.2f} s")
    print(f"  engine     {mine:7.2f} s   ratio {mine / theirs:.3f} (at most {at_most}); by round: {spread}")
    if think_ms:
        return
    places = list(zip(_by_place(engine), _by_place(bare), strict=True))
    p50 = statistics.median(statistics.median(one) - statistics.median(other) for one, other in places)
    p95 = statistics.median(_p95(one) - _p95(other) for one, other in places)
    print(f"  the guards add to a call: p50 {p50:+.1f} ms, p95 {p95:+.1f} ms (at most 10)")


def _by_place(side: Sequence[Measured]) -> list[Sequence[float]]:
    """The times of the first calls of all sessions, of the second ones, …"""
    return list(zip(*(calls for one in side for calls in one.calls), strict=True))


def _p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


def measure(folder: Path, think_ms: int, *, under_engine: bool) -> Measured:
    """All sessions once, from the start of the process to its end."""
    with open_stage(folder, f"overhead:{think_ms}") as stage:
        stage.lay_out(SESSIONS)
        started = time.monotonic()
        if under_engine:
            code = stage.run(features=SESSIONS).wait(600)
        else:
            command = [sys.executable, str(BARE), str(stage.root), str(SESSIONS)]
            code = subprocess.run(command, env=stage.env, check=False, timeout=600).returncode
        seconds = time.monotonic() - started
        assert code == 0 and all(stage.passing()), f"exit {code}: {stage.passing()}"
        assert stage.server is not None
        asked: dict[str, list[float]] = {}
        for request in stage.server.requests:
            asked.setdefault(request.session, []).append(request.at)
        gaps = [[(b - a) * 1000 for a, b in pairwise(one)] for one in asked.values()]
        assert [len(calls) for calls in gaps] == [CALLS] * SESSIONS, [len(calls) for calls in gaps]
        return Measured(seconds, gaps)


def resume(folders: Iterator[Path], rounds: int) -> None:
    """From a kill of the engine to the first tool call of the next one."""
    took = []
    for _ in range(rounds):
        with open_stage(next(folders), "overhead:0") as stage:
            stage.lay_out(2)
            engine = stage.run(features=2)
            stage.wait_for(named("tool_use"), count=6)
            engine.kill()
            took.append(_first_call(stage))
    listed = ", ".join(f"{seconds:.2f}" for seconds in took)
    middle = statistics.median(took)
    print(f"\nkill -9 to the next engine's first tool call: median {middle:.2f} s (at most 2); {listed}")


def _first_call(stage: Stage) -> float:
    journal = stage.private / "journal.jsonl"
    before = journal.stat().st_size
    started = time.monotonic()
    stage.run(features=2)

    def called() -> bool:
        with journal.open("rb") as stream:
            stream.seek(before)
            return b'"tool_use"' in stream.read()

    until(called, 60, "a tool call after the kill")
    return time.monotonic() - started


if __name__ == "__main__":
    main()

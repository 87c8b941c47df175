"""How quick the console is, seen from outside: a real terminal, real files, real keys.

What is compared runs in turns or at the same time, so that what else the machine does meets both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import shutil
import statistics
import string
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import psutil
from PIL import Image

from harness_core.contract.record import Status
from harness_core.layout import RunDir
from harness_core.machine.lock import RunLock
from harness_core.record import events as ev
from harness_core.record.fold import fold
from tests import bench_journal as made
from tests.harness import environment
from tests.terminal import Terminal, open_terminal

PILL = "running"
STATIC = "a-static-that-says-this"
MINIMAL = f"""
from textual.app import App
from textual.widgets import Static

class Minimal(App):
    def compose(self):
        yield Static("{STATIC}")

Minimal().run()
"""
"""The least that Textual can show."""
PER_SECOND = 2000
LINE = 40
"""Letters that are typed before the line is emptied."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_console", description=__doc__)
    add_options(parser)
    run(parser.parse_args())


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--paints", type=int, default=7, help="rounds of first paints (7)")
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the long run (1000000)")
    parser.add_argument("--changes", type=int, default=40, help="changes of each file (40)")
    parser.add_argument("--seconds", type=float, default=60, help="how long events come (60)")
    parser.add_argument("--parts", default="paint,seen,load,notes", help="paint,seen,load,notes")


def run(options: argparse.Namespace) -> None:
    parts = options.parts.split(",")
    with tempfile.TemporaryDirectory(prefix="bench-console-") as scratch:
        bench = Bench(Path(scratch))
        if "paint" in parts:
            first_paint(bench, options.paints, options.events)
        if "seen" in parts:
            change_to_visible(bench, options.changes)
        if "load" in parts:
            under_load(bench, options.seconds)
        if "notes" in parts:
            large_notes(bench)


@dataclass
class Bench:
    """Where runs are laid out, and what a console finds in its environment."""

    scratch: Path
    env: dict[str, str] = field(init=False)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        (self.scratch / "home").mkdir()
        self.env = environment(self.scratch / "home", self.scratch / "claude")
        # Modules compiled once, as anywhere; also where this environment forbids to keep them.
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)
        self.env["PYTHONPYCACHEPREFIX"] = str(self.scratch / "compiled")

    @contextmanager
    def run_of(self, count: int) -> Iterator[RunDir]:
        """A run with so many events whose engine is alive: this process, which does as if."""
        run = made.lay_out(self.scratch / f"run{next(self._numbers)}", count)
        with RunLock(run):
            yield run

    @contextmanager
    def attached(self, run: RunDir) -> Iterator[Terminal]:
        with open_terminal("attach", str(run.root), env=self.env, cwd=self.scratch) as terminal:
            yield terminal


def say(text: str) -> None:
    print(text, flush=True)


def heading(text: str) -> None:
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    say(f"\n{text}   [load {load} on {os.cpu_count()} cores]")


def p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


def spread(times: Sequence[float]) -> str:
    """Median, 95th percentile and longest, of seconds in milliseconds."""
    return f"{statistics.median(times) * 1000:8.0f} {p95(times) * 1000:8.0f} {max(times) * 1000:8.0f}"


# --- First paint --------------------------------------------------------------------------------------------


def first_paint(bench: Bench, rounds: int, events: int) -> None:
    """From the start of the process to the head's pill and a line of the stream on the screen."""
    heading(f"First paint, {rounds} rounds in turns: median, fastest, slowest in ms")
    with bench.run_of(100) as short, bench.run_of(events) as long:
        kept = long.snapshot.with_name("kept")
        sides: dict[str, list[float]] = {}
        _painted(bench, [sys.executable, "-c", MINIMAL], STATIC)
        _painted_run(bench, short)
        for _ in range(rounds):
            _note(sides, "one Static", _painted(bench, [sys.executable, "-c", MINIMAL], STATIC))
            _note(sides, "100 events", _painted_run(bench, short))
            _note(sides, f"{events:,} events", _painted_run(bench, long))
            os.replace(long.snapshot, kept)
            _note(sides, f"{events:,} without a snapshot", _painted_run(bench, long))
            os.replace(kept, long.snapshot)
        static, little, much, bare = (statistics.median(times) for times in sides.values())
        for name, times in sides.items():
            figures = (statistics.median(times), min(times), max(times))
            say(f"  {name:34}" + " ".join(f"{one * 1000:8.0f}" for one in figures))
        say(f"  long / short {much / little:.2f} (at most 1.3), without a snapshot {bare / little:.2f}")
        say(f"  long / one Static {much / static:.2f}, short / one Static {little / static:.2f} (at most 2)")


def _note(sides: dict[str, list[float]], name: str, value: float) -> None:
    sides.setdefault(name, []).append(value)


def _painted_run(bench: Bench, run: RunDir) -> float:
    program = [Path(sys.executable).with_name("longwatch"), "attach", str(run.root)]
    return _painted(bench, program, PILL, made.LAST_WORDS)


def _painted(bench: Bench, program: Sequence[str | Path], *words: str) -> float:
    started = time.time()
    with open_terminal(program=program, env=bench.env, cwd=bench.scratch) as terminal:
        return max(terminal.drawn_at(word) for word in words) - started


# --- A change and its picture -------------------------------------------------------------------------------

Change = Callable[[int], tuple[str, float]]
"""Makes the change of that number; returns what must be drawn then, and when it was made."""


def change_to_visible(bench: Bench, changes: int) -> None:
    """From a change on disk to its picture, for each pane, beside `watch`."""
    heading(f"File change to visible, {changes} of each in turns: p50, p95, longest in ms")
    with bench.run_of(20_000) as run, bench.run_of(200) as other, ExitStack() as stack:
        hand = Hand(run, other, made.Writer(run, 20_000))
        made.replace(run.notes, made.notes(4000, ["Begun", "Before"]))
        mine = stack.enter_context(bench.attached(run))
        beside = stack.enter_context(bench.attached(other))
        sides: list[tuple[str, Terminal, Change]] = [
            ("stream: an event", mine, hand.says),
            ("features: an event", mine, hand.regresses),
            ("features: the file, outside", beside, hand.contract),
            ("progress: replaced", mine, hand.notes_replaced),
            ("progress: in place", mine, hand.notes_in_place),
            ("git: a commit, outside", mine, hand.commits),
            ("git: an uncommitted file", mine, hand.leaves_file),
            ("evidence: a picture", mine, hand.draws),
        ]
        if shutil.which("watch"):
            watched = ["watch", "-n", "2", "cat", str(hand.watched)]
            opened = open_terminal(program=watched, env=bench.env, cwd=bench.scratch)
            sides.append(("watch -n 2 cat FILE", stack.enter_context(opened), hand.other_file))
        else:
            say("  (`watch` is not installed: it is left out)")
        for terminal in (mine, beside):
            terminal.drawn_at(made.LAST_WORDS)
            terminal.drawn_at("Lay out the flags")
        times: dict[str, list[float]] = {}
        for number in range(changes):
            for name, terminal, change in sides:
                time.sleep(random.uniform(0.1, 0.5))
                words, when = change(number)
                _note(times, name, terminal.drawn_at(words) - when)
        for name, taken in times.items():
            say(f"  {name:30}{spread(taken)}{'' if 'watch' in name else '   (p95 at most 120)'}")


@dataclass
class Hand:
    """Changes a run's files as an engine, an agent or somebody outside does."""

    run: RunDir
    other: RunDir
    writer: made.Writer
    files: int = 1
    """That git doesn't know."""

    @property
    def watched(self) -> Path:
        return self.run.root.parent / "watched.md"

    def says(self, number: int) -> tuple[str, float]:
        when = time.time()
        self.writer.append(ev.Text(text=f"stream{number:04}said"))
        return f"stream{number:04}said", when

    def regresses(self, number: int) -> tuple[str, float]:
        # What regressed stands first, by its place in the contract: the last features go first.
        feature = made.FEATURES - number
        when = time.time()
        self.writer.append(
            ev.FeatureChanged(
                feature=f"F{feature:03d}", from_=Status.FAILING, to=Status.REGRESSED, by="operator"
            )
        )
        return f"{feature}-th flag", when

    def contract(self, number: int) -> tuple[str, float]:
        data = made.contract(f"contract{number:04}")
        when = time.time()
        made.replace(self.other.contract, data)
        return f"contract{number:04}", when

    def notes_replaced(self, number: int) -> tuple[str, float]:
        data = made.notes(4000, [f"replaced{number:04}", "Before"])
        when = time.time()
        made.replace(self.run.notes, data)
        return f"replaced{number:04}", when

    def notes_in_place(self, number: int) -> tuple[str, float]:
        data = made.notes(4000, [f"inplace{number:04}", "Before"])
        when = time.time()
        self.run.notes.write_bytes(data)
        return f"inplace{number:04}", when

    def commits(self, number: int) -> tuple[str, float]:
        subject = f"commit{number:04}"
        command = ["git", "commit", "-q", "--allow-empty", "-m", subject]
        who = [part for one in ("user.name=Ada", "user.email=ada@example.org") for part in ("-c", one)]
        subprocess.run([command[0], *who, *command[1:]], cwd=self.run.root, check=True)
        # The commit is there when its branch is: git itself goes on for a while.
        return subject, (self.run.root / ".git" / "refs" / "heads" / "main").stat().st_mtime

    def leaves_file(self, number: int) -> tuple[str, float]:
        self.files = _uncommitted(self.run.root) + 1
        when = time.time()
        (self.run.root / f"new{number:04}.txt").write_text("new\n")
        return f"{self.files} files changed", when

    def draws(self, number: int) -> tuple[str, float]:
        prepared = self.run.root.parent / "prepared.png"
        Image.new("RGB", (320, 200), (number * 5 % 256, 90, 160)).save(prepared)
        data = prepared.read_bytes()
        when = time.time()
        (self.run.evidence / f"shot{number:04}.png").write_bytes(data)
        return f"shot{number:04}", when

    def other_file(self, number: int) -> tuple[str, float]:
        # `watch` draws only the characters that differ: so all of them do.
        letters = string.ascii_lowercase[number % 2 :: 2]
        words = "".join(random.sample(letters, len(letters)))
        when = time.time()
        made.replace(self.watched, f"{words}\n".encode())
        return words, when


def _uncommitted(root: Path) -> int:
    listed = subprocess.run(
        ["git", "--no-optional-locks", "status", "--porcelain"], cwd=root, check=True, capture_output=True
    )
    return listed.stdout.count(b"\n")


# --- Keys -----------------------------------------------------------------------------------------------


class Typist:
    """Types into the composer and notes when each letter has been drawn."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.times: list[float] = []

    def begin(self) -> None:
        before = len(self.terminal.bytes)
        self.terminal.press("s")
        self.terminal.drawn_at("Steer the agent", before)

    def type_for(self, seconds: float) -> None:
        end = time.time() + seconds
        while time.time() < end:
            typed = ""
            while len(typed) < LINE and time.time() < end:
                typed += random.choice("abcdefghijklmnopqrstuvwxyz")
                before, when = len(self.terminal.bytes), time.time()
                self.terminal.type(typed[-1])
                # The first letters alone stand elsewhere on the screen, too.
                if len(typed) > 8:
                    self.times.append(self.terminal.drawn_at(typed[-8:], before) - when)
                time.sleep(random.uniform(0.02, 0.12))
            self.terminal.type("\x15")
            time.sleep(0.2)

    def leave(self) -> None:
        self.terminal.press("escape")


# --- Many events ------------------------------------------------------------------------------------------


class Stream(threading.Thread):
    """Appends events to a journal at a steady rate, as long as it is let."""

    def __init__(self, run: RunDir, seq: int, per_second: int) -> None:
        super().__init__(daemon=True)
        self._writer = made.Writer(run, seq)
        self._rate = per_second
        self._goes = threading.Event()
        self._over = threading.Event()
        self._idle = threading.Event()
        self.written = self.told = self.costs = 0
        """Events; of these, those with a line of their own; and those that cost a cent."""

    def run(self) -> None:
        work = made.work()
        while not self._over.is_set():
            if not self._goes.wait(0.05):
                continue
            self._idle.clear()
            began, done = time.monotonic(), 0
            while self._goes.is_set():
                due = int((time.monotonic() - began) * self._rate) - done
                self._append(work, due)
                done += due
                time.sleep(0.01)
            self._idle.set()

    def _append(self, work: Iterator[ev.Event], count: int) -> None:
        happened = [self._counted(next(work)) for _ in range(count)]
        if happened:
            self._writer.append(*happened)

    def _counted(self, event: ev.Event) -> ev.Event:
        self.written += 1
        if isinstance(event, ev.Cost):
            self.costs += 1
            return ev.Cost(usd=0.01, tokens=1, phase="build", turns=1)
        self.told += not isinstance(event, ev.ToolResult)
        return event

    def go(self) -> None:
        self._goes.set()

    def pause(self) -> None:
        """Returns when the last event is written."""
        self._goes.clear()
        self._idle.wait()

    def say(self, words: str) -> None:
        """Write one more event that says so; only while nothing else is written."""
        self.written += 1
        self.told += 1
        self._writer.append(ev.Text(text=words))

    def end(self) -> None:
        self._over.set()
        self.join()


def under_load(bench: Bench, seconds: float) -> None:
    """Events as fast as no agent makes them, and an operator who types."""
    heading(f"{PER_SECOND} events/s for {seconds:g} s: key to echo in ms: p50, p95, longest")
    with bench.run_of(100) as run, bench.attached(run) as terminal:
        terminal.drawn_at(made.LAST_WORDS)
        before_usd = fold(run).usd
        quiet, follows, stands = (Typist(terminal) for _ in range(3))
        quiet.begin()
        quiet.type_for(min(10, seconds))
        quiet.leave()
        stream = Stream(run, 100, PER_SECOND)
        stream.start()
        memory = Memory(terminal.process.pid)
        memory.start()
        began = time.monotonic()
        _type_during(follows, stream, seconds / 2)
        stream.say("half-of-it-is-done")
        terminal.drawn_at("half-of-it-is-done")
        before_leaving = len(terminal.bytes)
        terminal.press("1", "k")
        # What comes until the stream stands still is seen, not counted.
        terminal.drawn_at("% · ", before_leaving)
        before = stream.told
        _type_during(stands, stream, seconds / 2)
        took = time.monotonic() - began
        stream.end()
        memory.end()
        for name, typist in (("no events", quiet), ("following", follows), ("scrolled up", stands)):
            say(f"  {name:14}{spread(typist.times)}   {len(typist.times)} keys (p95 at most 50)")
        say(f"  written {stream.written:,} in {took:.0f} s")
        new = stream.told - before
        say(f"  {_drawn(terminal, f'+{new:,} new')}: the stream counts {new:,} new")
        dollars = f"${before_usd + stream.costs / 100:.2f} of"
        say(f"  {_drawn(terminal, dollars)}: the head counts {stream.costs:,} events of a cent each")
        say(f"  resident memory: {memory}")


def _type_during(typist: Typist, stream: Stream, seconds: float) -> None:
    stream.go()
    typist.begin()
    typist.type_for(seconds)
    stream.pause()
    typist.leave()


def _drawn(terminal: Terminal, words: str) -> str:
    """Whether these words come to be seen."""
    try:
        terminal.drawn_at(words)
    except AssertionError:
        return "LOST"
    return "none lost"


class Memory(threading.Thread):
    """The resident memory of a process, looked at twice a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._sizes: list[float] = []

    def run(self) -> None:
        while not self._over.wait(0.5):
            self._sizes.append(self._process.memory_info().rss / 2**20)

    def end(self) -> None:
        self._over.set()
        self.join()

    def __str__(self) -> str:
        warm = self._sizes[min(10, len(self._sizes) - 1)]
        last, most = self._sizes[-1], max(self._sizes)
        return (
            f"{warm:.1f} MB after 5 s, {last:.1f} MB at the end, {most:.1f} MB at most: "
            f"grown by {last - warm:.1f} MB (less than 20)"
        )


# --- Large notes ----------------------------------------------------------------------------------------

NOTES_SIZE = 200_000
SETTLING = 4.0
STEP = 0.002


def large_notes(bench: Bench, seconds: float = 20) -> None:
    """Notes of 200 KB that are written anew each second: how long the loop stands still, how keys feel."""
    heading(f"{NOTES_SIZE // 1000} KB PROGRESS.md each second for {seconds:g} s, in ms: p50, p95, longest")
    with bench.run_of(1000) as run:
        for name, at_top, rewrites in (
            ("left alone", True, False),
            ("new on top", True, True),
            ("all new", False, True),
        ):
            made.replace(run.notes, made.notes(NOTES_SIZE, ["Begun"]))
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                beating = pool.submit(heartbeats, run, SETTLING, seconds)
                time.sleep(SETTLING)
                _rewrite(run, seconds if rewrites else 0, at_top=at_top)
                stalls = sorted(beating.result())
            over = sum(stall > 0.05 for stall in stalls)
            say(f"  the loop stands still, {name:12}{spread(stalls)}   {over} over 50 (none)")
        with bench.attached(run) as terminal:
            terminal.drawn_at(made.LAST_WORDS)
            typist = Typist(terminal)
            typist.begin()
            rewriter = threading.Thread(target=_rewrite, args=(run, seconds), kwargs={"at_top": True})
            rewriter.start()
            typist.type_for(seconds)
            rewriter.join()
        say(f"  key to echo meanwhile             {spread(typist.times)}   {len(typist.times)} keys")


def _rewrite(run: RunDir, seconds: float, *, at_top: bool) -> None:
    for number in range(int(seconds)):
        sections = [f"Note {number}", "Begun"]
        size = NOTES_SIZE if at_top else NOTES_SIZE + 37 * number
        made.replace(run.notes, made.notes(size, sections))
        time.sleep(1)


def heartbeats(run: RunDir, settling: float, seconds: float) -> list[float]:
    """How much too late the console's loop comes to each of many short waits."""
    from tui.console.app import Console  # noqa: PLC0415

    async def beat() -> list[float]:
        late: list[float] = []
        async with Console(run).run_test(size=(120, 40)):
            await asyncio.sleep(settling)
            end = time.monotonic() + seconds
            while (before := time.monotonic()) < end:
                await asyncio.sleep(STEP)
                late.append(max(0.0, time.monotonic() - before - STEP))
        return late

    return asyncio.run(beat())


if __name__ == "__main__":
    main()

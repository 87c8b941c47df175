"""Plays a past run: its events come one after the other as they did then, at any speed.

A thread moves the clock. What happened up to then it writes into the journal of a `Stage`, which is read as
any journal is; so what shows a run needs to know nothing of a replay, and can't see what came later.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime

from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.reading.burnup import seconds
from harness_core.reading.sieve import Sieve
from harness_core.record import events as ev
from harness_core.record.journal import MAX_LINE, seq_before
from tui.console.facts import Past
from tui.console.replay_stage import Stage

SLOWEST, FASTEST = 0.125, 1024.0
LONGEST = 3.0
"""Seconds after which the next event comes, however long nothing happened then."""
_BACK = 60.0
TICK = 1 / 30
NOTED = 3.0
"""Seconds for which something that is to be said is shown."""
AT_ONCE = 1 << 20
"""Bytes that are written in one go."""
JUMPS: dict[str, tuple[str, tuple[type[ev.Event], ...]]] = {
    "session": ("session", (ev.SessionStarted,)),
    "denial": ("denial", (ev.GuardDecision,)),
    "verdict": ("verdict", (ev.Verdict,)),
    "error": (
        "error",
        (ev.Error, ev.LimitReached, ev.StallDetected, ev.LoopDetected, ev.ContractTampered),
    ),
}
"""What one can jump to: how it is called, and the events that are it."""
_STAGED = (ev.RunStarted, ev.Commit, ev.ContractFrozen, ev.CheckpointOpened, ev.EvidenceCaptured)
_MARKS = tuple(f'{{"type":"{kind.__struct_config__.tag}"'.encode() for kind in _STAGED)


class Replay:
    """One run's replay. Everything may be called from any thread; what it does, its own thread does."""

    def __init__(self, run: RunDir, speed: float) -> None:
        """Raises Mistake for a run of which there is nothing to play, OSError for one that can't be read."""
        self._source = run.journal
        self._stream = run.journal.open("rb") if run.journal.exists() else None
        self._next = self._last = self._read_line() or b""
        if not self._next:
            raise Mistake(f"{run.root} has no journal to play: name a run of Longwatch's own")
        self._stage = Stage(run)
        self.run = self._stage.run
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._speed = speed
        self._playing = True
        self._offset = 0
        self._seq = 0
        self._clock = _time_of(self._next) or 0.0
        self._waited = 0.0
        self._noted = ("", 0.0)
        """What is to be said, and since when."""
        self._size = self._whole = 0
        """The run's journal in bytes, and in events."""
        self._thread = threading.Thread(target=self._work, name="replay", daemon=True)
        self.past = self._now()
        """Where it is; a new object whenever that changes."""

    # --- For whoever watches --------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to play."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, wait for it, and take away what was played."""
        self._orders.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        self._stage.close()

    def toggle(self) -> None:
        """Pause, or go on."""
        self._orders.put(self._toggle)

    def faster(self, factor: float) -> None:
        """Change the speed."""
        self._orders.put(lambda: self._set_speed(self._speed * factor))

    def jump(self, what: str) -> None:
        """Go to the next one of `JUMPS`, and pause there."""
        self._orders.put(lambda: self._jump(what))

    # --- The thread -----------------------------------------------------------------------------------

    def _work(self) -> None:
        before = time.monotonic()
        while True:
            try:
                order = self._orders.get(timeout=TICK)
            except queue.Empty:
                now = time.monotonic()
                if self._playing:
                    self._advance(now - before)
            else:
                if order is None:
                    return
                order()
                now = time.monotonic()
            before = now
            past = self._now()
            if past != self.past:
                self.past = past

    def _toggle(self) -> None:
        self._playing = not self._playing
        self._say("")

    def _set_speed(self, speed: float) -> None:
        self._speed = min(FASTEST, max(SLOWEST, speed))

    def _jump(self, what: str) -> None:
        name, kinds = JUMPS[what]
        ahead = Sieve(self._source, *kinds, offset=self._offset)
        found = next(ahead.read(), None)
        if found is None:
            self._say(f"no {name} comes after this")
            return
        self._say(f"went to the next {name}")
        self._play(lambda: self._offset < ahead.offset)
        self._clock = seconds(found.ts) or self._clock
        self._playing, self._waited = False, 0.0

    def _advance(self, passed: float) -> None:
        """Let time pass, and what happened in it happen."""
        self._clock += passed * self._speed
        self._waited += passed
        if not self._next:
            self._next = self._read_line()
        if self._next and (self._due() or self._waited >= LONGEST):
            self._waited = 0.0
            self._play(self._due)

    def _due(self) -> bool:
        """Whether the next event had happened by now; one that names no time had."""
        at = _time_of(self._next)
        return at is None or at <= self._clock

    def _play(self, goes_on: Callable[[], bool]) -> None:
        """Let the next event happen, and those after it as long as it goes on."""
        written = bytearray()
        first = True
        while self._next and (first or goes_on()):
            first = False
            line = self._next
            written += line
            self._offset += len(line)
            if line.startswith(_MARKS):
                self._stage.prepare(_event(line) or ev.Event())
            self._last = line
            self._next = self._read_line()
            if len(written) >= AT_ONCE:
                self._write(written)
        self._write(written)
        event = _event(self._last)
        if event is not None:
            self._seq = event.seq
            at = seconds(event.ts) or self._clock
            # Behind it, the clock has only run on; far behind it, the run's own clock went back.
            self._clock = at if not 0 <= self._clock - at < _BACK else self._clock

    def _write(self, written: bytearray) -> None:
        self._stage.settle()
        with self.run.journal.open("ab") as journal:
            journal.write(written)
        written.clear()

    def _read_line(self) -> bytes:
        """The next whole line of the run's journal, b"" where there is none; it may come later where the run
        goes on."""
        if self._stream is None:
            return b""
        line = self._stream.readline(MAX_LINE)
        if line.endswith(b"\n") or len(line) == MAX_LINE:
            return line
        self._stream.seek(-len(line), os.SEEK_CUR)
        return b""

    def _say(self, note: str) -> None:
        self._noted = note, time.monotonic()

    def _now(self) -> Past:
        size = os.fstat(self._stream.fileno()).st_size if self._stream else 0
        if size != self._size:
            self._size, self._whole = size, seq_before(self._source, size) or self._whole
        note, since = self._noted
        return Past(
            clock=datetime.fromtimestamp(int(self._clock)).strftime("%Y-%m-%d %H:%M:%S"),
            speed=self._speed,
            playing=self._playing,
            share=self._offset / size if size else 1.0,
            seq=self._seq,
            last=self._whole,
            ended=not self._next,
            note=note if time.monotonic() - since < NOTED else "",
        )


def _event(line: bytes) -> ev.Event | None:
    try:
        return ev.decode(line)
    except ev.BadEvent:
        return None


def _time_of(line: bytes) -> float | None:
    event = _event(line)
    return seconds(event.ts) if event is not None else None

"""Listens to a run's events and sends messages, from a thread of its own: nothing here holds an engine up."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from types import TracebackType

from harness_core.errors import LongwatchError
from harness_core.notify.channels import WITHIN, Channel
from harness_core.notify.messages import Kind, Message, Throttle, message, of_event
from harness_core.record import events as ev

FAILURES_EVERY = 0.5
"""Seconds between two looks at what didn't leave."""
END_WITHIN = WITHIN + 2
"""Seconds that an engine waits at its end for the last messages to leave."""


class Notifier:
    """Give it each event of a run, from one thread; used as a context, it sends the last ones at the end."""

    def __init__(self, run: str, channels: Sequence[Channel]) -> None:
        self._run = run
        self._channels = channels
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._failed: set[str] = set()
        self._thread: threading.Thread | None = None
        self._troubles: queue.SimpleQueue[ev.Error] = queue.SimpleQueue()

    def __enter__(self) -> Notifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._take(message(Kind.FAILED, self._run, f"the engine broke down ({type(error).__name__})"))
        if self._thread is not None:
            self._messages.put(None)
            self._thread.join(END_WITHIN)

    def hear(self, event: ev.Event) -> None:
        """Take notice of an event."""
        if (found := of_event(event, self._run)) is not None:
            self._take(found)

    def tell_failures(self, emit: Callable[[ev.Error], object]) -> None:
        """Give `emit` what didn't leave since the last call: of each channel once until it works again."""
        with contextlib.suppress(queue.Empty, OSError, LongwatchError):
            while True:
                emit(self._troubles.get_nowait())

    async def watch_failures(self, emit: Callable[[ev.Error], object]) -> None:
        """Do that until cancelled, in the thread that the journal belongs to."""
        while True:
            await asyncio.sleep(FAILURES_EVERY)
            self.tell_failures(emit)

    def _take(self, found: Message) -> None:
        if not self._channels:
            return
        self._messages.put(found)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="notify", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        throttle = Throttle()
        with ThreadPoolExecutor(len(self._channels), "notify") as pool:
            while True:
                try:
                    found = self._messages.get(timeout=throttle.wait(time.monotonic()))
                except queue.Empty:
                    self._send(pool, throttle.due(time.monotonic()))
                    continue
                if found is None:
                    self._send(pool, throttle.rest())
                    return
                self._send(pool, throttle.offer(found, time.monotonic()))

    def _send(self, pool: ThreadPoolExecutor, ready: Sequence[Message]) -> None:
        for one in ready:
            ways = self._channels
            for way, why in zip(ways, pool.map(Channel.tell, ways, repeat(one)), strict=True):
                self._note(way, why)

    def _note(self, channel: Channel, why: str) -> None:
        if not why:
            self._failed.discard(channel.name)
        elif channel.asked and channel.name not in self._failed:
            self._failed.add(channel.name)
            said = f"a message by [notify] {channel.name} didn't leave: {why}"
            self._troubles.put(ev.Error(message=said, kind="notify"))

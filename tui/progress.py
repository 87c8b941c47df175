"""How far an agent is with writing the contract: one call of minutes, of which no event says anything."""

from __future__ import annotations

import contextlib
import threading
import time
from types import TracebackType

from harness_core.layout import RunDir
from harness_core.record.status import being_written
from tui.stream import StreamPrinter

LOOK_EVERY = 0.2
"""Seconds between two looks at what is being typed."""
LINE_EVERY = 10.0
"""Seconds between two lines about it, where the output is no terminal."""


class Progress:
    """Tells on a printer how many features are written, while the block under `with` lasts."""

    def __init__(self, run: RunDir, printer: StreamPrinter) -> None:
        self._run = run
        self._printer = printer
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._said = ""
        self._said_at = -LINE_EVERY

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            while not self._over.wait(LOOK_EVERY):
                self._tell(self._look())
            self._printer.status("")

    def _tell(self, text: str) -> None:
        if self._printer.has_status:
            self._printer.status(text)
        elif text not in ("", self._said) and time.monotonic() - self._said_at >= LINE_EVERY:
            self._said, self._said_at = text, time.monotonic()
            self._printer.note(text)

    def _look(self) -> str:
        found = being_written(self._run)
        return f"  features written: {found.written} of {found.of}" if found and found.written else ""

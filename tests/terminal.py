"""A real pseudo-terminal with the console in it: keys go in, and every byte that comes out is kept."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.harness import LONGWATCH, until

KEYS = {"enter": "\r", "escape": "\x1b", "tab": "\t", "ctrl+j": "\n"}
_SEQUENCE = re.compile(
    rb"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[PX^_].*?\x1b\\|\x1b[ -~]", re.S
)


class Terminal:
    """One command in a terminal of its own."""

    def __init__(
        self, command: Sequence[str | Path], env: Mapping[str, str], cwd: Path, size: tuple[int, int]
    ) -> None:
        self.bytes = bytearray()
        self.arrivals: list[tuple[float, int]] = []
        """When something was drawn, in seconds since the epoch, and how many bytes there were then."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**env, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            cwd=cwd,
            start_new_session=True,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        # At its end a pseudo-terminal gives an error, not an empty read.
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 65536):
                self.bytes += data
                self.arrivals.append((time.time(), len(self.bytes)))

    def press(self, *keys: str) -> None:
        """Send keys, each by itself: escape at the beginning of another key would make another key of it."""
        for key in keys:
            os.write(self._master, KEYS.get(key, key).encode())
            time.sleep(0.05 if key != "escape" else 0.3)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def forget(self) -> None:
        """Let go of what was drawn so far: hours of it fill the memory."""
        self.bytes.clear()
        self.arrivals.clear()

    @property
    def text(self) -> str:
        """All that was ever drawn, without what steers the terminal."""
        return _SEQUENCE.sub(b"", bytes(self.bytes)).decode(errors="replace")

    def wait_for(self, words: str, within: float = 30, after: int = 0) -> int:
        """Wait until these words have been drawn in one piece; returns how much had been drawn by then."""

        def drawn() -> int:
            place = self.text.find(words, after)
            return place + len(words) if place >= 0 else 0

        found: int = until(drawn, within, f"{words!r} on the screen, whose last is {self.text[-1500:]!r}")
        return found

    def drawn_at(self, words: str, after: int = 0, within: float = 30) -> float:
        """When these words were drawn, in one style and after so many bytes, in seconds since the epoch."""
        wanted, deadline = words.encode(), time.time() + within
        while (place := self.bytes.find(wanted, after)) < 0:
            if time.time() > deadline:
                raise AssertionError(f"not drawn within {within} s: {words!r}, but {self.text[-1500:]!r}")
            time.sleep(0.002)
        until(lambda: self.arrivals[-1][1] >= place + len(wanted), 1, "the reader notes what it has read")
        return self.arrivals[bisect_left(self.arrivals, place + len(wanted), key=lambda one: one[1])][0]

    def wait(self, within: float = 30) -> int:
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {within} s: {self.text[-1500:]!r}") from None
        finally:
            self._reader.join(2)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(2)
        os.close(self._master)


@contextlib.contextmanager
def open_terminal(
    *arguments: str,
    env: Mapping[str, str],
    cwd: Path,
    size: tuple[int, int] = (120, 40),
    program: Sequence[str | Path] = (LONGWATCH,),
) -> Iterator[Terminal]:
    """`program ARGUMENTS` in a terminal; it is gone when this ends."""
    terminal = Terminal([*program, *arguments], env, cwd, size)
    try:
        yield terminal
    finally:
        terminal.close()

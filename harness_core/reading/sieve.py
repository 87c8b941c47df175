"""Reads of a journal only the events of a few types: fast enough for a million of others between them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from harness_core.record import events as ev
from harness_core.record.journal import MAX_LINE

_BLOCK = 1 << 20
_REST = 0.001
"""Seconds after each block in which other threads get their turn."""


class Sieve:
    """Reads on from where the last read ended. A first read goes through all of it: do it in a thread."""

    def __init__(self, path: Path, *types: type[ev.Event], offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        tags = (kind.__struct_config__.tag for kind in types)
        # An event's line begins with its type: that is how the journal writes it.
        self._starts = tuple(f'{{"type":"{tag}"'.encode() for tag in tags)

    @property
    def behind(self) -> bool:
        """Whether there may be something to read."""
        with contextlib.suppress(OSError):
            return self.path.stat().st_size > self.offset
        return False

    def read(self) -> Iterator[ev.Event]:
        """The events of those types up to the file's present end. None where it can't be read."""
        with contextlib.suppress(OSError), self.path.open("rb", buffering=_BLOCK) as stream:
            stream.seek(self.offset)
            rest = self.offset + _BLOCK
            while (text := stream.readline(MAX_LINE)).endswith(b"\n"):
                self.offset += len(text)
                if self.offset > rest:
                    rest = self.offset + _BLOCK
                    time.sleep(_REST)
                if text.startswith(self._starts):
                    with contextlib.suppress(ev.BadEvent):
                        yield ev.decode(text)

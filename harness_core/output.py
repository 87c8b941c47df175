"""What an engine says outside its journal: events as lines of JSON, and sentences for whoever started it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from harness_core.record import events
from harness_core.safe import one_line, safe_json


def json_line(event: events.Event) -> str:
    """The event's line in the journal, as the same JSON document with nothing in it that acts on a screen."""
    return safe_json(events.encode(event).decode())


def print_event(event: events.Event) -> None:
    """Write the event's line to standard output."""
    sys.stdout.buffer.write(json_line(event).encode())
    sys.stdout.buffer.flush()


def unhindered(show: Callable[[events.Event], None]) -> Callable[[events.Event], None]:
    """`show` for an engine: that the reader of its output has gone away is no reason to stop."""

    def shown(event: events.Event) -> None:
        try:
            show(event)
        except BrokenPipeError:
            give_up_output()

    return shown


def give_up_output() -> None:
    """Let what is still written to standard output go nowhere: nobody reads it any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(sentence: str) -> None:
    """Say something to whoever started this process, on one line of standard error."""
    print(one_line(sentence), file=sys.stderr, flush=True)

"""The engine alone: `python -m harness_core REQUEST`, where REQUEST is a `start.Request` as JSON.

Prints the events as they are journaled, one JSON object a line. The console starts its engines so.
"""

from __future__ import annotations

import sys

import msgspec

from harness_core import events
from harness_core.errors import Exit, LongwatchError


def main(arguments: list[str]) -> int:
    from harness_core.start import Request, run  # noqa: PLC0415  (its imports take longer than a usage error)

    if len(arguments) != 1:
        print(
            "usage: python -m harness_core REQUEST (a JSON object with at least `directory`)", file=sys.stderr
        )
        return Exit.MISTAKE
    try:
        request = msgspec.json.decode(arguments[0], type=Request)
    except msgspec.DecodeError as error:
        print(f"the request can't be read: {error}", file=sys.stderr)
        return Exit.MISTAKE
    try:
        return run(request, [print_event])
    except LongwatchError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def print_event(event: events.Event) -> None:
    """Write the event's line to standard output; a reader that has gone away is no reason to stop."""
    try:
        sys.stdout.buffer.write(events.encode(event))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

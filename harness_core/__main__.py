"""The engine alone: `python -m harness_core REQUEST`, where REQUEST is a `request.Request` as JSON.

Prints the events as they are journaled, one JSON object a line.
"""

from __future__ import annotations

import sys

import msgspec

from harness_core.errors import Exit, LongwatchError, refused_by_system
from harness_core.output import print_event, tell, unhindered
from harness_core.request import Request


def main(arguments: list[str]) -> int:
    from harness_core.start import run  # noqa: PLC0415  (its imports take longer than a usage error)

    if len(arguments) != 1:
        tell("usage: python -m harness_core REQUEST (a JSON object with at least `directory`)")
        return Exit.MISTAKE
    try:
        request = msgspec.json.decode(arguments[0], type=Request)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        tell(f"the request can't be read ({error}): give a JSON object with at least `directory`")
        return Exit.MISTAKE
    try:
        return run(request, [unhindered(print_event)])
    except LongwatchError as error:
        tell(str(error))
        return error.exit_code
    except OSError as error:
        tell(refused_by_system(error))
        return Exit.FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

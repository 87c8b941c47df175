"""`longwatch hook DIR [--jsonl]`: payloads on standard input, answers on standard output.

Whatever goes wrong in here denies: a call that can't be judged doesn't run. Nothing is loaded that a call
doesn't need, since a session waits for each of these.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from harness_core.errors import LongwatchError, Mistake
from harness_core.layout import RunDir

USAGE = "hook takes DIR and, for one payload a line, --jsonl: see `longwatch hook --help`"
WITHIN = 20
"""Seconds for one payload; then it is denied."""
_AT_LAST = 25
"""Seconds after which this process ends however it hangs; the installed command makes that a denial."""
_MOST = 64 << 20


class TookTooLong(Exception):
    """A payload that wasn't answered in time."""


def main(arguments: list[str]) -> int:
    """Answer what comes in; the exit code: 0, or 2 where a payload can't be answered, which blocks."""
    try:
        run, lines = _asked(arguments)
    except LongwatchError as error:
        return _refuse(str(error))
    signal.signal(signal.SIGALRM, _too_long)
    if lines:
        return _line_by_line(run)
    data = sys.stdin.buffer.read(_MOST)
    said = _answered(run, data)
    if said is None:
        return _refuse("the hook's payload isn't a JSON object with a hook_event_name: nothing may run on it")
    _print(said)
    return 0


def _asked(arguments: list[str]) -> tuple[RunDir, bool]:
    lines = "--jsonl" in arguments
    rest = [word for word in arguments if word != "--jsonl"]
    if len(rest) != 1 or rest[0].startswith("-"):
        raise Mistake(USAGE)
    if not rest[0].strip():
        raise Mistake("DIR is empty: name the directory that the session works in")
    run = RunDir.at(rest[0])
    if not run.root.is_dir():
        raise Mistake(f"{run.root} is no directory: name the one that the session works in")
    return run, lines


def _line_by_line(run: RunDir) -> int:
    gc.enable()
    for line in sys.stdin.buffer:
        if line.strip():
            said = _answered(run, line)
            _print(
                _denial("the hook's payload isn't a JSON object with a hook_event_name")
                if said is None
                else said
            )
    return 0


def _answered(run: RunDir, data: bytes) -> Mapping[str, Any] | None:
    """The answer to one payload; None when it isn't even known what it asks."""
    payload = _decoded(data)
    event = payload.get("hook_event_name") if payload is not None else None
    if payload is None or not isinstance(event, str):
        return None
    signal.alarm(WITHIN)
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(_AT_LAST, exit=True, file=nowhere)
        try:
            from harness_core.hooks.turn import answer  # noqa: PLC0415  (within what is caught and timed)

            return answer(run, payload)
        except Exception as error:
            return _failed(event, error)
        finally:
            signal.alarm(0)
            faulthandler.cancel_dump_traceback_later()


def _decoded(data: bytes) -> dict[str, Any] | None:
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def _failed(event: str, error: Exception) -> Mapping[str, Any]:
    """What a failure comes to: a call that may not run, or a word to the user where nothing is to be held."""
    known = isinstance(error, LongwatchError | ValueError | OSError | TookTooLong)
    why = " ".join(str(error).split()) if known else type(error).__name__
    reason = f"Longwatch's hook failed ({why or type(error).__name__}), so no tool may run."
    return _denial(reason) if event == "PreToolUse" else {"systemMessage": reason}


def _denial(reason: str) -> Mapping[str, Any]:
    return {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": "deny",
            "permissionDecisionReason": reason,
        }
    }


def _too_long(*_: object) -> None:
    raise TookTooLong(f"it took more than {WITHIN} s")


def _print(said: Mapping[str, Any]) -> None:
    # ASCII alone: what the answer quotes can do nothing to a terminal.
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"longwatch: {ascii(sentence)[1:-1]}\n")
    return 2

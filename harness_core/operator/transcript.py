"""What the lines of the CLI's own record of a session are."""

from __future__ import annotations

import json

SAID = ("user", "attachment")
"""The kinds of lines by which something is said to the agent. A prompt is noted before that, as one that
waits its turn; a CLI that dies in between never says it."""
ANSWERED = ("assistant",)


def kind_of(line: bytes) -> str:
    """The kind of a line; "" for what is none, such as one that was cut off."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    kind = found.get("type") if isinstance(found, dict) else None
    return kind if isinstance(kind, str) else ""

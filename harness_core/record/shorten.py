"""Texts of a tool's input, cut to what a line of the journal has room for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

INPUT_TEXT = 8000
"""Longest text of a tool's input that stands in a journal line; the session's trace has the whole."""


def shortened(value: Any, redacted: Callable[[str], str]) -> Any:
    """`value` with its long texts cut; secrets go first, since half of one isn't known as one."""
    if isinstance(value, str):
        value = redacted(value)
        more = len(value) - INPUT_TEXT
        return value if more <= 0 else f"{value[:INPUT_TEXT]}… [{more} more characters]"
    if isinstance(value, Mapping):
        return {redacted(str(key)): shortened(item, redacted) for key, item in value.items()}
    if isinstance(value, list):
        return [shortened(item, redacted) for item in value]
    return value

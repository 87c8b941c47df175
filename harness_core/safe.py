"""The one door for text from outside: agents, files, commits, logs. What comes out can't act on a screen.

It stands here, not with the console, because an engine without one has a standard output too.
"""

from __future__ import annotations

import json

_KEPT = {"\n", "\t"}
_HIDDEN = {
    **{code: None for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if chr(code) not in _KEPT},
    **{
        code: None
        for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0xFEFF)
    },
    **{code: None for code in (*range(0xE0000, 0xE0080), 0x2028, 0x2029)},
}
"""Control characters of both sets, and those that reorder or hide what a reader sees."""
_ESCAPED = {code: json.dumps(chr(code))[1:-1] for code in _HIDDEN if code >= 0x20 and code != 0x7F} | {
    0x7F: "\\u007f"
}
"""JSON has the lower control characters escaped already."""


def safe(text: str) -> str:
    """`text` with only visible characters, line breaks and tabs."""
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_HIDDEN).encode("utf-8", "replace").decode()


def safe_json(text: str) -> str:
    """JSON that means the same, with what `safe` takes away written as escapes."""
    return text.translate(_ESCAPED)


def one_line(text: str, width: int = 0) -> str:
    """`safe` on a single line; cut to `width` characters where one is given."""
    line = " ".join(safe(text).split())
    return line if not width or len(line) <= width else f"{line[: width - 1]}…"

"""How long something took or is ago, in a few characters or in words."""

from __future__ import annotations

_SHORT = ((31_557_600, "y"), (604_800, "w"), (86_400, "d"), (3600, "h"), (60, "m"))
_LONG = ((86_400, "days"), (3600, "h"), (60, "min"))


def short(seconds: float) -> str:
    """In at most four characters, for a column."""
    return next((f"{int(seconds // size)}{unit}" for size, unit in _SHORT if seconds >= size), "now")


def spoken(seconds: float) -> str:
    """In one unit, the largest of which it is at least two."""
    found = (f"{int(seconds // size)} {unit}" for size, unit in _LONG if seconds >= 2 * size)
    return next(found, f"{max(0, int(seconds))} s")


def ago(seconds: float) -> str:
    """How long ago, within a sentence."""
    return "just now" if seconds < 120 else f"{spoken(seconds)} ago"

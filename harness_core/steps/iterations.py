"""A design grown in iterations: its scores, what the next one should do, and which one was best."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

NOTICEABLE = 0.3
"""A change of the weighted score, out of 10, that is more than an evaluator's mood."""


class Decision(StrEnum):
    """What an iteration is to do with the one before it."""

    START = "start"
    REFINE = "refine"
    PIVOT = "pivot"


class Iteration(msgspec.Struct, frozen=True):
    """One iteration as it was judged: the weighted score out of 10, and the commit that holds it."""

    number: int
    total: float
    passed: bool
    commit: str | None = None


def decide(scores: Sequence[Iteration]) -> Decision:
    """Refine while the score rises; after two in a row that didn't beat the best, go another way."""
    if not scores:
        return Decision.START
    top = 0.0
    stale = 0
    for one in scores:
        rose = one.total >= top + NOTICEABLE
        # A new way gets two tries of its own before it counts as stale again.
        stale = 0 if rose or stale == 2 else stale + 1
        top = max(top, one.total)
    return Decision.PIVOT if stale == 2 else Decision.REFINE


def best(scores: Sequence[Iteration]) -> Iteration:
    """The one with the highest score; of equals the later."""
    return max(scores, key=lambda one: (one.total, one.number))

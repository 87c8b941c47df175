"""How long to wait before a session whose API or CLI has failed is gone on with, and how often."""

from __future__ import annotations

import time
from datetime import datetime

TRIES = 8
"""Failures in a row after which a run gives up. The CLI has tried up to 300 times before each."""
FIRST_WAIT = 5.0
"""Seconds before the first try; doubled each time, and spread by as much again, so that runs which failed
together don't come back together."""
LONGEST_WAIT = 300.0
"""Seconds to which they grow; spread like the others."""


class Failures:
    """Counts failures between which the agent got no further."""

    def __init__(self) -> None:
        self._times = 0
        self._turns = -1
        self._inside = False

    def count(self, turns: int, *, inside: bool = False) -> int:
        """One more failure, when the run had taken `turns` turns; returns how many there were in a row.

        `inside` is one that met a subagent: to start that anew takes a turn, and gets nobody further.
        """
        stuck = turns == self._turns or (inside and self._inside)
        self._times = self._times + 1 if stuck else 1
        self._turns, self._inside = turns, inside
        return self._times


def backoff(times: int) -> float:
    """Seconds to wait after the `times`-th failure in a row."""
    import tenacity  # noqa: PLC0415  (takes longer to import than most runs have use for it)

    failure = tenacity.RetryCallState(tenacity.AsyncRetrying(), None, (), {})
    failure.attempt_number = times
    grows = tenacity.wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)
    return (grows + tenacity.wait_random(0, FIRST_WAIT))(failure)


def until(moment: str | None) -> float:
    """Seconds until a time of the journal; 0 where there is none, or it is over."""
    if not moment:
        return 0.0
    return max(0.0, datetime.fromisoformat(moment).timestamp() - time.time())

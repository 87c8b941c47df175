"""What the API lets a run have: how much of a window is used, which request is tried again."""

from __future__ import annotations

from collections.abc import Iterable

from harness_core.record import events as ev

_WINDOWS = (("[1m]", 1_000_000), ("opus", 200_000), ("sonnet", 200_000), ("haiku", 200_000))
"""Part of a model's name, and the tokens that its context holds; the first that fits holds."""


class Weather:
    """The newest word on each, from the events that were read since this began. A session that begins, or is
    silent, is no answer yet to what is tried again."""

    def __init__(self) -> None:
        self.limit: ev.RateLimited | None = None
        """The newest, where it says how much is used."""
        self.retry: ev.Retry | None = None
        """The one that nothing has followed yet."""

    def take(self, new: Iterable[ev.Event]) -> None:
        for event in new:
            if isinstance(event, ev.RateLimited):
                self.limit = event if event.utilization is not None else self.limit
            elif isinstance(event, ev.Retry):
                self.retry = event
            elif not isinstance(event, ev.StallDetected | ev.SessionStarted | ev.ClockJumped):
                self.retry = None


def window_of(model: str) -> int:
    """Tokens that the model's context holds, 0 where unknown."""
    return next((size for name, size in _WINDOWS if name in model.lower()), 0)

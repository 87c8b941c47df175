"""How many features passed when: the burn-up of a run, from its journal."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from harness_core.layout import RunDir
from harness_core.reading.sieve import Sieve
from harness_core.record import events as ev
from harness_core.record.state import PASSING

MOST = 500
"""Points that are kept; with more, every second one goes."""
EIGHTHS = " ▁▂▃▄▅▆▇█"
GOAL = "╌"
"""Marks how many features there are."""


class Point(NamedTuple):
    """From `at` on (seconds since the epoch), `passing` of `total` features passed."""

    at: float
    passing: int
    total: int


class BurnUp:
    """Folds the journal's changes of features into points."""

    def __init__(self, run: RunDir) -> None:
        self._points: list[Point] = []
        self._features: dict[str, bool] = {}
        self._sieve = Sieve(run.journal, ev.ContractFrozen, ev.FeaturesAdded, ev.FeatureChanged)

    @property
    def points(self) -> tuple[Point, ...]:
        """What is known so far."""
        return tuple(self._points)

    @property
    def behind(self) -> bool:
        """Whether the journal has grown since the last read."""
        return self._sieve.behind

    def read_on(self) -> None:
        """Take in what is new. Reads a long journal for seconds: call it in a thread."""
        for event in self._sieve.read():
            self.take(event)

    def take(self, event: ev.Event) -> None:
        """Take one event in."""
        if isinstance(event, ev.ContractFrozen):
            adopted = set(event.adopted)
            self._features = {name: name in adopted for name in event.features}
        elif isinstance(event, ev.FeaturesAdded):
            self._features |= dict.fromkeys(event.features, False)
        elif isinstance(event, ev.FeatureChanged):
            self._features[event.feature] = event.to in PASSING
        at = seconds(event.ts)
        if at is None:
            return
        self._points.append(Point(at, sum(self._features.values()), len(self._features)))
        if len(self._points) > MOST:
            # The later of each two: what a step leads to, rather than where it came from.
            self._points = self._points[::-2][::-1]


def seconds(ts: str) -> float | None:
    """An event's time in seconds since the epoch."""
    try:
        return datetime.fromisoformat(ts).timestamp()
    except ValueError:
        return None


def columns(points: Sequence[Point], start: float, end: float, width: int) -> list[Point]:
    """What held at the end of each of `width` equal stretches between `start` and `end`."""
    times = [point.at for point in points]
    before = Point(start, 0, points[0].total if points else 0)
    shown = []
    for column in range(width):
        at = start + (end - start) * (column + 1) / width
        place = bisect_right(times, at + 1e-6)
        shown.append(points[place - 1] if place else before)
    return shown


def drawn(shown: Sequence[Point], height: int) -> list[str]:
    """The columns as `height` lines of text, the highest first: blocks for what passes, a line of dashes for
    what there is."""
    top = max((point.total for point in shown), default=0)
    if not top:
        return [" " * len(shown)] * height
    rows = []
    for row in range(height - 1, -1, -1):
        cells = []
        for point in shown:
            filled = round(point.passing / top * height * 8) - row * 8
            goal = min(height - 1, int(point.total / top * height)) == row
            # Something that passes is never nothing on the screen.
            filled = max(filled, 1) if point.passing and row == 0 else filled
            cells.append(EIGHTHS[min(8, filled)] if filled > 0 else GOAL if goal else " ")
        rows.append("".join(cells))
    return rows


def clock(span: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, rest = divmod(max(0, int(span)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def countdown(end: str, now: str = "") -> str:
    """How long it is until a time of the journal, from another or from now on; "" where nobody can tell."""
    try:
        begin = datetime.fromisoformat(now) if now else datetime.now(UTC)
        return clock((datetime.fromisoformat(end) - begin).total_seconds())
    except (ValueError, TypeError):
        return ""

"""Calls an operator who looks elsewhere: the terminal's bell, its title, its own notification (OSC 9)."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from textual.app import App

from harness_core.errors import Exit
from harness_core.notify.messages import Kind, Message, Throttle
from harness_core.operator.bounds import SESSION, named, parted
from harness_core.record.state import Lifecycle
from harness_core.safe import one_line
from tui.console.facts import Facts
from tui.console.head import PILLS
from tui.settings import Settings

CALLS = {
    Lifecycle.WAITING_APPROVAL: Kind.WAITING,
    Lifecycle.WAITING_LIMIT: Kind.LIMIT,
    Lifecycle.COMPLETE: Kind.DONE,
    Lifecycle.FAILED: Kind.FAILED,
    Lifecycle.LOST: Kind.FAILED,
}
"""States that an operator wants to hear of; besides, they hear of stalls and of limits that come near."""
_LENGTH = 120


class Attention:
    """Says each new state once, and no more often than messages of the same kind leave by other ways."""

    def __init__(self, app: App[object], settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._title = ""
        self._state: Lifecycle | None = None
        self._stalls = 0
        self._near: set[str] = set()
        self._throttle = Throttle()

    def look(self, facts: Facts) -> None:
        """Take in what is known now."""
        report = facts.report
        state = Lifecycle(report.lifecycle)
        pill = PILLS[state]
        features = report.features
        title = f"{pill.glyph} {facts.run.root.name} {features['passing']}/{features['total']} {pill.words}"
        if self._settings.title and title != self._title:
            self._tell(f"\x1b]0;{one_line(title, _LENGTH)}\x07")
        self._title = title
        now = monotonic()
        for news in self._news(facts, state, title):
            for ready in self._throttle.offer(news, now):
                self._call(ready)
        for ready in self._throttle.due(now):
            # Kept until now, what a state asked for may be over.
            if ready.kind in (Kind.STALL, Kind.LIMIT, CALLS.get(state)):
                self._call(ready)

    def _news(self, facts: Facts, state: Lifecycle, title: str) -> Iterator[Message]:
        """What has happened since the last look, if it is worth a call."""
        report = facts.report
        near = {key for key in facts.state.limits_near if parted(key)[0] != SESSION}
        news = near - self._near
        limited = state is Lifecycle.STOPPED and facts.state.exit == Exit.LIMIT
        if state is not self._state and self._state is not None and (limited or state in CALLS):
            why = report.checkpoint.summary if report.checkpoint else report.reason
            yield Message(CALLS.get(state, Kind.LIMIT), title, why)
        elif self._state is not None and facts.state.stalls > self._stalls:
            yield Message(Kind.STALL, title, "is held up")
        elif self._state is not None and news:
            names = ", ".join(named(*parted(key)) for key in sorted(news))
            yield Message(Kind.LIMIT, title, f"most of a limit is used: {names}")
        self._state, self._stalls = state, facts.state.stalls
        self._near = near

    def _call(self, what: Message) -> None:
        if self._settings.bell:
            self._app.bell()
        if self._settings.terminal:
            said = f"{what.title}: {what.text}" if what.text else what.title
            self._tell(f"\x1b]9;{one_line(said, _LENGTH)}\x07")

    def _tell(self, sequence: str) -> None:
        # Through Textual's own writer, so that it can't come in the middle of what that draws.
        driver = self._app._driver
        if driver is not None and not self._app.is_headless:
            driver.write(sequence)

"""Calls an operator who looks elsewhere: the terminal's bell, its title, its own notification (OSC 9)."""

from __future__ import annotations

from textual.app import App

from harness_core.errors import Exit
from harness_core.operator.bounds import SESSION, named, parted
from harness_core.record.state import Lifecycle
from harness_core.safe import one_line
from tui.console.facts import Facts
from tui.console.head import PILLS
from tui.settings import Settings

CALLS = frozenset(
    (
        Lifecycle.WAITING_APPROVAL,
        Lifecycle.WAITING_LIMIT,
        Lifecycle.COMPLETE,
        Lifecycle.FAILED,
        Lifecycle.LOST,
    )
)
"""States that an operator wants to hear of; besides, they hear of stalls and of limits that come near."""
_LENGTH = 120


class Attention:
    """Says each new state once."""

    def __init__(self, app: App[object], settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._title = ""
        self._state: Lifecycle | None = None
        self._stalls = 0
        self._near: set[str] = set()

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
        near = {key for key in facts.state.limits_near if parted(key)[0] != SESSION}
        news = near - self._near
        limited = state is Lifecycle.STOPPED and facts.state.exit == Exit.LIMIT
        if state is not self._state and self._state is not None and (limited or state in CALLS):
            self._call(title, report.checkpoint.summary if report.checkpoint else report.reason)
        elif self._state is not None and facts.state.stalls > self._stalls:
            self._call(title, "stands still")
        elif self._state is not None and news:
            names = ", ".join(named(*parted(key)) for key in sorted(news))
            self._call(title, f"most of a limit is used: {names}")
        self._state, self._stalls = state, facts.state.stalls
        self._near = near

    def _call(self, title: str, what: str) -> None:
        if self._settings.bell:
            self._app.bell()
        if self._settings.terminal:
            self._tell(f"\x1b]9;{one_line(f'{title}: {what}' if what else title, _LENGTH)}\x07")

    def _tell(self, sequence: str) -> None:
        # Through Textual's own writer, so that it can't come in the middle of what that draws.
        driver = self._app._driver
        if driver is not None and not self._app.is_headless:
            driver.write(sequence)

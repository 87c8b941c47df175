"""The end of a build: once every feature passes, nothing more is spent than leaving it in order takes."""

from __future__ import annotations

from dataclasses import dataclass

from harness_core.grading.verdicts import refuted
from harness_core.record.state import PASSING, RunState

LEFT = 10
"""Replies that a session has left, once it has claimed the last feature."""
WORDS = (
    f"Every feature is claimed now, so there is nothing left to build. This session has {LEFT} replies left: "
    "commit what isn't committed, bring the notes up to date, and end."
)


@dataclass
class Closing:
    """Whether a session has nothing left but to close. `over` when it has had its replies for that."""

    over: bool = False
    _since: int | None = None
    """The run's turns when its last replies began."""
    _told: bool = False

    def look(self, state: RunState, *, steered: bool = False) -> None:
        """Take notice of where the run stands. Whoever was steered has as many replies again."""
        if not nothing_left(state):
            self._since, self._told = None, False
        elif self._since is None or steered:
            self._since = state.turns
        self.over = self._since is not None and state.turns - self._since >= LEFT

    def words(self) -> str:
        """What the agent is to hear of it, once."""
        if self._since is None or self._told:
            return ""
        self._told = True
        return WORDS


def nothing_left(state: RunState) -> bool:
    """Whether the session under way has claimed the last feature, and no verdict wants more of the whole."""
    session, features = state.open_session, state.features.values()
    if session is None or session.role != "generator":
        return False
    here = any(feature.seq > session.seq for feature in features)
    verdict = state.verdict
    whole = verdict is not None and verdict.verdict != "PASS" and None in refuted(verdict)
    return here and not whole and all(feature.status in PASSING for feature in features)

"""The run's commits, each journaled once, whoever made it and whenever it is noticed."""

from __future__ import annotations

from harness_core import events as ev
from harness_core.run import Run

OUTSIDE = "outside"
"""Who made a commit while no session was open."""


class History:
    """Starts where the journal ends, so a commit made as an engine died is noticed by the next one."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._seen = run.state.head or None

    def note(self, by: str) -> None:
        """Journal, as made by `by`, the commits that came since the last look."""
        head = self._run.git.head()
        if head is None or head == self._seen:
            return
        for commit in self._run.git.commits(self._seen, head):
            self._run.emit(ev.Commit(sha=commit.sha, subject=commit.subject, by=by))
        self._seen = head

"""The run's commits, each journaled once, whoever made it and whenever it is noticed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness_core.machine.gitfiles import OWN
from harness_core.reading.sieve import Sieve
from harness_core.record import events as ev

if TYPE_CHECKING:
    from harness_core.machine.gitfiles import CommitInfo
    from harness_core.run import Logbook

OUTSIDE = "outside"
"""Who made a commit while no session was open."""
_COMMIT_NOTHING = (OUTSIDE, "evaluator")
"""Under whom a commit with the mark of the engine is its own: it was killed before it journaled that."""


class History:
    """Starts where the journal ends, so a commit made as an engine died is noticed by the next one."""

    def __init__(self, run: Logbook, since: str = "") -> None:
        """`since` is the commit after which it starts where the journal knows of none."""
        self._run = run
        self._newest = run.state.head or since or None
        """The last commit that is journaled; HEAD may have gone back behind it."""
        self._head: str | None = None

    def note(self, by: str) -> None:
        """Journal, as made by `by`, the commits that came since the last look."""
        head = self._run.git.head()
        if head in (None, self._head, self._newest):
            return
        self._head = head
        came = self._run.git.commits(self._newest, head)
        for commit in self._new(came):
            own = by in _COMMIT_NOTHING and commit.subject.startswith(OWN)
            self._run.emit(ev.Commit(sha=commit.sha, subject=commit.subject, by="engine" if own else by))
        if came:
            self._newest = head

    def _new(self, came: Sequence[CommitInfo]) -> list[CommitInfo]:
        """Those that aren't journaled: HEAD may have come back to another branch's."""
        if not came:
            return []
        events = Sieve(self._run.dir.journal, ev.Commit).read()
        known = {event.sha for event in events if isinstance(event, ev.Commit)}
        return [commit for commit in came if commit.sha not in known]

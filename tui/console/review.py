"""What a decision on a checkpoint rests on, gathered from the run's files."""

from __future__ import annotations

import stat
from collections.abc import Collection

from harness_core.layout import RunDir
from harness_core.reading.evidence_list import File, Item
from harness_core.record import events as ev
from harness_core.record.journal import Tail
from tui.console.git_log import Repository
from tui.console.patch import PatchLine, of_commits

_LOOK_BACK = 8 << 20
"""Bytes of the journal's end in which the build of what is asked about is looked for."""
DIFF_LINES = 600
"""Lines that a review shows; the git pane has the whole."""


def built(run: RunDir, features: Collection[str]) -> list[str]:
    """The commits of the newest generator session of these features, oldest first."""
    try:
        start = max(0, run.journal.stat().st_size - _LOOK_BACK)
    except OSError:
        return []
    newest: int | None = None
    commits: list[str] = []
    # The first line may be half of one: it is skipped like a damaged one.
    for event in Tail(run.journal, start).read_all():
        if isinstance(event, ev.SessionStarted) and event.role == "generator" and event.feature in features:
            if not event.resumed:
                commits = []
            newest = event.session
        elif isinstance(event, ev.Commit) and event.session == newest and newest is not None:
            commits.append(event.sha)
    return commits


def piece(run: RunDir, path: str) -> Item | None:
    """What was shown as evidence and lies outside the evidence's folder, such as a sprint's contract."""
    try:
        found = (run.root / path).lstat()
    except (OSError, ValueError):
        return None
    flaw = "" if stat.S_ISREG(found.st_mode) else "not a regular file"
    return Item(File(path, found.st_size, found.st_mtime_ns, flaw))


def diff(run: RunDir, features: Collection[str], commit: str | None) -> list[PatchLine]:
    """What the newest build of these features changed; none when no commit belongs to it. Waits for git.

    Raises NoGit.
    """
    shas = built(run, features) or ([commit] if commit else [])
    return of_commits(Repository(run.root), shas[0], shas[-1])[:DIFF_LINES] if shas else []

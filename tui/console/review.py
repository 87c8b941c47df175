"""What a decision on a checkpoint rests on, gathered from the run's files."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import git

from harness_core import events as ev
from harness_core.journal import Tail
from harness_core.layout import RunDir
from harness_core.safe import safe

_LOOK_BACK = 8 << 20
"""Bytes of the journal's end in which the build of what is asked about is looked for."""
DIFF_LINES = 600
_GIT_SECONDS = 20


@dataclass(frozen=True)
class Diff:
    """What the newest builds of some features changed."""

    title: str
    lines: list[str]
    more: int = 0
    """Lines left out."""


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


def diff(run: RunDir, features: Collection[str], commit: str | None) -> Diff:
    """What the newest build of these features changed. Waits for git."""
    shas = built(run, features)
    if not shas and commit is None:
        return Diff("no commit belongs to this", [])
    first, last = (shas[0], shas[-1]) if shas else (str(commit), str(commit))
    options = ["--no-color", "--no-ext-diff", "--no-textconv", "--stat", "--patch"]
    try:
        with git.Repo(run.root) as repo:
            parents = repo.commit(first).parents
            base = parents[0].hexsha if parents else repo.git.hash_object("-t", "tree", "/dev/null")
            text = repo.git.diff(base, last, *options, kill_after_timeout=_GIT_SECONDS)
    except (git.GitError, OSError, ValueError) as error:
        return Diff(f"git can't show the changes: {type(error).__name__}", [])
    lines = safe(str(text)).splitlines()
    return Diff(f"{first[:8]}^..{last[:8]}", lines[:DIFF_LINES], max(0, len(lines) - DIFF_LINES))

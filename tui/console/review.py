"""What a decision on a checkpoint rests on, gathered from the run's files."""

from __future__ import annotations

import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness_core.layout import RunDir
from harness_core.operator.control import Checkpoint
from harness_core.reading.evidence_content import at_commit
from harness_core.reading.evidence_list import File, Item
from harness_core.reading.sieve import Sieve
from harness_core.record import events as ev
from harness_core.record.journal import Tail
from tui.console.git_log import NoGit, Repository
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


# --- Iterations of a design -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """An iteration of a design, as far as it can still be looked at."""

    verdict: ev.Verdict | None = None
    pieces: Sequence[Item] = ()
    """The evidence as its commit has it."""
    diff: Sequence[PatchLine] = ()
    trouble: str = ""
    """Why there is no diff."""


def iteration(run: RunDir, asked: Checkpoint, number: int) -> Made:
    """What there is to see of an iteration that was asked about. Waits for git, and reads the journal."""
    commit = next((one.commit for one in asked.iterations if one.number == number), None)
    verdict, first = _judged(run, number)
    if not commit:
        return Made(verdict, trouble="No commit belongs to this.")
    try:
        lines = of_commits(Repository(run.root), first or commit, commit)[:DIFF_LINES]
    except NoGit as error:
        return Made(verdict, trouble=str(error))
    return Made(verdict, at_commit(run, commit), lines)


def _judged(run: RunDir, number: int) -> tuple[ev.Verdict | None, str]:
    """The newest verdict on an iteration, and the first of the commits that it judged."""
    found: tuple[ev.Verdict | None, str] = None, ""
    first = ""
    for event in Sieve(run.journal, ev.Verdict, ev.Commit).read():
        match event:
            case ev.Commit():
                first = first or event.sha
            case ev.Verdict(iteration=judged):
                found = (event, first) if judged == number else found
                first = ""
    return found

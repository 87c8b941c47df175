"""The commits, by who made them in which session, and what isn't committed yet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.timer import Timer

from harness_core.layout import PRIVATE, RunDir
from harness_core.reading.rows import decided
from tui.console import ages, patch
from tui.console.aside import aside
from tui.console.chronicle import Checkpoint, Chronicle, Group, groups
from tui.console.facts import Facts
from tui.console.git_log import Commit, NoGit, Repository
from tui.console.line_list import LineList, Row
from tui.console.panes.pane import Pane
from tui.console.screens.diff import DiffScreen
from tui.console.sinks import line

PAGE = 500
"""Commits that are read at first, and each time that more are wanted."""
_QUIET = 0.2
"""Seconds between two looks at the working files, at least; more where a look takes long."""
_SLOWEST = 2.0
_AGES = 20.0
"""Seconds after which the ages are written anew."""
_UNCOMMITTED = "uncommitted"
_MORE = "more"


@dataclass(frozen=True)
class Look:
    """What a look at the repository has found."""

    commits: Sequence[Commit] = ()
    found: Sequence[Group] = ()
    checkpoints: Mapping[str, Sequence[Checkpoint]] | None = None
    changed: int = 0
    more: bool = False
    sorry: str = ""
    """Why there is nothing to show."""


class GitList(LineList):
    """Finds commits by who made them, too."""

    def __init__(self) -> None:
        super().__init__(empty="reading the log …")
        self.about: Mapping[str, str] = {}
        """By key, all that a row can be found by."""

    def fits(self, row: Row, wanted: str) -> bool:
        return wanted.casefold() in self.about.get(row.key, row.content.plain).casefold()


class GitPane(Pane):
    """The log."""

    NAME = "git"
    TITLE = "Git"

    class _Looked(Message):
        def __init__(self, look: Look, mark: tuple[object, ...] | None, took: float) -> None:
            super().__init__()
            self.look = look
            self.mark = mark
            self.took = took

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self.run_dir = run
        self._list = GitList()
        self._repository: Repository | None = None
        self._chronicle = Chronicle(run)
        self._look = Look()
        self._mark: tuple[object, ...] | None = None
        self._wanted = PAGE
        self._looking = False
        self._again = self._urgent = False
        self._waiting: Timer | None = None
        self._looked_at = 0.0
        self._took = 0.0
        self._seq = -1
        self._known: tuple[object, ...] = ()
        self._laid: tuple[object, ...] = ()
        self._laid_at = 0.0

    def compose(self) -> ComposeResult:
        yield self._list

    def on_resize(self) -> None:
        self._show()

    # --- What comes in -------------------------------------------------------------------------------

    def look(self, facts: Facts) -> None:
        super().look(facts)
        if facts.state.last_seq != self._seq:
            self._seq = facts.state.last_seq
            if self._behind(facts):
                self._look_again()

    def _behind(self, facts: Facts) -> bool:
        """Whether an event may tell something about what is shown."""
        state = facts.state
        # With each reply files may have changed, in folders that nobody watches.
        now = (state.head, state.checkpoint.id if state.checkpoint else "", state.sessions, state.turns)
        before, self._known = self._known, now
        return before != now

    def files_changed(self, paths: AbstractSet[Path]) -> None:
        if paths and all(PRIVATE in path.parts for path in paths):
            return
        self._look_again(urgent=any(".git" in path.parts for path in paths))

    def _look_again(self, *, urgent: bool = False) -> None:
        """Look at once where the last look is some time ago, else as soon as it is. What is urgent, such as a
        commit, doesn't wait as long as files do, which may change all the time."""
        if self._waiting is not None and urgent:
            self._waiting.stop()
        elif self._looking:
            self._again, self._urgent = True, self._urgent or urgent
            return
        self._looking = True
        pause = 2 * self._took if urgent else min(_SLOWEST, max(_QUIET, 20 * self._took))
        wait = self._looked_at + pause - time.monotonic()
        if wait > 0:
            self._waiting = self.set_timer(wait, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._again = self._urgent = False
        self._waiting = None
        self._read(self._look, self._mark, self._wanted)

    def _lost(self, why: str) -> None:
        self._looking = self._again = False
        self._looked_at = time.monotonic()
        self._look = replace(self._look, sorry=why)
        self._show()

    @aside("reading the git log", group="git", broke=_lost)
    def _read(self, before: Look, mark: tuple[object, ...] | None, wanted: int) -> None:
        began = time.monotonic()
        try:
            self._chronicle.read_on()
            if self._repository is None:
                self._repository = Repository(self.run_dir.root)
            look, mark = self._looked(self._repository, before, mark, wanted)
        except NoGit as sorry:
            look, mark = Look(sorry=str(sorry)), None
            if not (self.run_dir.root / ".git").exists():
                self._repository = None
        self.post_message(self._Looked(look, mark, time.monotonic() - began))

    def _looked(
        self, repository: Repository, before: Look, mark: tuple[object, ...] | None, wanted: int
    ) -> tuple[Look, tuple[object, ...]]:
        now = (*repository.mark(), wanted)
        changed = repository.changed()
        commits, more = before.commits, before.more
        if now != mark:
            try:
                read = repository.log(wanted + 1)
            except NoGit:
                if not changed:
                    raise
                read = []
            commits, more = read[:wanted], len(read) > wanted
        found = groups(commits, self._chronicle.makers)
        checkpoints = {sha: tuple(opened) for sha, opened in self._chronicle.checkpoints.items()}
        return Look(commits, found, checkpoints, changed, more), now

    def on_git_pane__looked(self, message: _Looked) -> None:
        self._looking = False
        self._looked_at = time.monotonic()
        self._took = message.took
        self._look, self._mark = message.look, message.mark
        self._show()
        if self._again:
            self._look_again(urgent=self._urgent)

    # --- What is shown -------------------------------------------------------------------------------

    def _show(self) -> None:
        width = max(20, self.content_size.width - 1)
        laid = (width, self._look)
        now = time.monotonic()
        if laid == self._laid and now - self._laid_at < _AGES:
            return
        self._laid, self._laid_at = laid, now
        self._list.empty = self._look.sorry or "No commit yet."
        rows = list(rows_of(self._look, width))
        self._list.about = about(self._look)
        self._list.show(rows)
        self._list.refresh()

    def on_line_list_sifted(self) -> None:
        self.border_subtitle = line(self._list.note)

    # --- Keys ----------------------------------------------------------------------------------------

    def on_line_list_moved(self, message: LineList.Moved) -> None:
        if message.key.startswith(_MORE) and len(self._look.commits) == self._wanted:
            self._wanted += PAGE
            self._look_again()

    def on_line_list_opened(self, message: LineList.Opened) -> None:
        repository = self._repository
        if repository is None:
            return
        kind, _, rest = message.key.partition(":")
        if kind == _UNCOMMITTED:
            self._open("Not committed", partial(patch.of_uncommitted, repository))
        elif kind == "group":
            group = next((group for group in self._look.found if group.key == rest), None)
            if group is not None:
                first, last = group.commits[-1].sha, group.commits[0].sha
                self._open(title_of(group), partial(patch.of_commits, repository, first, last))
        else:
            sha = rest.rpartition(":")[2]
            group = next(
                (group for group in self._look.found for one in group.commits if one.sha == sha), None
            )
            by = f" · {title_of(group)}" if group else ""
            self._open(f"Commit {sha[:10]}{by}", partial(patch.of_commit, repository, sha))

    def _open(self, title: str, load: partial[list[patch.PatchLine]]) -> None:
        self.app.push_screen(DiffScreen(title, load))

    def copied(self) -> str:
        kind, _, rest = self._list.cursor_key.partition(":")
        if kind in ("commit", "checkpoint"):
            return rest.rpartition(":")[2]
        row = next((row for row in self._list.rows if row.key == self._list.cursor_key), None)
        return row.content.plain.strip(" ─") if row else ""


# --- Rows -----------------------------------------------------------------------------------------------


def title_of(group: Group) -> str:
    """Who made these commits."""
    maker = group.maker
    session = f"session {maker.session}" if maker.session else ""
    return " · ".join(part for part in (session, maker.by, maker.feature) if part)


def about(look: Look) -> dict[str, str]:
    """What each row can be found by: a commit by who made it, a session by its commits."""
    found: dict[str, str] = {}
    for group in look.found:
        title = title_of(group)
        texts = {
            commit.sha: f"{commit.sha} {commit.subject} {' '.join(commit.refs)}" for commit in group.commits
        }
        found |= {f"commit:{sha}": f"{title} {text}" for sha, text in texts.items()}
        found[f"group:{group.key}"] = " ".join((title, *texts.values()))
    return found


def rows_of(look: Look, width: int) -> Iterator[Row]:
    """The rows from the newest to the oldest."""
    if look.changed:
        some = "1 file" if look.changed == 1 else f"{look.changed:,} files"
        yield Row(_UNCOMMITTED, line(f"± {some} changed, not committed", "bold $warning"))
    for group in look.found:
        yield _divider(group, width)
        for commit in group.commits:
            for one in (look.checkpoints or {}).get(commit.sha, ()):
                yield _checkpoint(one, commit)
            yield _commit(commit, width)
    if look.more:
        # A key of its own each time: so the cursor goes on from here when more has come.
        yield Row(f"{_MORE}:{len(look.commits)}", line("more …", "$foreground 55%"))


def _divider(group: Group, width: int) -> Row:
    title = line(title_of(group), "$primary" if group.maker.session else "$warning", max(8, width - 5))
    rest = "─" * max(0, width - title.cell_length - 4)
    style = "$foreground 30%"
    return Row(f"group:{group.key}", Content.assemble(("── ", style), title, (f" {rest}", style)))


def _checkpoint(one: Checkpoint, commit: Commit) -> Row:
    said = decided(one.decision) or "waits for you"
    text = line(f"◆ checkpoint {one.id} · {one.kind} · {said}", "$warning")
    return Row(f"checkpoint:{one.id}:{commit.sha}", text)


def _commit(commit: Commit, width: int) -> Row:
    old = f"{ages.short(time.time() - commit.when):>4}"
    marks = Content("").join([_mark(ref) for ref in commit.refs if not ref.endswith("/HEAD")][:3])
    room = width - 8 - len(old)
    if marks.cell_length > room // 2:
        marks = marks.truncate(max(0, room // 2), ellipsis=True)
    subject = line(commit.subject).truncate(max(1, room - marks.cell_length - 1), ellipsis=True)
    gap = " " * max(1, room - marks.cell_length - subject.cell_length)
    content = Content.assemble(
        (commit.sha[:7], "$accent"), " ", marks, subject, gap, (old, "$foreground 55%")
    )
    return Row(f"commit:{commit.sha}", content)


def _mark(ref: str) -> Content:
    """A branch or a tag, with a space behind it."""
    if ref.startswith("tag: "):
        return line(f"◇{ref.removeprefix('tag: ')}", "bold $warning") + " "
    return line(ref.removeprefix("HEAD -> "), "bold $success") + " "

"""Git on the console: who made which commit, what isn't committed, what a change has changed."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from textual.pilot import Pilot

from harness_core.layout import RunDir
from harness_core.record import events as ev
from harness_core.record.journal import Journal
from tui.console import patch
from tui.console.app import Console
from tui.console.chronicle import Chronicle, groups
from tui.console.git_log import NoGit, Repository
from tui.console.line_list import LineList
from tui.console.panes.git import GitList
from tui.console.patch import Kind, PatchLine
from tui.console.screens.diff import DiffScreen


def git(root: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *settings, *arguments], cwd=root, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(root: Path, subject: str, **files: str) -> str:
    for name, text in files.items():
        (root / name).write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", subject)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    exclude = tmp_path / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text(".longwatch/\n")
    return tmp_path


def texts(lines: list[PatchLine], *kinds: Kind) -> list[str]:
    return [line.text for line in lines if line.kind in kinds]


def write(root: Path, *happened: ev.Event) -> None:
    journal = Journal(RunDir.at(root).journal)
    for event in happened:
        journal.append(event)
    journal.close()


# --- The log ------------------------------------------------------------------------------------------


def test_what_is_missing_is_said_calmly(tmp_path: Path) -> None:
    with pytest.raises(NoGit, match="no git repository"):
        Repository(tmp_path)
    git(tmp_path, "init", "-q")
    with pytest.raises(NoGit, match="No commit yet"):
        Repository(tmp_path).log(5)
    (tmp_path / ".git" / "HEAD").unlink()
    with pytest.raises(NoGit):
        Repository(tmp_path)


def test_the_log_has_branches_tags_and_whatever_a_subject_says(root: Path) -> None:
    odd = "a\x1b[31m | [/b] 漢字"
    first = commit(root, odd)
    git(root, "tag", "v1")
    second = commit(root, "two")
    found = Repository(root).log(10)
    assert [one.sha for one in found] == [second, first]
    assert found[0].refs == ("HEAD -> main",) and found[1].refs == ("tag: v1",)
    assert found[1].subject == odd and found[1].author == "Ada"
    assert [one.sha for one in Repository(root).log(1)] == [second]


def test_the_mark_changes_with_commits_branches_and_tags_only(root: Path) -> None:
    commit(root, "one", a="1")
    repository = Repository(root)
    before = repository.mark()
    (root / "a").write_text("2")
    repository.changed()
    assert repository.mark() == before
    git(root, "tag", "v1")
    tagged = repository.mark()
    assert tagged != before
    commit(root, "two")
    assert repository.mark() != tagged


def test_reading_leaves_the_index_alone_even_where_files_were_touched(root: Path) -> None:
    commit(root, "one", a="1", b="1")
    os.utime(root / "a", (1, 1))
    (root / "b").write_text("2")
    (root / "new").write_text("")
    index = root / ".git" / "index"
    before = index.read_bytes()
    repository = Repository(root)
    assert repository.changed() == 2
    lines = patch.of_uncommitted(repository)
    assert texts(lines, Kind.FILE) == ["b", "1 untracked"]
    assert index.read_bytes() == before


def test_nothing_of_the_repository_is_run(root: Path) -> None:
    commit(root, "one", **{".gitattributes": "* filter=bad diff=bad\n", "a": "1"})
    ran = root.parent / f"{root.name}-ran"
    program = f"touch '{ran}'; cat"
    for name in (
        "filter.bad.clean",
        "filter.bad.process",
        "diff.bad.textconv",
        "diff.bad.command",
        "diff.external",
        "core.fsmonitor",
        "core.pager",
        "pager.log",
        "pager.diff",
        "gpg.program",
    ):
        git(root, "config", name, program)
    git(root, "config", "log.showSignature", "true")
    (root / "a").write_text("2")
    repository = Repository(root)
    (one,) = repository.log(5)
    assert repository.changed() == 1
    assert texts(patch.of_uncommitted(repository), Kind.REMOVED, Kind.ADDED) == ["1", "2"]
    patch.of_commit(repository, one.sha)
    patch.of_commits(repository, one.sha, one.sha)
    assert not ran.exists()


def test_a_change_of_the_same_size_right_after_a_commit_is_seen(root: Path) -> None:
    for number in range(5):
        commit(root, str(number), a=f"{number}\n")
        (root / "a").write_text("x\n")
        assert texts(patch.of_uncommitted(Repository(root)), Kind.ADDED) == ["x"]


# --- Who made it ----------------------------------------------------------------------------------------


def test_commits_stand_by_session_and_what_the_journal_does_not_know_is_outside(root: Path) -> None:
    mine = commit(root, "mine")
    one, two = commit(root, "one"), commit(root, "two")
    engine = commit(root, "rescued")
    run = RunDir.at(root)
    write(
        root,
        ev.SessionStarted(session=3, role="generator", sdk_session="s", model="m", feature="F001"),
        ev.Commit(session=3, role="generator", sha=one, subject="one", by="generator"),
    )
    chronicle = Chronicle(run)
    assert chronicle.read_on()
    write(
        root,
        ev.Commit(session=3, role="generator", sha=two, subject="two", by="generator"),
        ev.CheckpointOpened(id="1", kind="feature", subject_hash="h"),
        ev.Commit(sha=engine, subject="rescued", by="outside"),
    )
    assert chronicle.read_on() and not chronicle.read_on()
    found = groups(Repository(root).log(10), chronicle.makers)
    assert [(group.maker.by, group.maker.session, group.maker.feature) for group in found] == [
        ("outside · Ada", None, ""),
        ("generator", 3, "F001"),
        ("outside · Ada", None, ""),
    ]
    assert [one.sha for one in found[1].commits] == [two, one]
    assert found[2].commits[0].sha == mine
    assert [(at, one.decision) for at, (one,) in chronicle.checkpoints.items()] == [(two, "")]
    write(root, ev.CheckpointDecided(id="1", decision="approve", by="operator"))
    chronicle.read_on()
    assert chronicle.checkpoints[two][0].decision == "approve"


def test_a_journal_that_begins_anew_is_read_anew(root: Path) -> None:
    run = RunDir.at(root)
    long = "x" * 500
    write(root, ev.Commit(session=1, sha="a" * 40, subject=long, by="generator"))
    chronicle = Chronicle(run)
    chronicle.read_on()
    run.journal.unlink()
    write(root, ev.Commit(session=1, sha="b" * 40, subject="short", by="generator"))
    chronicle.read_on()
    assert list(chronicle.makers) == ["b" * 40]


# --- Diffs ------------------------------------------------------------------------------------------------


def test_a_commit_shows_its_message_files_and_numbered_lines(root: Path) -> None:
    commit(root, "one", a="same\nold\n", gone="x\n")
    (root / "gone").unlink()
    (root / "bin").write_bytes(b"\0\1\2")
    sha = commit(root, "two\n\nbecause", a="same\nnew\n-- a/x\n")
    lines = patch.of_commit(Repository(root), sha)
    assert texts(lines, Kind.TITLE) == ["two"] and "because" in texts(lines, Kind.WORDS)
    assert texts(lines, Kind.FILE) == ["a", "bin · new · binary", "gone · deleted"]
    assert texts(lines, Kind.COUNT)[0] == "3 files · +2 -2"
    assert [(line.text, line.number) for line in lines if line.kind is Kind.ADDED] == [
        ("new", 2),
        ("-- a/x", 3),
    ]
    back = patch.of_commit(Repository(root), commit(root, "three", a="same\nnew\n"))
    assert texts(back, Kind.REMOVED) == ["-- a/x"] and texts(back, Kind.FILE) == ["a"]


def test_a_session_shows_all_its_commits_together(root: Path) -> None:
    first = commit(root, "one", a="1\n")
    last = commit(root, "two", a="2\n", b="3\n")
    lines = patch.of_commits(Repository(root), first, last)
    assert texts(lines, Kind.ADDED) == ["2", "3"] and not texts(lines, Kind.REMOVED)


def test_what_is_new_before_the_first_commit_is_shown(root: Path) -> None:
    (root / "a").write_text("1\n")
    (root / "b").write_text("1\n")
    git(root, "add", "a")
    lines = patch.of_uncommitted(Repository(root))
    assert texts(lines, Kind.ADDED) == ["1", "b"]


def test_a_huge_diff_is_cut_with_a_word(root: Path) -> None:
    sha = commit(root, "many", a="line\n" * 20_000, b="x" * 3_000_000)
    lines = patch.of_commit(Repository(root), sha)
    assert len(lines) < patch.MOST_LINES + 20
    assert f"`git show {sha[:10]}` has all" in lines[-1].text and "cut after 5,000 lines" in lines[-1].text
    assert texts(lines, Kind.COUNT)[0] == "2 files · +20,001 -0"
    broad = patch.of_commit(
        Repository(root), commit(root, "broad", **{f"n{n}": "1\n2\n" for n in range(3000)})
    )
    assert "cut after 5,000 lines" in broad[-1].text and texts(broad, Kind.ADDED)
    wide = patch.of_commit(Repository(root), commit(root, "wide", c="y" * 9_000_000))
    assert max(len(line.text) for line in wide) < 1100
    assert "has all" in wide[-1].text


def test_hostile_text_in_a_diff_is_only_text(root: Path) -> None:
    sha = commit(root, "s\x1b]0;t\x07", **{"n\x1b[2J": "\x1b[31mred\x9b\u202e\n"})
    lines = patch.of_commit(Repository(root), sha)
    assert texts(lines, Kind.ADDED) == ["[31mred"]
    assert not any("\x1b" in line.text or "\x07" in line.text for line in lines)


# --- The pane ---------------------------------------------------------------------------------------------

Test = Callable[[Pilot[int], GitList], Coroutine[None, None, None]]


def console(root: Path, test: Test, size: tuple[int, int] = (80, 24)) -> None:
    async def main() -> None:
        async with Console(RunDir.at(root)).run_test(size=size) as pilot:
            await pilot.press("4")
            await test(pilot, pilot.app.screen.query_one(GitList))

    asyncio.run(main())


def rows(shown: LineList) -> list[str]:
    return [shown.render_line(y).text.rstrip() for y in range(shown.size.height)]


async def until(pilot: Pilot[int], fits: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not fits():
            await pilot.pause(0.01)


def test_the_pane_begins_without_git_and_finds_it(tmp_path: Path) -> None:
    async def test(pilot: Pilot[int], log: GitList) -> None:
        await until(pilot, lambda: "no git repository" in rows(log)[0])
        git(tmp_path, "init", "-q", "-b", "main")
        await until(pilot, lambda: "No commit yet." in rows(log)[0])
        commit(tmp_path, "begin", a="1")
        await until(pilot, lambda: any("begin" in row for row in rows(log)))

    console(tmp_path, test)


def test_the_log_shows_commits_changes_and_checkpoints_as_they_come(root: Path) -> None:
    one = commit(root, "one", a="1")
    write(
        root,
        ev.SessionStarted(session=3, role="generator", sdk_session="s", model="m", feature="F001"),
        ev.Commit(session=3, role="generator", sha=one, subject="one", by="generator"),
        ev.CheckpointOpened(session=3, id="7", kind="feature", subject_hash="h"),
    )

    async def test(pilot: Pilot[int], log: GitList) -> None:
        await until(pilot, lambda: "session 3 · generator · F001" in rows(log)[0])
        assert "checkpoint 7 · feature · waits for you" in rows(log)[1]
        assert rows(log)[2].split()[:3] == [one[:7], "main", "one"]
        (root / "a").write_text("2")
        await until(pilot, lambda: rows(log)[0] == "± 1 file changed, not committed")
        two = commit(root, "two")
        await until(pilot, lambda: two[:7] in rows(log)[1])
        assert "outside · Ada" in rows(log)[0]

    console(root, test)


def test_enter_opens_the_diff_and_escape_closes_it(root: Path) -> None:
    sha = commit(root, "one", a="1\n")
    commit(root, "two", b="2\n", c="3\n")
    (root / "a").write_text("4\n")

    async def test(pilot: Pilot[int], log: GitList) -> None:
        await until(pilot, lambda: "not committed" in rows(log)[0] and sha[:7] in rows(log)[3])
        await pilot.press("enter")
        await opened(pilot, "+ 4")
        await pilot.press("escape", "j", "enter")
        await opened(pilot, "+ 2")
        await pilot.press("q", "j", "enter")
        shown = await opened(pilot, "+ 2")
        await pilot.press("right_square_bracket", "right_square_bracket")
        assert rows(shown)[shown.scroll_offset.y :] and shown.cursor_key
        await pilot.press("slash", "3", "enter", "y")
        await until(pilot, lambda: pilot.app.clipboard == "3")
        await pilot.press("escape", "j", "y")
        await until(pilot, lambda: pilot.app.clipboard == sha)

    console(root, test)


async def opened(pilot: Pilot[int], text: str) -> LineList:
    await until(pilot, lambda: isinstance(pilot.app.screen, DiffScreen))
    shown = pilot.app.screen.query_one(LineList)
    await until(pilot, lambda: any(row.endswith(text) for row in rows(shown)))
    return shown


def test_a_filter_finds_commits_by_session_and_feature(root: Path) -> None:
    one, two = commit(root, "one"), commit(root, "two")
    write(
        root,
        ev.SessionStarted(session=3, role="generator", sdk_session="s", model="m", feature="F001"),
        ev.Commit(session=3, role="generator", sha=one, subject="one", by="generator"),
    )

    async def test(pilot: Pilot[int], log: GitList) -> None:
        await until(pilot, lambda: two[:7] in rows(log)[1] and "F001" in rows(log)[2])
        await pilot.press("f", *"f001", "enter")
        await until(pilot, lambda: len(log.rows) == 2)
        assert one[:7] in rows(log)[1]

    console(root, test)


def test_more_commits_are_read_when_the_end_is_reached(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.console.panes.git.PAGE", 4)
    shas = [commit(root, f"c{n}") for n in range(9)]

    async def test(pilot: Pilot[int], log: GitList) -> None:
        await until(pilot, lambda: "more …" in rows(log))
        assert shas[4][:7] not in " ".join(rows(log))
        await pilot.press("G")
        await until(pilot, lambda: shas[1][:7] in " ".join(rows(log)))
        await pilot.press("G")
        await until(pilot, lambda: shas[0][:7] in " ".join(rows(log)) and "more …" not in rows(log))

    console(root, test)


def test_hostile_names_are_shown_as_text(root: Path) -> None:
    commit(root, "[@click=app.exit]x[/] [/foo] \x1b]52;c;aGk=\x07")

    async def test(pilot: Pilot[int], log: GitList) -> None:
        await until(pilot, lambda: "[@click=app.exit]x[/] [/foo] ]52;c;aGk=" in " ".join(rows(log)))

    console(root, test)

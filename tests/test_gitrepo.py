"""The run's repository: ready whatever was there before, and never acting for anyone else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from harness_core.errors import Mistake
from harness_core.layout import NEVER_COMMITTED, RunDir
from harness_core.machine import ballast
from harness_core.machine.gitrepo import GitRepo
from harness_core.record import events as ev
from harness_core.record.history import History
from harness_core.record.journal import Tail
from harness_core.run import Run
from tests.conftest import OpenRun

Spawn = Callable[..., BaseProcess]


@pytest.fixture(autouse=True)
def no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nobody has told git who they are."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    return path


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def untracked(root: Path) -> list[str]:
    return git(root, "ls-files", "-o", "--exclude-standard").splitlines()


def prepared(root: Path) -> GitRepo:
    repo = GitRepo(RunDir.at(root))
    repo.prepare()
    return repo


def commit(repo: GitRepo, name: str = "a.txt", message: str = "work") -> str:
    path = repo.run.root / name
    path.write_text(f"{path.read_text() if path.exists() else ''}more\n")
    sha = repo.commit_all(message)
    assert sha
    return sha


def test_a_fresh_directory_becomes_a_repository_on_main_that_can_commit(root: Path) -> None:
    repo = prepared(root)
    assert repo.head() is None
    assert repo.commits(None, "HEAD") == []
    sha = commit(repo)
    assert sha == git(root, "rev-parse", "main") == repo.head()
    assert git(root, "log", "-1", "--format=%an") == "Longwatch"


def test_an_identity_that_is_there_is_kept(root: Path) -> None:
    git(root, "init", "-q", "-b", "trunk")
    git(root, "config", "user.name", "Ada")
    git(root, "config", "user.email", "ada@example.org")
    commit(prepared(root))
    assert git(root, "log", "-1", "--format=%an %ae") == "Ada ada@example.org"
    assert git(root, "branch", "--show-current") == "trunk"


def test_longwatch_files_are_never_committed(root: Path) -> None:
    prepared(root)
    for name in ("STEER.md", "STEER.next.md", "AGENT_STOP", "AGENT_FINISH", "kept.txt"):
        (root / name).write_text("x")
    (root / ".longwatch").mkdir()
    (root / ".longwatch" / "journal.jsonl").write_text("x")
    assert untracked(root) == ["kept.txt"]
    git(root, "add", "-A")
    assert git(root, "diff", "--cached", "--name-only") == "kept.txt"


def test_the_exclude_file_keeps_what_it_had_to_the_byte(root: Path) -> None:
    git(root, "init", "-q")
    exclude = root / ".git" / "info" / "exclude"
    exclude.write_bytes(b"mine-\xe9\xff")
    for _ in range(3):
        prepared(root)
    lines = exclude.read_bytes().splitlines()
    assert lines[0] == b"mine-\xe9\xff"
    assert sorted(lines) == sorted(set(lines))
    assert set(lines) >= {name.encode() for name in NEVER_COMMITTED}


def test_commits_are_told_oldest_first_with_their_subjects(root: Path) -> None:
    repo = prepared(root)
    first = commit(repo, message="one")
    commit(repo, message="two: ünïcode\n\nand a body")
    last = commit(repo, message='three "quoted" $(x)')
    assert next(iter(repo.commits(None, last))).subject == "one"
    told = repo.commits(first, last)
    assert [info.subject for info in told] == ["two: ünïcode", 'three "quoted" $(x)']
    assert told[-1].sha == last
    assert len(repo.commits("0" * 40, last)) == 3


def journaled(run: Run) -> list[str]:
    return [event.sha for event in Tail(run.dir.journal).read_all() if isinstance(event, ev.Commit)]


def test_a_commit_is_journaled_once_wherever_head_goes(root: Path, open_run: OpenRun) -> None:
    run = open_run(root)
    history = History(run)
    shas = []

    def work(name: str) -> None:
        shas.append(commit(run.git, name))
        history.note("generator")

    def go(sha: str) -> None:
        git(root, "reset", "-q", "--hard", sha)
        history.note("generator")

    work("a.txt")
    work("b.txt")
    go(shas[0])
    go(shas[1])
    assert journaled(run) == shas
    go(shas[0])
    work("c.txt")
    go(shas[1])
    history = History(open_run(root))
    go(shas[2])
    git(root, "merge", "-q", "-m", "Both", shas[1])
    history.note("generator")
    assert journaled(run) == [*shas, git(root, "rev-parse", "HEAD")]


@pytest.mark.parametrize("by", ["outside", "evaluator", "generator"])
def test_a_commit_that_the_engine_was_killed_over_is_its_own_where_nobody_else_commits(
    root: Path, open_run: OpenRun, by: str
) -> None:
    run = open_run(root)
    commit(run.git, "a.txt", "longwatch: a stands")
    commit(run.git, "b.txt", "somebody's")
    History(run).note(by)
    told = [event.by for event in Tail(run.dir.journal).read_all() if isinstance(event, ev.Commit)]
    assert told == ["generator" if by == "generator" else "engine", by]


def test_no_commit_of_many_is_left_out(root: Path, open_run: OpenRun) -> None:
    run = open_run(root)
    many = "".join(
        f"commit refs/heads/main\ncommitter A <a@localhost> {number} +0000\ndata 2\n{number % 10}\n\n"
        for number in range(1, 302)
    )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, check=True, input=many.encode())
    History(run).note("generator")
    assert journaled(run) == git(root, "rev-list", "--reverse", "main").splitlines()
    assert len(journaled(run)) == 301


def test_head_follows_packed_refs_and_a_detached_head(root: Path) -> None:
    repo = prepared(root)
    first, last = commit(repo), commit(repo)
    git(root, "pack-refs", "--all")
    assert repo.head() == last
    git(root, "checkout", "-q", "--detach", first)
    assert repo.head() == first


@pytest.mark.parametrize("name", ["HEAD", "refs/heads/main", "packed-refs"])
def test_a_pipe_among_the_refs_is_no_ref_and_not_waited_for(root: Path, spawn: Spawn, name: str) -> None:
    repo = prepared(root)
    commit(repo)
    for path in {root / ".git" / name, root / ".git" / "refs/heads/main"}:
        path.unlink(missing_ok=True)
    os.mkfifo(root / ".git" / name)
    reader = spawn(lambda: sys.exit(repo.head() is not None))
    reader.join(10)
    assert reader.exitcode == 0


def test_what_has_changed_is_named_by_its_whole_path(root: Path) -> None:
    repo = prepared(root)
    first = commit(repo, "old name.txt")
    commit(repo, "ünïcode.txt")
    assert repo.changed_since(None) == ["old name.txt", "ünïcode.txt"]
    assert repo.changed_since(first) == ["ünïcode.txt"]
    git(root, "mv", "old name.txt", "new name.txt")
    (root / "line\nbreak").write_text("x")
    repo.commit_all("move")
    assert set(repo.changed_since(first)) == {"line\nbreak", "new name.txt", "old name.txt", "ünïcode.txt"}


def test_with_nothing_to_commit_nothing_is_committed(root: Path) -> None:
    repo = prepared(root)
    sha = commit(repo)
    assert repo.commit_all("again") is None
    assert repo.head() == sha


def test_hooks_that_an_agent_could_have_written_do_not_run(root: Path) -> None:
    repo = prepared(root)
    first = commit(repo)
    commits = ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit")
    for name in (*commits, "post-index-change", "reference-transaction"):
        hook = root / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch ran-{name}\nexit 1\n")
        hook.chmod(0o755)
    commit(repo)
    repo.bring_back(first, "back")
    assert not list(root.glob("ran-*"))


def test_only_what_is_named_is_committed_and_nothing_that_git_passes_over(root: Path) -> None:
    repo = prepared(root)
    (root / ".gitignore").write_text("contracts/\n")
    commit(repo)
    (root / "contracts").mkdir()
    for name in ("contracts/01.md", "mine.md", "theirs.md"):
        (root / name).write_text("x")
    assert repo.commit_all("none of it", "contracts/01.md") is None
    assert repo.commit_all("mine", "contracts/01.md", "mine.md", "gone.md") == repo.head()
    assert git(root, "show", "--name-only", "--format=%s").split() == ["mine", "mine.md"]
    assert untracked(root) == ["theirs.md"]


def test_what_was_comes_back_as_a_commit_and_nothing_is_lost(root: Path) -> None:
    repo = prepared(root)
    wanted = commit(repo, "a.txt")
    commit(repo, "b.txt")
    (root / "a.txt").write_text("not committed yet")
    for _ in range(2):
        repo.bring_back(wanted, "a stands")
        assert git(root, "rev-parse", "HEAD^{tree}") == git(root, "rev-parse", f"{wanted}^{{tree}}")
        assert git(root, "status", "--porcelain") == "" and not (root / "b.txt").exists()
        assert git(root, "log", "--format=%s").splitlines().count("a stands") == 1
    assert git(root, "show", "HEAD~:a.txt") == "not committed yet"
    assert git(root, "show", "HEAD~:b.txt") == "more"


def test_bringing_back_goes_on_where_it_was_killed(root: Path) -> None:
    repo = prepared(root)
    wanted = commit(repo, "a.txt")
    commit(repo, "b.txt")
    repo.bring_back(wanted, "a stands")
    stands = repo.head()
    # As if it had been killed before the files were there, by a git that held the index.
    git(root, "read-tree", "-u", "--reset", "HEAD~")
    (root / ".git" / "index.lock").touch()
    repo.bring_back(wanted, "a stands")
    assert repo.head() == stands
    assert git(root, "status", "--porcelain") == "" and not (root / "b.txt").exists()


def test_a_commit_that_git_refuses_is_told_in_a_sentence_of_its_own(root: Path) -> None:
    repo = prepared(root)
    (root / "a.txt").write_text("x")
    (root / ".git" / "index").write_bytes(b"garbage")
    with pytest.raises(OSError, match="git could not commit: ") as refused:
        repo.commit_all("work")
    assert "\n" not in str(refused.value) and "Cmd(" not in str(refused.value)


@pytest.mark.parametrize(
    "names", [["index"], ["HEAD"], ["refs/heads/main"], ["index", "HEAD", "refs/heads/main"]]
)
def test_locks_that_a_killed_git_left_are_taken_away(root: Path, names: list[str]) -> None:
    repo = prepared(root)
    commit(repo)
    for name in names:
        (root / ".git" / f"{name}.lock").touch()
    assert commit(repo) == git(root, "rev-parse", "HEAD")
    assert not list((root / ".git").rglob("*.lock"))


def test_a_lock_that_a_git_still_holds_stays(root: Path) -> None:
    repo = prepared(root)
    head = commit(repo)
    (root / "a.txt").write_text("changed")
    # An editor is what git waits for, with its lock held.
    editor = "sh -c 'touch here; until [ -e enough ]; do sleep 0.05; done'"
    holder = subprocess.Popen(["git", "commit", "-aq"], cwd=root, env={**os.environ, "GIT_EDITOR": editor})
    try:
        while not (root / "here").exists():
            assert holder.poll() is None
            time.sleep(0.01)
        with pytest.raises(OSError, match=r"^git could not commit: .*index\.lock.*File exists"):
            repo.commit_all("work")
        assert (root / ".git" / "index.lock").exists()
        assert repo.head() == head
    finally:
        (root / "enough").touch()
        holder.wait()


def test_source_candidates_are_tracked_or_would_be(root: Path) -> None:
    repo = prepared(root)
    commit(repo)
    (root / ".gitignore").write_text("ignored/\n")
    (root / "ignored").mkdir()
    (root / "ignored" / "x").write_text("x")
    (root / "new.txt").write_text("x")
    assert sorted(set(repo.source_candidates())) == [".gitignore", "a.txt", "new.txt"]


def test_remotes_are_read_anew_when_the_configuration_changes(root: Path) -> None:
    repo = prepared(root)
    assert repo.remotes() == frozenset()
    git(root, "remote", "add", "origin", "https://example.org/x.git")
    assert repo.remotes() == {"origin"}


@pytest.mark.parametrize("damage", ["gitdir: /nowhere", "garbage"])
def test_a_repository_that_is_none_gets_a_sentence(root: Path, damage: str) -> None:
    (root / ".git").write_text(damage)
    with pytest.raises(Mistake, match=r"mend or move its \.git"):
        GitRepo(RunDir.at(root))


def test_a_broken_git_configuration_gets_a_sentence(root: Path) -> None:
    git(root, "init", "-q")
    (root / ".git" / "config").write_text("[core\nnonsense")
    with pytest.raises(Mistake, match="mend"):
        prepared(root)


def test_a_missing_git_gets_a_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    with pytest.raises(Mistake, match="git is not installed"):
        GitRepo(RunDir.at(root))


def test_what_is_downloaded_built_or_big_stays_out_of_the_engines_commits(root: Path) -> None:
    repo = prepared(root)
    commit(repo)
    files = {
        "node_modules/left/index.js": 10,
        "web/node_modules/right/index.js": 10,
        "tools/venv/pyvenv.cfg": 10,
        "tools/venv/lib/a.py": 10,
        "rust/Cargo.toml": 10,
        "rust/target/debug/a.o": 10,
        "odd [name]#*.bin": (5 << 20) + 1,
        "nearly.bin": 5 << 20,
        "game/target/arrow.js": 10,
        "venv/notes.md": 10,
        "odd x.bin": 10,
    }
    for name, size in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * size)
    assert repo.commit_all("all of it")
    took = set(git(root, "show", "--name-only", "--format=", "-z", "HEAD").strip("\0").split("\0"))
    assert took == {"rust/Cargo.toml", "nearly.bin", "game/target/arrow.js", "venv/notes.md", "odd x.bin"}
    assert untracked(root) == [], "an agent's `git add -A` passes over it too"
    told = list(repo.left_out)
    assert {"/rust/target/", "/tools/venv/"} < set(told) and len(told) == 3
    assert repo.commit_all("again") is None and repo.left_out == told


@pytest.mark.parametrize(
    ("command", "may"),
    [
        ("git add -A", True),
        ("cd web && git  -c user.name=x commit -am 'all'", True),
        ("git stash -u", True),
        ("git status; ls add", False),
        ("git log --grep add | head", True),
        ("echo 'legit commitment'", False),
    ],
)
def test_what_may_take_files_into_a_commit_is_known(command: str, may: bool) -> None:
    assert ballast.commits(command) is may


def test_what_the_project_wants_in_spite_of_it_is_told_once(root: Path) -> None:
    repo = prepared(root)
    (root / ".gitignore").write_text("!model.bin\n")
    (root / "model.bin").write_bytes(b"x" * ((5 << 20) + 1))
    assert [repo.leave_out() for _ in range(2)] == [["/model.bin"], []]


def test_a_name_that_is_no_text_and_one_of_two_lines_do_no_harm(root: Path) -> None:
    repo = prepared(root)
    big = b"x" * ((5 << 20) + 1)
    for name in (b"\xff.bin", b"a\n*"):
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(big)
    (root / "a.txt").write_text("work")
    assert repo.commit_all("all of it")
    assert "a.txt" in git(root, "show", "--name-only", "--format=", "HEAD")
    assert ".bin" not in git(root, "ls-files")

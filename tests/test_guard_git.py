"""The guard reads a git command as git itself does, and knows where its paths and branches lie."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness_core.guards import GuardContext
from harness_core.guards.shell_git_options import OPTIONS, read
from tests.shell_judging import judge

TOLD = re.compile(r"    (?:-(\w)(?:, |(?=[ \[])|$))?(?:--([\w-]+))?(\[=?[<(.]?| (?=[<({\[.]))?")
"""An option in what `git SUBCOMMAND -h` prints: letter, long name, and what begins its value."""


def git(*words: str, cwd: Path) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    done = subprocess.run(["git", *identity, *words], cwd=cwd, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def told(name: str, cwd: Path) -> Iterator[tuple[str, str]]:
    """The options of a subcommand as this machine's git tells of them, each with its way to take a value."""
    for line in git(*name.split(), "-h", cwd=cwd).splitlines():
        option = TOLD.match(line)
        if option and line.startswith("    -"):
            way = {"[": "attached", " ": "needed"}.get((option[3] or "")[:1], "none")
            yield from ((f"-{option[1]}", way) for _ in filter(None, [option[1]]))
            yield from ((f"--{option[2]}", way) for _ in filter(None, [option[2]]))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("repository").resolve()
    git("init", "-q", "-b", "main", cwd=place)
    return place


@pytest.mark.parametrize("name", [name for name in OPTIONS if not name.startswith("submodule")])
def test_an_option_takes_the_value_that_git_gives_it(name: str, repository: Path) -> None:
    options = dict(told(name, repository))
    assert options
    wrong = []
    for option, way in options.items():
        call = read(name.split(maxsplit=1)[0], [*name.split()[1:], option, "value"], ())
        if (call.words == []) != (way == "needed"):
            wrong.append(option)
    assert wrong == []


@pytest.mark.parametrize(
    ("words", "options", "operands"),
    [
        ("clean -fden", {"force": [""], "d": [""], "exclude": ["n"]}, []),
        ("clean --ex -n -f x", {"exclude": ["-n"], "force": [""]}, ["x"]),
        ("clean --dry --no-dry", {"dry-run": [""], "no-dry-run": [""]}, []),
        ("commit -qm --amend", {"q": [""], "message": ["--amend"]}, []),
        ("commit -S x -m y", {"gpg-sign": [""], "message": ["y"]}, ["x"]),
        ("tag -n5 --no-merged v1", {"n": ["5"], "no-merged": ["v1"]}, []),
        ("fetch -j 4 --depth=1 x", {"jobs": ["4"], "depth": ["1"]}, ["x"]),
        ("reset - -q", {"q": [""]}, ["-"]),
        ("log --output=x --unknown y", {"output": ["x"], "unknown": [""]}, ["y"]),
    ],
)
def test_words_are_options_with_their_values_and_operands(
    words: str, options: dict[str, list[str]], operands: list[str]
) -> None:
    name, *rest = words.split()
    call = read(name, rest, ())
    assert (call.name, call.options, call.operands, call.paths) == (name, options, operands, None)


def test_a_verb_is_part_of_the_name_and_two_dashes_end_the_options() -> None:
    call = read("worktree", ["add", "--reason", "-b", "wt", "--", "-f"], ())
    assert (call.name, call.options, call.words) == ("worktree add", {"reason": ["-b"]}, ["wt", "-f"])
    assert read("notes", ["--ref", "add", "show"], ()).name == "notes show"
    assert read("stash", ["-q", "--", "drop"], ()).name == "stash push"
    assert read("stash", [], ()).name == "stash push"
    assert read("remote", ["-v"], ()).name == "remote"


def test_a_push_needs_an_opened_remote(tmp_path: Path) -> None:
    opened = GuardContext(tmp_path, remotes=lambda: frozenset({"origin"}))
    assert judge("git push origin main", opened) is None
    assert judge("git push --force origin main", opened) is not None
    assert judge("git push origin +main", opened) is not None
    assert judge("git push elsewhere main", opened) is not None


def test_main_is_taken_from_no_other_branch(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    rename, ctx = "git branch -M main", GuardContext(root)
    assert judge(rename, ctx) is None
    git("init", "-q", "-b", "main", cwd=root)
    git("commit", "-q", "--allow-empty", "-m", "Begin", cwd=root)
    assert judge(rename, ctx) is None
    git("switch", "-q", "-c", "other", cwd=root)
    assert judge(rename, ctx) is not None
    git("pack-refs", "--all", cwd=root)
    assert judge(rename, ctx) is not None
    git("branch", "-m", "main", "before", cwd=root)
    assert judge(rename, ctx) is None


def test_what_is_reset_must_be_a_file(tmp_path: Path) -> None:
    ctx = GuardContext(tmp_path.resolve())
    denial = judge("git reset notes.txt", ctx)
    assert denial is not None and "git reset -- FILE" in denial.reason
    assert judge("git reset -- notes.txt", ctx) is None
    (tmp_path / "notes.txt").write_text("x")
    assert judge("git reset notes.txt", ctx) is None
    assert judge("git reset notes.txt --", ctx) is not None


def test_paths_from_the_top_start_at_the_repository(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    (root / "inner" / "src").mkdir(parents=True)
    git("init", "-q", cwd=root)
    ctx = GuardContext(root, cwd=root / "inner" / "src")
    assert judge("git checkout -- :/feature_list.json", ctx) is not None
    git("init", "-q", cwd=root / "inner")
    assert judge("git checkout -- :/feature_list.json", ctx) is None
    assert judge("git checkout -- ../../feature_list.json", ctx) is not None

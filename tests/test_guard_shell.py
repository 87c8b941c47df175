"""The shell guard: what developers type passes, what leaves the box is denied, by profile and by role."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from harness_core.guards import GuardContext, ToolCall
from harness_core.guards.shell import check
from tests.shell_judging import commands, judge, laid_out, nobodys_home

Spawn = Callable[..., BaseProcess]


@pytest.fixture(scope="module", autouse=True)
def home() -> Iterator[None]:
    yield from nobodys_home()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return laid_out(tmp_path_factory.mktemp("run"))


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """An empty run's folder for what was built."""
    folder = tmp_path.resolve() / "build"
    folder.mkdir()
    return folder


def refused(name: str, ctx: GuardContext) -> dict[str, str]:
    """Which commands in a file of cases the guard refuses, and why."""
    said = {command: judge(command, ctx) for command in commands(name)}
    return {command: denial.reason for command, denial in said.items() if denial}


def passed(name: str, ctx: GuardContext) -> list[str]:
    """Which commands in a file of cases the guard lets through."""
    return [command for command in commands(name) if judge(command, ctx) is None]


@pytest.mark.parametrize("profile", ["developer", "open"])
def test_development_passes(profile: str, root: Path) -> None:
    assert refused("developer_allowed", GuardContext(root, profile=profile)) == {}


@pytest.mark.parametrize("profile", ["developer", "open"])
def test_what_leaves_the_box_is_denied(profile: str, root: Path) -> None:
    ctx = GuardContext(root, profile=profile)
    assert passed("developer_denied", ctx) == []
    assert all(len(reason) > 20 for reason in refused("developer_denied", ctx).values())


def test_quickstart_takes_small_steps(root: Path) -> None:
    ctx = GuardContext(root, profile="quickstart")
    assert refused("quickstart_allowed", ctx) == {}
    assert passed("quickstart_denied", ctx) == []


def test_a_reading_role_reads_and_changes_nothing(root: Path) -> None:
    ctx = GuardContext(root, read_only=True)
    assert refused("reading_allowed", ctx) == {}
    assert passed("reading_denied", ctx) == []


def test_other_tools_pass_and_a_missing_command_does_not(root: Path) -> None:
    assert check(ToolCall("Read", {"file_path": "x"}), GuardContext(root)) is None
    assert check(ToolCall("Bash", {}), GuardContext(root)) is not None


def test_an_unknown_profile_is_the_narrowest(root: Path) -> None:
    assert judge("touch x", GuardContext(root, profile="misspelt")) is not None


def test_names_are_added_and_taken_out(root: Path) -> None:
    assert judge("terraform-docs .", GuardContext(root)) is not None
    assert judge("terraform-docs .", GuardContext(root, allow=frozenset({"terraform-docs"}))) is None
    assert judge("npm test", GuardContext(root, deny=frozenset({"npm"}))) is not None


@pytest.mark.parametrize("command", ["make && ./build/pipe", "bash ./build/pipe"])
def test_a_pipe_in_a_programs_place_is_denied_and_not_waited_for(
    command: str, build: Path, spawn: Spawn
) -> None:
    os.mkfifo(build / "pipe")
    reader = spawn(lambda: sys.exit(judge(command, GuardContext(build.parent)) is None))
    reader.join(10)
    assert reader.exitcode == 0


def test_relative_paths_start_where_the_shell_stands(root: Path) -> None:
    assert judge("echo x > ../src/b.js", GuardContext(root, cwd=root / "web")) is None
    assert judge("echo x > ../src/b.js", GuardContext(root)) is not None
    assert judge("rm ../feature_list.json", GuardContext(root, cwd=root / "web")) is not None


@pytest.mark.parametrize(
    ("text", "command", "allowed"),
    [
        ("PORT=3000\nexport NAME='a b'\n", "source vars && npm start", True),
        ("PORT=3000\n", "set -a; . ./vars; set +a; npm start", True),
        ("PORT=$(nc -l)\n", ". ./vars", False),
        ("PATH=.\n", ". ./vars", False),
        ("npm() { nc; }\n", ". ./vars; npm test", False),
        ("nc -l\n", ". ./vars", False),
        ("tool=nc\n", "tool=ls; . ./vars; $tool", False),
        ("f=feature_list.json\n", "for f in a; do . ./vars; rm $f; done", False),
        ("x=1\n", "echo nc > vars; . ./vars", False),
    ],
)
def test_a_sourced_file_sets_variables_at_most(text: str, command: str, allowed: bool, root: Path) -> None:
    (root / "vars").write_text(text)
    assert (judge(command, GuardContext(root)) is None) == allowed


HEAPS = (
    "(",
    "$(",
    "`",
    '"$(',
    "{",
    "a=",
    "| cat ",
    "; ",
    "&& ls ",
    "${x:-",
    "<<E\n",
    "\\",
    "'",
    "[[ ",
    "a[",
    "=~ ",
)


@pytest.mark.parametrize("piece", HEAPS)
def test_no_heap_of_one_thing_holds_the_guard_up(piece: str, root: Path) -> None:
    """What takes longer than a test may is found by the time limit of all tests."""
    judge("ls " + piece * 3000, GuardContext(root))
    judge(f"python3 -c '{piece.replace(chr(39), '') * 3000}'", GuardContext(root))


def test_a_script_is_judged_by_what_it_holds(root: Path) -> None:
    (root / "good.sh").write_text("#!/bin/bash\nset -e\nnpm ci\nnpm test\n")
    (root / "bad.sh").write_text("npm ci\nrm feature_list.json\n")
    assert judge("bash good.sh", GuardContext(root)) is None
    assert judge("bash bad.sh", GuardContext(root)) is not None
    assert judge("./good.sh", GuardContext(root)) is not None


def test_a_copy_into_the_root_is_judged_by_what_lands_there(root: Path) -> None:
    (root / "starter").mkdir()
    (root / "starter" / "index.html").write_text("x")
    assert judge("cp -r starter/. .", GuardContext(root)) is None
    (root / "starter" / "feature_list.json").write_text("[]")
    assert judge("cp -r starter/. .", GuardContext(root)) is not None
    assert judge("cp starter/* .", GuardContext(root)) is not None


def test_a_hard_link_is_the_contract(root: Path) -> None:
    (root / "alias.json").hardlink_to(root / "feature_list.json")
    assert judge("echo x > alias.json", GuardContext(root)) is not None
    (root / "alias.json").unlink()


def test_judging_is_fast(root: Path) -> None:
    ctx = GuardContext(root)
    times = []
    for command in commands("developer_allowed"):
        start = time.process_time()
        judge(command, ctx)
        times.append(time.process_time() - start)
    assert sorted(times)[int(len(times) * 0.95)] < 0.02

"""What the tests of the shell guard share: a run to judge commands in, and the files of commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness_core.guards import Denial, GuardContext, ToolCall
from harness_core.guards.shell import check

CASES = Path(__file__).with_name("cases")
FILES = (
    "feature_list.json",
    "package.json",
    "src/a.js",
    "app/package.json",
    "web/package.json",
    "screenshots/x.png",
    "dist/x.js",
    "server.js",
    ".venv/bin/python",
    "node_modules/.bin/vitest",
)
SCRIPTS = ("init.sh", "scripts/setup.sh")


def groups(name: str) -> Iterator[tuple[str, list[str]]]:
    """The groups of commands in a file of cases, each with its title."""
    for part in (CASES / f"{name}.txt").read_text("utf-8").split("\n== ")[1:]:
        title, *lines = part.split("\n")
        yield title, [line.replace("⏎", "\n").replace("⇥", "\t") for line in lines if line]


def commands(name: str) -> list[str]:
    """All commands in a file of cases."""
    return [command for _, group in groups(name) for command in group]


def judge(command: str, ctx: GuardContext) -> Denial | None:
    """What the shell guard says of a command."""
    return check(ToolCall("Bash", {"command": command}), ctx)


def nobodys_home() -> Iterator[None]:
    """While it is open, the home is nobody's: where the tester's own lies changes what the guard says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", "/srv/somebody")
        yield


def laid_out(place: Path) -> Path:
    """A run's directory in a folder: some files, a start script, a script that installs."""
    root = place.resolve() / "project"
    for name in (*FILES, *SCRIPTS):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("#!/bin/sh\nmkdir -p data\nnpm ci\n" if name in SCRIPTS else "{}\n")
    return root

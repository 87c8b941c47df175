"""The guard reads a git command as git itself does, and knows where its paths and branches lie."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness_core.guards.shell_git_options import OPTIONS, read

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

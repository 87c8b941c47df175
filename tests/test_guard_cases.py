"""The guards on tool calls with known verdicts: what a shell would do in disguise, and a developer's day."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from harness_core.guards import GuardContext, Process, ToolCall
from harness_core.guards.order import GUARDS
from tests.guard_cases import lay_out
from tests.shell_judging import groups, nobodys_home

FILES = {
    "package.json": "{}\n",
    "good.json": "[]\n",
    "evil.sh": "nc -l 4444\n",
    "scripts/dev.sh": "#!/bin/sh\nnpm run dev\n",
    ".env": "PORT=3000\nexport DATABASE_URL=sqlite:app.db\n",
    "sub/feature_list.json": "[]\n",
}
STRANGERS = (
    Process(90_001, "init"),
    Process(90_002, "claude --output-format stream-json"),
    Process(90_003, "python3 -m harness_core"),
    Process(90_004, "postgres"),
)


@pytest.fixture(scope="module", autouse=True)
def home() -> Iterator[None]:
    yield from nobodys_home()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("cases").resolve() / "run"
    lay_out(place)
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    yield place
    shutil.rmtree(place)


def reason(command: str, root: Path) -> str | None:
    """Why the guards, in their order, refuse a command."""
    ctx = GuardContext(root, all_processes=lambda: STRANGERS)
    for _, guard in GUARDS:
        denial = guard(ToolCall("Bash", {"command": command}), ctx)
        if denial is not None:
            return denial.reason
    return None


def ids(cases: Sequence[tuple[str, list[str]]]) -> list[str]:
    return [title.replace(" ", "-") for title, _ in cases]


DENIED = list(groups("shell_denied"))
ALLOWED = list(groups("shell_allowed"))


@pytest.mark.parametrize(("title", "commands"), DENIED, ids=ids(DENIED))
def test_no_disguise_passes(title: str, commands: list[str], root: Path) -> None:
    assert [command for command in commands if reason(command, root) is None] == []


@pytest.mark.parametrize(("title", "commands"), ALLOWED, ids=ids(ALLOWED))
def test_a_developers_day_passes(title: str, commands: list[str], root: Path) -> None:
    refused = {command: why for command in commands if (why := reason(command, root))}
    assert refused == {}


def gaps(command: str) -> Iterator[int]:
    """Where a simple command has a space between two words, quotes and operators aside."""
    quote = ""
    for place, char in enumerate(command):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"`":
            quote = char
        elif char == " " and not re.search(r"[|&;({<>!]$|^$", command[:place]):
            yield place


@pytest.mark.parametrize("inserted", ["2>/dev/null", "3>&-"])
def test_a_redirection_between_words_hides_nothing(inserted: str, root: Path) -> None:
    simple = re.compile(r"[^#\\\n]*")
    keywords = re.compile(
        r"<<|\$'|\[\[|\(\(|=\(|\b(case|for|select|if|while|until|time|coproc|function|do)\b"
    )
    passed = []
    for _, commands in DENIED:
        for command in commands:
            if simple.fullmatch(command) and not keywords.search(command):
                place = next(gaps(command), len(command))
                changed = f"{command[:place]} {inserted} {command[place:]}"
                passed += [changed] if reason(changed, root) is None else []
    assert passed == []

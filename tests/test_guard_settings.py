"""The operator's settings and own prompts: no agent writes them, by whatever call."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness_core.guards import GuardContext, ToolCall
from harness_core.guards.order import GUARDS

# Data for Python alone: never hand one of these to a shell.
SHELL = (
    "echo x > {F}",
    "echo x >> ./{F}",
    "echo x | tee {F}",
    "mv other {F}",
    "mv {F} gone",
    "cp other {F}",
    "install -m 644 other {F}",
    "ln -sf other {F}",
    "rm {F}",
    "sed -i s/a/b/ {F}",
    "truncate -s 0 {F}",
    "touch {F}",
    "chmod 600 {F}",
    "dd if=other of={F}",
    "perl -pi -e s/a/b/ {F}",
    "git checkout {F}",
    "git checkout HEAD~1 -- {F}",
    "git checkout HEAD~1 .",
    "git restore {F}",
    "git restore --source=HEAD~1 .",
    "git rm {F}",
    "git mv {F} gone",
    "git mv other {F}",
    "git show HEAD:{F} > {F}",
    "tar xf a.tar {F}",
    "curl -s http://localhost:3000/x -o {F}",
    "patch {F} a.patch",
    "cat > {F} <<'END'\n[sandbox]\nmode = \"off\"\nEND",
    "python3 -c \"open('{F}', 'w').write('x')\"",
    "node -e \"require('fs').writeFileSync('{F}', '')\"",
    "find . -name other -exec cp {} {F} ;",
    "cd sub && echo x > ../{F}",
)
PLACES = ("longwatch.toml", ".longwatch/prompts/generator.md")
TOOLS = (
    ("Write", {"content": "x"}, "file_path"),
    ("Edit", {"old_string": "a", "new_string": "b"}, "file_path"),
    ("MultiEdit", {"edits": []}, "file_path"),
    ("NotebookEdit", {"new_source": "x"}, "notebook_path"),
    ("mcp__files__write_file", {"content": "x"}, "path"),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run").resolve()
    for name in (*PLACES, "other", "sub/other", "sub/longwatch.toml"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("x\n")
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=place, check=True)
    return place


def denied(call: ToolCall, root: Path) -> bool:
    context = GuardContext(root)
    return any(check(call, context) is not None for _, check in GUARDS)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", SHELL)
def test_no_command_writes_them(command: str, place: str, root: Path) -> None:
    assert denied(ToolCall("Bash", {"command": command.replace("{F}", place)}), root)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("tool", "given", "key"), TOOLS)
def test_no_file_tool_writes_them(
    tool: str, given: dict[str, object], key: str, place: str, root: Path
) -> None:
    for name in (place, f"./sub/../{place}", str(root / place), place.upper()):
        assert denied(ToolCall(tool, {**given, key: name}), root)


@pytest.mark.parametrize(
    "command",
    (
        "cp -t . sub/longwatch.toml",
        "cp -r sub/. .",
        "mv sub/* .",
        "rsync -a sub/ .",
        "ln other longwatch.toml",
    ),
)
def test_none_puts_another_file_in_their_place(command: str, root: Path) -> None:
    assert denied(ToolCall("Bash", {"command": command}), root)


def test_reading_the_settings_and_a_file_of_that_name_elsewhere_are_free(root: Path) -> None:
    for command in ("cat longwatch.toml", "git log -- longwatch.toml", "echo x > sub/longwatch.toml"):
        assert not denied(ToolCall("Bash", {"command": command}), root)
    assert not denied(ToolCall("Write", {"file_path": "sub/longwatch.toml", "content": "x"}), root)

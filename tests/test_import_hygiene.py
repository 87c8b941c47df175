"""What loads what: the engine knows no terminal, and quick commands load neither Textual nor the SDK."""

from __future__ import annotations

import ast
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness_core

ROOT = Path(__file__).parent.parent
HEAVY = ("textual", "claude_agent_sdk")
TERMINAL = ("textual", "rich", "tui")


def loaded(code: str) -> set[str]:
    """The top-level names of all modules that a fresh interpreter has after running `code`."""
    names = "sorted({name.partition('.')[0] for name in sys.modules})"
    tail = f"\nimport json, sys\nprint(json.dumps({names}), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def modules() -> list[str]:
    packages = pkgutil.walk_packages(harness_core.__path__, "harness_core.")
    return sorted(module.name for module in packages if not module.name.endswith("__main__"))


def test_no_module_of_the_engine_loads_anything_of_a_terminal() -> None:
    names = loaded("\n".join(f"import {name}" for name in ["harness_core.__main__", *modules()]))
    assert "harness_core" in names
    assert names.isdisjoint(TERMINAL)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["status", "DIR"], ["status", "DIR", "--json"], ["stop", "DIR"]]
)
def test_a_quick_command_loads_neither_textual_nor_the_sdk(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "feature_list.json").write_text('[{"description": "a", "passes": true}]')
    argv = ["longwatch", *[str(tmp_path) if item == "DIR" else item for item in arguments]]
    start = "from tui.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass"
    names = loaded(f"import sys\nsys.argv = {argv!r}\n{start}")
    assert "tui" in names
    assert names.isdisjoint(HEAVY)


def test_a_console_on_a_run_loads_neither_the_sdk_nor_what_ends_processes() -> None:
    names = loaded("from tui.console import launching\nlaunching.load_run()")
    assert "textual" in names
    assert names.isdisjoint(("claude_agent_sdk", "psutil"))


# --- One door for outside text ----------------------------------------------

PRINTING = {"print", "echo", "secho", "Text", "write"}
"""Calls that put their first argument on a terminal."""
DOORS = {"safe", "one_line", "safe_json", "json_line"}
PRINTERS = [*sorted((ROOT / "tui").rglob("*.py")), *(ROOT / "harness_core").glob("*.py")]
"""All of the front, and what of the engine runs in a terminal without one."""


def _clean(node: ast.expr) -> bool:
    """Whether an expression can hold no outside text: literals, and what went through the door."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.JoinedStr):
        return all(_clean(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _clean(node.value)
    if isinstance(node, ast.BinOp):
        return _clean(node.left) and _clean(node.right)
    if isinstance(node, ast.IfExp):
        return _clean(node.body) and _clean(node.orelse)
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Name):
            # A `Text` is looked at as a call of its own.
            return function.id in {*DOORS, "Text"}
        # A method of what is clean, with clean arguments, such as `safe(x).replace("\n", " ")`.
        return (
            isinstance(function, ast.Attribute)
            and _clean(function.value)
            and all(_clean(arg) for arg in node.args)
        )
    return False


def raw_prints(source: str, name: str) -> Iterator[str]:
    """The calls in a module that print what didn't go through the door, as `file:line call`."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if called == "write" and "std" not in ast.unparse(function):
            continue
        markup = called in ("from_markup", "from_ansi")
        raw = called in PRINTING and bool(node.args) and not _clean(node.args[0])
        if markup or raw:
            yield f"{name}:{node.lineno} {ast.unparse(node)[:80]}"


@pytest.mark.parametrize("path", PRINTERS, ids=lambda path: path.name)
def test_outside_text_goes_through_the_one_door(path: Path) -> None:
    assert list(raw_prints(path.read_text(), path.name)) == []


@pytest.mark.parametrize(
    ("source", "raw"),
    [
        ("print(event.text)", True),
        ("click.echo(f'{name}')", True),
        ("Text(line, style='red')", True),
        ("sys.stdout.write(x)", True),
        ("Text.from_markup(safe(x))", True),
        ("click.echo(safe(name))", False),
        ("print('hello')", False),
        ("Text(f'a {one_line(x)} b')", False),
        ("stream.write(x)", False),
        ("Text(safe(x).replace('a', 'b'))", False),
    ],
)
def test_the_look_for_raw_prints_finds_them(source: str, raw: bool) -> None:
    assert bool(list(raw_prints(source, "x.py"))) is raw


# --- What is installed ---------------------------------------------------------


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_file_pins_by_hash_and_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", text)
    pins = [line for line in text.splitlines() if re.match(r"[a-zA-Z0-9]", line)]
    assert pins and all("==" in line for line in pins)
    assert text.count("--hash=sha256:") >= len(pins)

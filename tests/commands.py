"""Runs `longwatch` commands in processes of their own, quickly, and reads what they say."""

from __future__ import annotations

import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import harness_core.start  # noqa: F401  (loaded once here, not in every forked command)
from harness_core import __main__ as engine
from tui import cli

ROOT = Path(__file__).parent.parent
for _name in cli.cli.list_commands(None):
    cli.cli.get_command(None, _name)
Done = subprocess.CompletedProcess[bytes]


def environment(more: dict[str, str]) -> dict[str, str]:
    """What a command finds around it: nothing that could pay for a model."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "CLAUDE"))}
    return {**kept, "PYTHONPATH": str(ROOT), "CLAUDE_CONFIG_DIR": "/nonexistent", **more}


def _become(command: Callable[[], object], environ: dict[str, str], out: int, err: int) -> None:
    """What an interpreter does with a command, in a process whose modules are loaded already."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.clear()
    os.environ.update(environ)
    encoding = environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb"), encoding=encoding)
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb"), encoding=encoding, errors="backslashreplace")
    code: object = 0
    try:
        code = command()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def longwatch(*arguments: str | bytes, **environ: str) -> Done:
    """One command in a process of its own, forked, since a start costs half a second."""
    given = [os.fsdecode(item) for item in arguments]

    def command() -> None:
        sys.argv = ["longwatch", *given]
        cli.main()

    return _forked(command, given, environ)


def engine_alone(request: str, **environ: str) -> Done:
    """`python -m harness_core REQUEST`, forked as well."""
    return _forked(lambda: engine.main([request]), [request], environ)


def _forked(command: Callable[[], object], given: list[str], environ: dict[str, str]) -> Done:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        fork = multiprocessing.get_context("fork")
        process = fork.Process(
            target=_become, args=(command, environment(environ), out.fileno(), err.fileno())
        )
        process.start()
        process.join(60)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(given, process.exitcode or 0, out.read(), err.read())


def from_scratch(*arguments: str | bytes) -> Done:
    """The same command, as a shell starts it."""
    command = [sys.executable, "-m", "tui.cli", *arguments]
    return subprocess.run(command, env=environment({}), capture_output=True, timeout=60, check=False)


def sentence(done: Done, code: int = 2) -> str:
    """The one line of a refused command."""
    said = done.stderr.decode()
    assert done.returncode == code, said
    assert said.startswith("longwatch: ") and said.endswith("\n") and said.count("\n") == 1, said
    assert "Traceback" not in said
    return said


def said(done: Done) -> str:
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout.decode()

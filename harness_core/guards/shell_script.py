"""What a parsed shell script is made of: simple commands with their words, redirections and input."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from harness_core.guards.shell_produce import Lines

Cwds = tuple[Path | None, ...]
"""Directories that a command may run in; None is one that isn't known."""


class Redirect(NamedTuple):
    """One redirection of a file: `op` as written (`>`, `>>`, `<`, `&>` …), `target` a word."""

    op: str
    target: str

    @property
    def writes(self) -> bool:
        return ">" in self.op


class Input(NamedTuple):
    """What a command finds on its standard input."""

    text: str | None = None
    """A here-document or here-string."""
    piped: bool = False
    feeds: Lines = ()
    """The lines that the commands before the pipe print."""
    sources: tuple[int, ...] = ()
    """The `number`s of those commands."""
    reveals: frozenset[str] = frozenset()
    """Environment variables whose values stand in `text`."""


NO_INPUT = Input()
"""The terminal, or nothing."""


class Command(NamedTuple):
    """A simple command: `argv` are words, of which only the exact ones are known to the end."""

    argv: tuple[str, ...]
    cwds: Cwds
    assigns: tuple[tuple[str, str], ...] = ()
    redirects: tuple[Redirect, ...] = ()
    outer: tuple[Redirect, ...] = ()
    """Redirections of the groups around it."""
    input: Input = NO_INPUT
    reveals: frozenset[str] = frozenset()
    """Environment variables whose values stand in its words."""
    number: int = 0
    """Its place in the script; the variants of one command share it."""

    @property
    def name(self) -> str:
        return self.argv[0] if self.argv else ""


class Script(NamedTuple):
    """All commands of a script in order, the functions that it defines, the variables that it sets."""

    commands: tuple[Command, ...]
    functions: frozenset[str]
    variables: frozenset[str]

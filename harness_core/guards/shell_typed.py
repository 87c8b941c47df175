"""Which files a shell command fills with text of its own making, rather than with a program's output.

Evidence must come from a program: `echo PASS > result.txt` proves nothing, `npm test > result.txt` may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness_core.guards.paths import Unresolvable, resolve
from harness_core.guards.shell_parse import parse
from harness_core.guards.shell_script import Command, Cwds, Script
from harness_core.guards.shell_unwrap import Nested, inner, program
from harness_core.guards.shell_words import Unparsable, is_exact, name_set
from harness_core.guards.shell_writes import writes

SPEAKERS = name_set("echo printf : true yes")
"""Programs that print what the command says."""
FILTERS = name_set(
    "cat tee sed awk gawk tr sort uniq head tail cut grep egrep fgrep rev tac fold fmt nl "
    "column paste base64 xxd gzip gunzip"
    " zcat expand unexpand iconv xargs sponge dd rg jq"
)
"""Programs that print a form of what they are given."""
EDITORS = name_set("sed perl ruby touch truncate sponge")
"""Programs that change files in place by what the command says."""


def typed_paths(command: str, root: Path, cwd: Path | None = None) -> frozenset[str]:
    """Files below `root`, relative to it, whose content the command types itself, run in `cwd` (`root` by
    default).

    A file counts as typed when nothing but typed text goes into it: `echo`, `printf`, a here-document or
    here-string, through text filters or not, an empty redirection, an edit in place. A command that can't
    be parsed types nothing that can be named.
    """
    scripts = tuple(_scripts(command, root, (cwd or root,)))
    typed: set[str] = set()
    other: set[str] = set()
    for script in scripts:
        told = {item.number: _is_typed(item, script.commands) for item in script.commands if item.argv}
        for item in script.commands:
            for target, by_text in _filled(item, told, script.commands):
                (typed if by_text else other).update(_below(target, item, root))
    return frozenset(typed - other)


def _scripts(command: str, root: Path, cwds: Cwds, depth: int = 0) -> Iterator[Script]:
    try:
        script = parse(command, root, cwds)
    except Unparsable:
        return
    yield script
    for item in script.commands:
        try:
            parts = [part for part in inner(item) if isinstance(part, Nested)]
        except Unparsable:
            continue
        for part in parts if depth < 3 else ():
            yield from _scripts(part.text, root, part.command.cwds, depth + 1)


def _below(target: str, item: Command, root: Path) -> Iterator[str]:
    """The path relative to the root, for every directory that the command may run in."""
    if not is_exact(target):
        return
    for cwd in item.cwds:
        if cwd is None:
            continue
        try:
            path = resolve(root, target if target.startswith("/") else str(cwd / target))
        except Unresolvable:
            continue
        if path.is_relative_to(root) and path != root:
            yield path.relative_to(root).as_posix()


def _filled(
    item: Command, told: Mapping[int, bool], commands: Sequence[Command]
) -> Iterator[tuple[str, bool]]:
    """Every file that a command fills, and whether with typed text."""
    if not item.argv:
        silent = not any(set(item.redirects) & set(other.outer) for other in commands)
        yield from ((redirect.target, True) for redirect in item.redirects if redirect.writes and silent)
        return
    by_text = told.get(item.number, False)
    for redirect in (*item.redirects, *item.outer):
        if redirect.writes:
            yield redirect.target, by_text
    name = program(item)
    if name == "tee":
        yield from ((word, by_text) for word in item.argv[1:] if not word.startswith("-"))
    elif name in EDITORS:
        yield from ((write.target, True) for write in writes(item))
    elif name == "dd":
        yield from ((write.target, by_text) for write in writes(item))


def _is_typed(item: Command, commands: Sequence[Command]) -> bool:
    """Whether all that the command prints was typed into it."""
    name = program(item)
    if name in SPEAKERS:
        return not any("\ue000" in word for word in item.argv[1:])
    if name not in FILTERS:
        return False
    files = [word for word in item.argv[1:] if not word.startswith("-")]
    if name == "cat" and files:
        return False
    if item.input.text is not None:
        return True
    if item.input.sources:
        feeding = [other for other in commands if other.number in item.input.sources and other.argv]
        return bool(feeding) and all(_is_typed(other, commands) for other in feeding)
    return False

"""The secrets guard: no credential is written into a file, typed into a command or committed.

The scan, and detect-secrets with it, is loaded when a call carries text that could hold one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness_core.guards import Denial, GuardContext, ToolCall
from harness_core.guards.patterns import lazy
from harness_core.guards.tools import CONTENT_KEY, FILE_KEYS, OLD_KEYS, WRITERS, is_foreign, target
from harness_core.secrets.redact import known_values
from harness_core.secrets.shapes import HINTS

GUARD = "secrets"
INSTEAD = (
    "Read it from the environment or a secret store when the program runs, and write a placeholder here."
)
_HEREDOC = lazy(r"<<-?\s*(['\"]?)(\w+)\1([^\n]*)\n(.*?)\n[\t]*\2(?=\s|$)", re.DOTALL)
_INTO_FILE = lazy(r"(?:>{1,2}|\btee\b(?:\s+-\w+)*)\s*['\"]?([^\s'\"|;&<>]+)")
_COMMIT = lazy(r"\bgit\b[^|;&\n]*\bcommit\b([^|;&\n]*)")
_TAKES_MORE = lazy(r"(^|\s)(-[a-zA-Z]*a[a-zA-Z]*|--all|-[a-zA-Z]*i|--include|-o|--only|--)(\s|$)")


def check(call: ToolCall, ctx: GuardContext) -> Denial | None:
    """Judge what a call of a writing tool, or of Bash, would write or commit."""
    if call.tool == "Bash":
        command = call.input.get("command")
        return _command(command, ctx) if isinstance(command, str) else None
    path, texts = _written(call)
    # What lies above the run says nothing of the file.
    path = path.removeprefix(f"{ctx.root}/")
    for text, before in texts:
        denial = _scan(text, path, _first_line(ctx, path, before), before)
        if denial:
            return denial
    return None


def _written(call: ToolCall) -> tuple[str, list[tuple[str, str]]]:
    """The file that a call writes, and each new text with the old one in whose place it comes."""
    given = call.input
    if call.tool in WRITERS:
        path: object = target(call.tool, given)
    elif is_foreign(call.tool):
        path = next((given[key] for key in FILE_KEYS if key in given), "")
    else:
        return "", []
    return path if isinstance(path, str) else "", list(_texts(given))


def _texts(value: object, key: str = "", before: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        old = next((value[name] for name in OLD_KEYS if name in value), "")
        for name, inner in value.items():
            yield from _texts(inner, str(name), old if isinstance(old, str) else "")
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, key, before)
    elif isinstance(value, str) and CONTENT_KEY.match(key):
        yield value, before


def _first_line(ctx: GuardContext, path: str, before: str) -> int:
    """The line of the file at which an edit begins, as far as that can be told."""
    if not before:
        return 1
    try:
        text = (ctx.root / path).read_text("utf-8", "replace")
    except (OSError, ValueError):
        return 1
    return text.count("\n", 0, max(text.find(before), 0)) + 1


def _command(command: str, ctx: GuardContext) -> Denial | None:
    for found in _HEREDOC.finditer(command):
        around = command[command.rfind("\n", 0, found.start()) + 1 : found.start()] + found[3]
        target = _INTO_FILE.search(around)
        if target:
            denial = _scan(found[4], target[1], 1)
            if denial:
                return denial
    denial = _scan(command, "", 1, typed=True)
    if denial:
        return denial
    commits = list(_COMMIT.finditer(command))
    if not commits:
        return None
    more = re.search(r"\bgit\b[^|;&\n]*\badd\b", command) or any(_TAKES_MORE.search(c[1]) for c in commits)
    return commit_denial(ctx.root, everything=bool(more))


def commit_denial(root: Path, *, everything: bool) -> Denial | None:
    """Why what is staged (with `everything`: all that is uncommitted) may not be committed, or None."""
    import subprocess  # noqa: PLC0415

    from harness_core.secrets.scan import scan_commit  # noqa: PLC0415

    try:
        found = scan_commit(root, everything=everything, known=known_values())
    except (OSError, subprocess.SubprocessError) as error:
        return Denial(
            GUARD, f"What would be committed can't be looked through ({error}). Commit fewer files at once."
        )
    if not found:
        return None
    places = "; ".join(map(str, found[:3]))
    return Denial(GUARD, f"The commit would hold what looks like a credential: {places}. {INSTEAD}")


def _scan(text: str, path: str, first: int, before: str = "", typed: bool = False) -> Denial | None:
    known = known_values()
    if typed and not HINTS.search(text) and not any(value in text for value in known):
        # In a command only known shapes are looked for, and there is a sign of none.
        return None
    from harness_core.secrets.scan import scan  # noqa: PLC0415

    found = scan(text, path, known=known, first=first, shapes_only=typed)
    if found and before:
        there = {finding.kind for finding in scan(before, path, known=known)}
        found = [finding for finding in found if finding.kind not in there]
    if not found:
        return None
    what = "the command" if typed else path or "the text"
    return Denial(
        GUARD,
        f"{what}, line {found[0].line}, holds what looks like a credential ({found[0].kind}). {INSTEAD}",
    )

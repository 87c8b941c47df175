"""Which files git's pathspecs name: git itself expands wildcards, and reads signs after a colon."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness_core.guards import GuardContext
from harness_core.guards.shell_script import Cwds
from harness_core.guards.shell_targets import target_problem
from harness_core.guards.shell_words import ANY, STAR, is_exact

_SIGNS = {"/": "top", "!": "exclude", "^": "exclude"}
_PLAIN = frozenset({"top", "literal", "glob", "exclude"})
"""Signs that leave a path's letters as they are."""


def paths(words: Iterable[str], cwds: Cwds) -> Iterator[tuple[str, Cwds]]:
    """What the pathspecs of a command name, as words for the target rules, and from where.

    Pathspecs that only exclude name all else.
    """
    given = [_signed(word) for word in words]
    wanted = [(signs, path) for signs, path in given if "exclude" not in signs]
    for signs, path in wanted or ([(frozenset({"top"}), ".")] if given else []):
        wild = ANY if not signs <= _PLAIN else re.sub(r"[*?]|\\.|\[.*", ANY, path)
        named = path if "literal" in signs else wild
        yield posixpath.normpath(named or "."), tuple(map(_top, cwds)) if "top" in signs else cwds


def takes_in_all(path: str) -> bool:
    """Whether a path from `paths` is the folder itself, one above, or anything."""
    return not path.strip(f"./{ANY}{STAR}")


def paths_problem(words: Iterable[str], cwds: Cwds, ctx: GuardContext, *, whole: bool = True) -> str | None:
    """Why a command may not change the files that its pathspecs name, or None."""
    found = paths(words, cwds)
    problems = (target_problem(path, places, ctx.root, whole=whole) for path, places in found)
    return next(filter(None, problems), None)


def targets_problem(words: Iterable[str], cwds: Cwds, ctx: GuardContext, *, whole: bool = True) -> str | None:
    """Why a command may not write to these plain paths, or None."""
    problems = (target_problem(word, cwds, ctx.root, whole=whole) for word in words)
    return next(filter(None, problems), None)


def exists(word: str, cwds: Cwds) -> bool:
    """Whether a word names a file, as far as one can tell."""
    return is_exact(word) and all(cwd is not None and (cwd / word).exists() for cwd in cwds)


def main_is_free(cwds: Cwds) -> bool:
    """Whether no branch `main` would be lost to another of that name."""
    return all(cwd is not None and _main_is_free((_top(cwd) or cwd) / ".git") for cwd in cwds)


def _main_is_free(folder: Path) -> bool:
    if not folder.exists() or _text(folder / "HEAD").strip() == "ref: refs/heads/main":
        return True
    packed = re.search(r"(?m) refs/heads/main$", _text(folder / "packed-refs"))
    return folder.is_dir() and not packed and not (folder / "refs/heads/main").exists()


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _signed(word: str) -> tuple[frozenset[str], str]:
    """A pathspec's signs by their long names, and the path that follows them."""
    long = re.match(r":\(([^)]*)\)", word)
    if long:
        return frozenset(filter(None, long[1].split(","))), word[long.end() :]
    short = re.match(r":([/!^]*):?", word)
    if short:
        return frozenset(_SIGNS[sign] for sign in short[1]), word[short.end() :]
    return frozenset(), word


def _top(cwd: Path | None) -> Path | None:
    """The folder that a repository's own paths start at."""
    if cwd is None:
        return None
    return next((folder for folder in (cwd, *cwd.parents) if (folder / ".git").exists()), cwd)

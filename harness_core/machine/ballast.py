"""What doesn't belong into a commit that nobody has looked at: what is downloaded or built, and big files.

Git's own file for what it passes over in a repository is brought up to date at a session's start, before an
agent adds or commits, and before the engine commits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

BIG = 5 << 20
"""Bytes above which a file is left out."""
_BUILT = {"node_modules": (), "venv": ("venv/pyvenv.cfg",), ".venv": (), "env": ("env/pyvenv.cfg",)} | {
    "target": ("Cargo.toml", "pom.xml", "target/CACHEDIR.TAG")
}
"""Folders by name, and what shows beside or in them that they are what the name says."""
_COMMITS = re.compile(r"\bgit\b[^|;&\n]*\b(?:add|stage|commit|stash)\b")
_NAMED = 5
_SPECIAL = re.compile(r"([\\*?\[\]#! ])")


def ballast(root: Path, files: Iterable[str]) -> list[str]:
    """Patterns for git that leave out of `files` (relative to `root`, none tracked) what is ballast."""
    found: dict[str, None] = {}
    for file in files:
        if "\n" in file:
            # No pattern can name it.
            continue
        folder = _built(root, file)
        if folder is not None:
            found[f"/{_escaped(folder)}/"] = None
        elif _size(root / file) > BIG:
            found[f"/{_escaped(file)}"] = None
    return [*found]


def commits(command: str) -> bool:
    """Whether a command may take files into a commit."""
    return _COMMITS.search(command) is not None


def told(patterns: Sequence[str]) -> str:
    """That git passes over these from now on, as the journal says it."""
    more = f" and {len(patterns) - _NAMED} more" if len(patterns) > _NAMED else ""
    return f"left out of commits, by .git/info/exclude: {', '.join(patterns[:_NAMED])}{more}"


def committed(patterns: Sequence[str]) -> str:
    """What is told of these in a commit of an agent's, to it and to the journal."""
    return (
        f"A commit took in what is built, downloaded or big: {', '.join(patterns[:_NAMED])}. "
        "Take it out with `git rm -r --cached`, commit that, and have .gitignore name it; it stays on disk."
    )


def _built(root: Path, file: str) -> str | None:
    """The folder of things built or downloaded that a file lies in."""
    parts = file.split("/")[:-1]
    for place, name in enumerate(parts):
        signs = _BUILT.get(name)
        beside = root.joinpath(*parts[:place])
        if signs is not None and (not signs or any((beside / sign).exists() for sign in signs)):
            return "/".join(parts[: place + 1])
    return None


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _escaped(path: str) -> str:
    return _SPECIAL.sub(r"\\\1", path)

"""What doesn't belong into a commit that nobody has looked at: what is downloaded or built, and big files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

BIG = 5 << 20
"""Bytes above which a file is left out."""
_BUILT = {"node_modules": (), "venv": ("venv/pyvenv.cfg",), ".venv": (), "env": ("env/pyvenv.cfg",)} | {
    "target": ("Cargo.toml", "pom.xml", "target/CACHEDIR.TAG")
}
"""Folders by name, and what shows beside or in them that they are what the name says."""
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

"""The few folders of a run that the kernel is asked to tell of. All others are looked at now and then.

A watch on the whole tree costs one for each folder of its dependencies, and where the kernel tells nothing
it means to read the tree again and again.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from harness_core.layout import EVIDENCE_DIR

WORK = ("", EVIDENCE_DIR)
GIT = (".git", ".git/logs", ".git/refs/heads")
SWEEP = 2.0
"""Seconds after which everything is looked at, whatever the system has or hasn't reported."""


def there(root: Path, names: tuple[str, ...]) -> dict[Path, int]:
    """Those of these folders that are there, each with its number in the file system: a folder that was
    made anew has another."""
    found = {}
    for name in names:
        path = root / name
        with contextlib.suppress(OSError):
            if path.is_dir():
                found[path] = path.stat().st_ino
    return found

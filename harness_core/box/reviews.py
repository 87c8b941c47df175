"""Throwaway clones: where an evaluator's shell tries out the commit under review, and can spoil nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def place(scratch: Path, session: str) -> Path:
    """The folder of one evaluator's clone."""
    return scratch / "reviews" / session


def lay_out(root: Path, clone: Path) -> None:
    """Put the newest commit of the repository at `root` into `clone`; one without a commit leaves it empty.

    Objects are read where they are, so that it costs little, and a clone can't change them.
    """
    clear(clone)
    clone.mkdir(parents=True)
    command = ["git", "clone", "--quiet", "--shared", "--no-tags", "--", str(root), str(clone)]
    subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)


def clear(clone: Path) -> None:
    shutil.rmtree(clone, ignore_errors=True)

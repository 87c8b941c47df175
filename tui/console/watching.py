"""Tells the console which files of a run have changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch

from harness_core.layout import PRIVATE, RunDir

SWEEP = 2.0
"""Seconds after which everything is looked at, whatever the system has or hasn't reported."""
_STEP_MS = 20
_IGNORED = ("node_modules", "__pycache__", "site-packages", "venv", "dist", "build", "target", PRIVATE)


class _Filter(DefaultFilter):
    """Sees `.git`, whose head and index say what git's log and status are made of."""

    ignore_dirs = tuple(name for name in DefaultFilter.ignore_dirs if name != ".git") + _IGNORED

    def __call__(self, change: Change, path: str) -> bool:
        inside_git = "/.git/" in path
        wanted = path.endswith(("/HEAD", "/index")) or "/refs/" in path
        return (wanted or not inside_git) and super().__call__(change, path)


async def changes(run: RunDir) -> AsyncIterator[frozenset[Path]]:
    """The paths that changed, or none when it is time to look at everything, as at first. Ends never."""
    found: asyncio.Queue[frozenset[Path]] = asyncio.Queue()
    hints = asyncio.create_task(_hints(run, found))
    try:
        yield frozenset()
        while True:
            try:
                yield await asyncio.wait_for(found.get(), SWEEP)
            except TimeoutError:
                yield frozenset()
    finally:
        hints.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hints


async def _hints(run: RunDir, found: asyncio.Queue[frozenset[Path]]) -> None:
    # RuntimeError is what watchfiles makes of any other trouble; the sweeps go on without it.
    with contextlib.suppress(OSError, RuntimeError):
        async for batch in awatch(run.root, watch_filter=_Filter(), step=_STEP_MS, debounce=100):
            found.put_nowait(frozenset(Path(path) for _, path in batch))

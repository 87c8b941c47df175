"""Tells the console which files of a run have changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch

from harness_core.layout import PRIVATE, RunDir
from tui.folders import GIT, SWEEP, WORK, there

_FOLDERS = (*WORK, *GIT)
_STEP_MS = 20
_LOOK_MS = 1000
"""After which the folders are compared, where nothing happens in them."""


class _Filter(DefaultFilter):
    """Sees `.git`, whose head and index say what git's log and status are made of."""

    ignore_dirs = (*(name for name in DefaultFilter.ignore_dirs if name != ".git"), PRIVATE)

    def __call__(self, change: Change, path: str) -> bool:
        inside_git = "/.git/" in path
        wanted = path.endswith(("/HEAD", "/index")) or "/refs/" in path
        return (wanted or not inside_git) and super().__call__(change, path)


async def changes(run: RunDir) -> AsyncGenerator[frozenset[Path], None]:
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
    while True:
        # RuntimeError is what watchfiles makes of any other trouble; the sweeps go on without it.
        with contextlib.suppress(OSError, RuntimeError):
            await _hints_of(there(run.root, _FOLDERS), run, found)
            continue
        await asyncio.sleep(SWEEP)


async def _hints_of(folders: Mapping[Path, int], run: RunDir, found: asyncio.Queue[frozenset[Path]]) -> None:
    """Pass on what happens in these folders, until others are there to be told of."""
    told = awatch(
        *folders,
        watch_filter=_Filter(),
        recursive=False,
        step=_STEP_MS,
        debounce=100,
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
    )
    async with contextlib.aclosing(told):
        async for batch in told:
            if batch:
                found.put_nowait(frozenset(Path(path) for _, path in batch))
            if there(run.root, _FOLDERS) != folders:
                # What came into a new folder before it was watched is known by a look.
                found.put_nowait(frozenset())
                return

"""Notices what the operator does to a run's files.

Notifications are a hint, the look at the named files is the truth: a stalled watcher loses changes
without an error, and network file systems send none. So the files are also looked at on their own
every `SWEEP` seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from harness_core.layout import RunDir

SWEEP = 0.5
_STEP_MS = 20


async def watch(run: RunDir, look: Callable[[], None]) -> None:
    """Call `look` after each change of the operator's files, and every half second. Runs until cancelled."""
    changed = asyncio.Event()
    hints = asyncio.create_task(_hints(run, changed))
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), SWEEP)
            changed.clear()
            look()
    finally:
        hints.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hints


async def _hints(run: RunDir, changed: asyncio.Event) -> None:
    from watchfiles import awatch  # noqa: PLC0415  (costs 50 ms that a start doesn't have)

    folders = [run.root, run.steering, run.checkpoints]
    # RuntimeError is what watchfiles makes of any other trouble; the sweeps go on without it.
    with contextlib.suppress(OSError, RuntimeError):
        for folder in folders[1:]:
            folder.mkdir(exist_ok=True)
        async for _ in awatch(*folders, watch_filter=None, recursive=False, step=_STEP_MS, debounce=100):
            changed.set()

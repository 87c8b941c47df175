"""The watch over the operator's files: told at once where the system tells, and never blind."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness_core import watch
from harness_core.layout import RunDir


async def looks(run: RunDir, change: Callable[[], object]) -> None:
    """Watch, make a change when the watch has begun to look, and return at the next look."""
    looked = asyncio.Event()
    watcher = asyncio.create_task(watch.watch(run, looked.set))
    try:
        while not run.steering.is_dir():
            await asyncio.sleep(0.01)
        looked.clear()
        while not looked.is_set():
            assert not watcher.done()
            change()
            await asyncio.sleep(0.05)
    finally:
        watcher.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watcher


@pytest.mark.parametrize("name", ["AGENT_STOP", "STEER.md", ".longwatch/steering/001.json"])
def test_a_change_is_looked_at_without_waiting_for_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(watch, "SWEEP", 3600)
    asyncio.run(looks(RunDir.at(tmp_path), lambda: (tmp_path / name).write_text("x")))


def test_where_the_system_tells_nothing_the_sweeps_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SWEEP", 0.05)
    run = RunDir.at(tmp_path)
    asyncio.run(looks(run, lambda: shutil.rmtree(run.private, ignore_errors=True)))

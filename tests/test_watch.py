"""The watch over the operator's files: told at once where the system tells, and never blind."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness_core.layout import RunDir
from harness_core.operator import watch


async def looks(run: RunDir, change: Callable[[], object]) -> None:
    """Watch, make a change when the watch has begun to look, and return at the next look."""
    looked = asyncio.Event()
    run.private.mkdir()
    watcher = asyncio.create_task(watch.watch(run, looked.set))
    try:
        async with asyncio.timeout(60):
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


def watched() -> int:
    """How many places of the file system this process has the kernel tell of."""
    infos = (path.read_text() for path in Path("/proc/self/fdinfo").iterdir() if path.exists())
    return sum(line.startswith("inotify ") for info in infos for line in info.splitlines())


def test_a_large_project_costs_no_more_watches_than_a_small_one(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"packages/p{number}/src").mkdir(parents=True)
    run, before, most = RunDir.at(tmp_path), watched(), 0

    def change() -> None:
        nonlocal most
        most = max(most, watched() - before)
        (tmp_path / "STEER.md").write_text("x")

    asyncio.run(looks(run, change))
    assert 0 < most <= 5


_WITHOUT_INOTIFY = """
import asyncio, pathlib, sys
from watchfiles import watch as kernel_tells
from harness_core.layout import RunDir
from harness_core.operator.watch import watch

run = RunDir.at(pathlib.Path(sys.argv[1]))
try:
    next(kernel_tells(run.root, rust_timeout=10, yield_on_timeout=True))
    raise SystemExit("the kernel still tells")
except (OSError, RuntimeError):
    pass

async def main():
    seen = asyncio.Event()
    watcher = asyncio.create_task(watch(run, lambda: run.stop_file.exists() and seen.set()))
    await asyncio.sleep(0)
    run.stop_file.touch()
    await asyncio.wait_for(seen.wait(), 20)
    watcher.cancel()

asyncio.run(main())
"""


def test_with_the_kernels_watches_used_up_the_files_are_polled(tmp_path: Path) -> None:
    use_up = "echo 0 > /proc/sys/user/max_inotify_instances"
    trial = ["unshare", "-Ur", "sh", "-c", use_up]
    if (
        shutil.which("unshare") is None
        or subprocess.run(trial, check=False, stderr=subprocess.PIPE).returncode
    ):
        pytest.skip("no user namespaces here, in which alone inotify can be used up")
    command = f'{use_up} && exec "$@"'
    done = subprocess.run(
        ["unshare", "-Ur", "sh", "-c", command, "sh", sys.executable, "-c", _WITHOUT_INOTIFY, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

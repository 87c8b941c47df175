"""The watch over the operator's files: told at once where the system tells, and never blind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from harness_core.layout import RunDir
from harness_core.operator import watch
from harness_core.record import events as ev
from tui import outside
from tui.console import watching


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


# --- The console's --------------------------------------------------------------------------------------


async def told(run: RunDir, change: Callable[[], object], fits: Callable[[frozenset[Path]], bool]) -> None:
    """Look as the console does, make a change again and again, and return when something fitting is told."""
    watcher = watching.changes(run)
    async with asyncio.timeout(60), contextlib.aclosing(watcher):
        assert await anext(watcher) == frozenset()
        hearing = asyncio.ensure_future(anext(watcher))
        while True:
            change()
            done, _ = await asyncio.wait({hearing}, timeout=0.1)
            if done and fits(hearing.result()):
                return
            if done:
                hearing = asyncio.ensure_future(anext(watcher))


def git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def draw(root: Path) -> None:
    (root / "screenshots").mkdir(exist_ok=True)
    (root / "screenshots/a.png").write_bytes(os.urandom(8))


def write(root: Path) -> None:
    (root / "feature_list.json").write_bytes(os.urandom(8))


def commit(root: Path) -> None:
    if not (root / ".git").is_dir():
        git(root, "init", "-q")
    git(root, "commit", "-q", "--allow-empty", "-m", "go on")


@pytest.mark.parametrize(
    ("change", "name"),
    [(draw, "screenshots/a.png"), (write, "feature_list.json"), (commit, ".git/logs/HEAD")],
    ids=["picture", "contract", "commit"],
)
@pytest.mark.parametrize("before", [True, False], ids=["in a folder", "in a new folder"])
def test_the_console_hears_at_once_what_its_panes_show(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    name: str,
    before: bool,
) -> None:
    monkeypatch.setattr(watching, "SWEEP", 3600)
    if before:
        change(tmp_path)
    asyncio.run(told(RunDir.at(tmp_path), lambda: change(tmp_path), lambda paths: tmp_path / name in paths))


def test_the_console_looks_at_everything_where_the_system_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*folders: Path, **options: object) -> AsyncIterator[set[object]]:
        await asyncio.sleep(3600)
        yield set()

    monkeypatch.setattr(watching, "SWEEP", 0.05)
    monkeypatch.setattr(watching, "awatch", nothing)
    asyncio.run(told(RunDir.at(tmp_path), lambda: write(tmp_path), lambda paths: paths == frozenset()))


@pytest.mark.parametrize("foreign", [False, True], ids=["a run", "a directory of another harness"])
def test_a_large_project_costs_the_console_no_more_watches_either(tmp_path: Path, foreign: bool) -> None:
    for number in range(300):
        (tmp_path / f"packages/p{number}/src").mkdir(parents=True)
    commit(tmp_path)
    before, most = watched(), 0

    def change() -> None:
        nonlocal most
        most = max(most, watched() - before)
        draw(tmp_path)

    if not foreign:
        asyncio.run(told(RunDir.at(tmp_path), change, lambda paths: tmp_path / "screenshots/a.png" in paths))
        assert 0 < most <= 5
        return
    kept = outside.Changes(tmp_path)
    kept.start()
    deadline = time.monotonic() + 60
    while not kept.new(files=False):
        change()
        time.sleep(0.05)
        assert time.monotonic() < deadline
    assert 0 < most <= 5


def test_files_in_any_folder_are_told_of_a_directory_of_another_harness(tmp_path: Path) -> None:
    source = tmp_path / "packages/shop/src/cart.py"
    source.parent.mkdir(parents=True)
    skipped = tmp_path / "node_modules/left/index.js"
    skipped.parent.mkdir(parents=True)
    kept = outside.Changes(tmp_path)
    kept.start()
    deadline = time.monotonic() + 60
    found: list[str] = []
    while not found:
        for path in (skipped, source):
            path.write_bytes(os.urandom(8))
        found = [event.text for event in kept.new(files=True) if isinstance(event, ev.Text)]
        time.sleep(0.05)
        assert time.monotonic() < deadline
    assert found == ["changed: packages/shop/src/cart.py"]


# --- Without the kernel's help --------------------------------------------------------------------------

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

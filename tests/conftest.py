"""What several test files share: runs on disk, and processes that don't outlive their test."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import pytest

from harness_core.config import RunConfig
from harness_core.layout import RunDir
from harness_core.machine.gitrepo import GitRepo
from harness_core.record.fold import fold
from harness_core.record.journal import Journal
from harness_core.run import Run
from harness_core.secrets.redact import Redactor
from tests.harness import drill_file


def pytest_configure() -> None:
    """Let commands be interrupted even when the tests run in a shell's background, where that is ignored.
    Engines run without a sandbox unless a test asks for one, and try the hooks out once for all tests."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ |= {"LONGWATCH_SANDBOX": "off", "LONGWATCH_DRILL": str(drill_file())}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that start whole engines first: a long one that is left to the end keeps a core idle."""
    items.sort(key=lambda item: not hasattr(getattr(item, "module", None), "open_stage"))


class OpenRun(Protocol):
    def __call__(self, root: Path, config: RunConfig = ...) -> Run: ...


@pytest.fixture
def open_run() -> Iterator[OpenRun]:
    """Opens a run as a new engine does: with what an earlier one left in the directory."""
    opened: list[Run] = []

    def opener(root: Path, config: RunConfig | None = None) -> Run:
        directory = RunDir.at(root)
        directory.root.mkdir(exist_ok=True)
        git = GitRepo(directory)
        git.prepare()
        for folder in (directory.checkpoints, directory.steering):
            folder.mkdir(parents=True, exist_ok=True)
        run = Run(
            dir=directory,
            id="test",
            epoch=1,
            config=config or RunConfig(),
            journal=Journal(directory.journal),
            state=fold(directory),
            git=git,
            redact=Redactor({}),
        )
        opened.append(run)
        return run

    yield opener
    for run in opened:
        run.journal.close()


@pytest.fixture
def spawn() -> Iterator[Callable[..., BaseProcess]]:
    """Runs a function in a process of its own, which is killed at the test's end if it still lives."""
    context = multiprocessing.get_context("fork")
    started: list[BaseProcess] = []

    def start(function: Callable[..., object], *arguments: Any) -> BaseProcess:
        process = context.Process(target=function, args=arguments)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for 8 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small file system ({mounted.stderr.strip()})")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)

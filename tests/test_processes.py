"""Processes: one engine per run, and nothing of a run left alive, with real processes throughout."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec
import psutil
import pytest

from harness_core.errors import RunLocked
from harness_core.layout import RunDir
from harness_core.machine import alive, processes
from harness_core.machine.guardian import Guardian
from harness_core.machine.lock import Owner, RunLock, engine_alive, owner_of
from harness_core.machine.processes import CLI_MARK, RUN_MARK, SESSION_MARK, Found

Spawn = Callable[..., BaseProcess]
Start = Callable[..., subprocess.Popen[bytes]]

STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.05; done"


@pytest.fixture
def mark() -> str:
    return f"{uuid.uuid4().hex}:1"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a shell command with variables added to its environment, and kills it in the end."""
    started: list[subprocess.Popen[bytes]] = []

    def run(command: str, **environ: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def up(process: subprocess.Popen[bytes]) -> None:
    """Wait until the command has said a line."""
    assert process.stdout is not None
    assert process.stdout.readline()


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.01)


def found(pid: int) -> Found:
    started = alive.start_time(pid)
    assert started is not None
    return Found(pid, started, "x")


# --- Marks ----------------------------------------------------------------


def test_marked_processes_are_found_wherever_they_have_gone(start: Start, mark: str) -> None:
    away = "(setsid sh -c 'cd /; exec sleep 60' >/dev/null 2>&1 &) ; echo up; exec sleep 60"
    up(start(away, **{RUN_MARK: mark}))
    wait_for(lambda: sorted(item.command for item in processes.marked(RUN_MARK, mark)) == ["sleep 60"] * 2)
    for item in processes.terminate(processes.marked(RUN_MARK, mark)):
        pytest.fail(f"{item} survived")
    assert processes.marked(RUN_MARK, mark) == []


def test_a_mark_fits_whole_or_up_to_its_colon(start: Start, mark: str) -> None:
    process = start("echo up; exec sleep 60", **{RUN_MARK: f"{mark}2", SESSION_MARK: "other"})
    up(process)
    run = mark.partition(":")[0]
    assert [item.pid for item in processes.marked(RUN_MARK, f"{run}:")] == [process.pid]
    assert [item.pid for item in processes.marked(RUN_MARK, f"{mark}2")] == [process.pid]
    assert processes.marked(RUN_MARK, mark) == []
    assert processes.marked(RUN_MARK, run) == []
    assert processes.marked(SESSION_MARK, f"{mark}2") == []


def test_a_process_never_finds_itself_marked(mark: str) -> None:
    code = f"from harness_core.machine import processes; print(processes.marked({RUN_MARK!r}, {mark!r}))"
    out = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, RUN_MARK: mark},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout == "[]\n"


# --- Ending ---------------------------------------------------------------


def test_terminate_ends_the_willing_and_kills_the_stubborn(start: Start) -> None:
    willing, stubborn = start("echo up; exec sleep 60"), start(STUBBORN)
    up(willing)
    up(stubborn)
    before = time.monotonic()
    assert processes.terminate([found(willing.pid), found(stubborn.pid)], grace=0.3) == []
    assert time.monotonic() - before < 5
    assert willing.wait() == -signal.SIGTERM
    assert stubborn.wait() == -signal.SIGKILL


def test_a_reused_pid_is_never_signalled(start: Start) -> None:
    process = start("echo up; exec sleep 60")
    up(process)
    earlier = Found(process.pid, found(process.pid).started - 10, "sleep 60")
    assert processes.terminate([earlier]) == []
    assert process.poll() is None
    assert not alive.is_alive(earlier.pid, earlier.started)
    assert alive.is_alive(process.pid, found(process.pid).started)


def test_what_has_gone_is_neither_alive_nor_a_survivor(start: Start) -> None:
    process = start("echo up; exec sleep 60")
    up(process)
    known = found(process.pid)
    os.kill(process.pid, 9)
    wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert not alive.is_alive(known.pid, known.started)
    process.wait()
    assert alive.start_time(process.pid) is None
    assert processes.terminate([known]) == []
    assert processes.parent(process.pid) is None
    assert process.pid not in [item.pid for item in processes.everyone()]


def test_a_start_time_is_no_time_of_day(start: Start) -> None:
    process = start("echo up; exec sleep 60")
    up(process)
    running_for = float(Path("/proc/uptime").read_text().split()[0])
    assert 0 <= running_for - found(process.pid).started < 60


def test_an_odd_name_hides_no_start_time(start: Start, tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    shutil.copy("/bin/sleep", program)
    process = start(f"echo up; exec '{program}' 60")
    up(process)
    wait_for(lambda: psutil.Process(process.pid).cmdline()[0] == str(program))
    assert alive.is_alive(process.pid, found(process.pid).started)
    process.kill()
    wait_for(lambda: alive.start_time(process.pid) is None)


def test_an_ended_child_keeps_its_exit_status_for_its_parent(
    mark: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def ended() -> int:
        environ = {**os.environ, SESSION_MARK: mark}
        process = await asyncio.create_subprocess_exec("sleep", "60", env=environ)
        left = processes.marked(SESSION_MARK, mark)
        assert await asyncio.to_thread(processes.terminate, left) == []
        return await process.wait()

    for _ in range(5):
        assert asyncio.run(ended()) == -signal.SIGTERM
    assert caplog.records == []


# --- The guardian -----------------------------------------------------------


def test_when_an_engine_is_killed_nothing_of_it_stays_behind(start: Start, mark: str) -> None:
    engine = start(
        f"exec {sys.executable} -c 'import os, time; from harness_core.machine.guardian import Guardian; "
        f'kept = Guardian("{mark}"); print("up", flush=True); time.sleep(60)\''
    )
    up(engine)
    child, other = start(STUBBORN, **{RUN_MARK: mark}), start(STUBBORN, **{RUN_MARK: f"{mark}0"})
    up(child)
    up(other)
    assert child.poll() is None
    engine.kill()
    assert child.wait(15) == -9
    assert other.poll() is None


def test_a_guardian_ends_a_cli_before_what_it_runs(start: Start, mark: str, tmp_path: Path) -> None:
    engine = start(
        f"exec {sys.executable} -c 'import os, time; from harness_core.machine.guardian import Guardian; "
        f'kept = Guardian("{mark}"); print("up", flush=True); time.sleep(60)\''
    )
    up(engine)
    said = tmp_path / "said"
    cli = shutil.copy("/bin/sh", tmp_path / "cli")
    script = f"trap : TERM; echo up; sleep 60; echo it ended >{said}"
    session = start(f"exec {cli} -c '{script}'", **{RUN_MARK: mark, SESSION_MARK: "s", CLI_MARK: str(cli)})
    up(session)
    engine.kill()
    assert session.wait(15) == -signal.SIGKILL
    wait_for(lambda: processes.marked(RUN_MARK, mark) == [])
    assert not said.exists()


def test_a_guardian_outlives_nothing_but_its_engine(mark: str) -> None:
    before = {child.pid for child in psutil.Process().children()}
    kept = Guardian(mark)
    (guard,) = [found(child.pid) for child in psutil.Process().children() if child.pid not in before]
    kept.leave()
    wait_for(lambda: not alive.is_alive(guard.pid, guard.started))


# --- The lock ---------------------------------------------------------------


def _hold(root: Path, told: int) -> None:
    with RunLock(RunDir.at(root)) as owner:
        os.write(told, msgspec.json.encode(owner))
        time.sleep(60)


def holder(root: Path, spawn: Spawn) -> tuple[BaseProcess, Owner]:
    heard, told = os.pipe()
    process = spawn(_hold, root, told)
    os.close(told)
    owner = msgspec.json.decode(os.read(heard, 4096), type=Owner)
    os.close(heard)
    return process, owner


def test_a_second_engine_is_refused_and_told_who_has_the_run(tmp_path: Path, spawn: Spawn) -> None:
    run = RunDir.at(tmp_path)
    process, owner = holder(tmp_path, spawn)
    assert owner.pid == process.pid
    assert engine_alive(run)
    with (
        pytest.raises(RunLocked, match=rf"pid {process.pid}.*longwatch attach.*longwatch stop --now"),
        RunLock(run),
    ):
        pytest.fail("the run was taken twice")
    assert owner_of(run) == owner


def test_a_killed_engine_leaves_the_run_free_and_is_known_as_dead(tmp_path: Path, spawn: Spawn) -> None:
    run = RunDir.at(tmp_path)
    process, first = holder(tmp_path, spawn)
    process.kill()
    process.join()
    assert not engine_alive(run)
    with RunLock(run) as second:
        assert (second.epoch, second.pid) == (first.epoch + 1, os.getpid())
        assert engine_alive(run)


def _take_turns(root: Path, told: int, turns: int) -> None:
    while turns:
        try:
            with RunLock(RunDir.at(root)) as owner:
                os.write(told, owner.epoch.to_bytes(4, "big"))
                turns -= 1
        except RunLocked:
            time.sleep(0.001)


def test_no_two_engines_ever_have_the_same_epoch(tmp_path: Path, spawn: Spawn) -> None:
    heard, told = os.pipe()
    engines = [spawn(_take_turns, tmp_path, told, 40) for _ in range(3)]
    os.close(told)
    numbers = b""
    while more := os.read(heard, 4096):
        numbers += more
    os.close(heard)
    for engine in engines:
        engine.join()
    epochs = [int.from_bytes(numbers[at : at + 4], "big") for at in range(0, len(numbers), 4)]
    assert epochs == list(range(1, 121))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"pid":1}'])
def test_an_owner_record_that_can_not_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    run = RunDir.at(tmp_path)
    run.private.mkdir()
    run.owner.write_bytes(content)
    assert owner_of(run) is None
    with RunLock(run) as owner:
        assert owner.epoch == 1

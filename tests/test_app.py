"""The app under work: `init.sh` as the engine runs it, with real scripts and real ports."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from harness_core.machine import processes
from harness_core.machine.app import LOG_TAIL, App
from harness_core.record import events as ev
from harness_core.record.journal import Tail
from harness_core.run import Run
from harness_core.secrets.redact import Redactor
from harness_core.steps.building import first_message
from harness_core.steps.flow import Build
from tests.conftest import OpenRun

SERVER = "exec python3 -m http.server --bind 127.0.0.1 0"


@pytest.fixture
def run(open_run: OpenRun, tmp_path: Path) -> Run:
    return open_run(tmp_path / "run")


def script(run: Run, text: str, *, executable: bool = True) -> None:
    run.dir.init_script.write_text(f"#!/bin/sh\n{text}\n")
    run.dir.init_script.chmod(0o755 if executable else 0o644)


def play(run: Run, story: Callable[[App], Awaitable[None]]) -> None:
    """Tell a story to an app that is ended with it."""

    async def told() -> None:
        app = App(run)
        try:
            await story(app)
        finally:
            await app.stop()

    asyncio.run(told())
    assert processes.marked(processes.APP_MARK, run.mark) == []


def journaled(run: Run) -> list[tuple[str, bool]]:
    events = Tail(run.dir.journal).read_all()
    return [(event.action, event.ok) for event in events if isinstance(event, ev.AppChanged)]


def address(text: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", text)
    assert found, text
    return found[0]


def test_a_server_is_started_once_reached_and_stopped(run: Run) -> None:
    async def story(app: App) -> None:
        started = await app.act("start")
        assert started.ok
        with urllib.request.urlopen(address(started.text)) as page:
            assert page.status == 200
        again = await app.act("start")
        assert again.ok and "already running" in again.text
        assert address((await app.act("status")).text) == address(started.text)
        stopped = await app.act("stop")
        assert stopped.ok
        assert "not running" in (await app.act("status")).text
        with pytest.raises(OSError):
            urllib.request.urlopen(address(started.text))

    script(run, SERVER)
    play(run, story)
    assert journaled(run) == [("start", True), ("stop", True)]


def test_two_starts_at_once_start_one_app(run: Run) -> None:
    async def story(app: App) -> None:
        answers = await asyncio.gather(app.act("start"), app.act("start"))
        assert all(answer.ok for answer in answers)
        assert len({address(answer.text) for answer in answers}) == 1
        assert len(processes.marked(processes.APP_MARK, run.mark)) == 1

    script(run, SERVER)
    play(run, story)
    assert journaled(run) == [("start", True), ("stop", True)]


def test_what_a_script_left_running_is_the_app(run: Run) -> None:
    async def story(app: App) -> None:
        started = await app.act("start")
        assert started.ok and "ended well" in started.text
        # For an instant, what is left is a shell that becomes it.
        while "sleep 300" not in (await app.act("status")).text:
            await asyncio.sleep(0.01)
        restarted = await app.act("restart")
        assert restarted.ok
        assert len(processes.marked(processes.APP_MARK, run.mark)) == 1

    script(run, "setsid sleep 300 >/dev/null 2>&1 &")
    play(run, story)


def test_a_script_that_fails_is_shown_with_the_end_of_its_log(run: Run) -> None:
    async def story(app: App) -> None:
        started = await app.act("start")
        assert not started.ok and "exit status 3" in started.text
        assert "the very end" in started.text and "line 1\n" not in started.text
        assert (await app.act("logs")).text.endswith("the very end\n")

    script(run, "seq -f 'line %.0f' 20000; echo the very end >&2; exit 3")
    play(run, story)
    assert journaled(run) == [("start", False)]


@pytest.mark.parametrize(("mark", "whose"), [(True, "of this run"), (False, "none of this run's")])
def test_who_holds_a_port_that_is_taken_is_named(run: Run, mark: bool, whose: str) -> None:
    async def story(app: App) -> None:
        started = await app.act("start")
        assert not started.ok and f"Port {port} is held by {holder.pid} " in started.text
        assert whose in started.text

    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    environment = {**os.environ, processes.RUN_MARK: run.mark} if mark else None
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        port = re.findall(r"port (\d+)", holder.stdout.readline())[0]
        # Python names no port when it is taken: what is asked for stands in the script.
        script(run, f"exec python3 -m http.server --bind 127.0.0.1 {port}")
        play(run, story)
        holder.terminate()


def test_a_log_is_not_cut_through_a_secret(run: Run) -> None:
    async def story(app: App) -> None:
        assert (await app.act("start")).ok
        assert "staple" not in app.log() and len(app.log()) == LOG_TAIL

    run.redact = Redactor({"SHOP_PASSWORD": "correct-horse-battery-staple"})
    # The last characters shown begin within the secret.
    script(run, f"printf correct-horse-battery-staple; printf '%0{LOG_TAIL - 8}d' 0")
    play(run, story)


def test_what_can_not_be_started_gets_a_sentence(run: Run) -> None:
    async def story(app: App) -> None:
        assert "no init.sh" in (await app.act("start")).text
        assert "start, stop, restart" in (await app.act("fly")).text
        assert (await app.act("logs")).text == "The log is empty."
        run.dir.init_script.write_bytes(b"\x7fELF not really")
        run.dir.init_script.chmod(0o755)
        assert "can't be run" in (await app.act("start")).text

    play(run, story)


def test_a_script_needs_no_mode_and_gets_no_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(app: App) -> None:
        assert (await app.act("start")).ok
        log = (await app.act("logs")).text
        assert "PATH=" in log and "ANTHROPIC" not in log and "CLAUDE" not in log
        assert "correct-horse" not in log and "[redacted]" in log

    monkeypatch.setenv("ANTHROPIC_API_KEY", "battery-staple")
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "battery-staple")
    run.redact = Redactor({"SHOP_PASSWORD": "correct-horse"})
    script(run, "env; echo correct-horse", executable=False)
    play(run, story)


def test_that_the_app_did_not_start_is_told_to_the_next_builder_until_it_does(run: Run) -> None:
    def told() -> str:
        return first_message(run.dir, run.config, run.state, [], 2, Build())

    async def story(app: App) -> None:
        assert not (await app.act("start")).ok
        assert "Mend first" in told() and "the database is down" in told()
        script(run, SERVER)
        assert (await app.act("restart")).ok
        assert "Mend first" not in told()

    script(run, "echo the database is down; exit 1")
    play(run, story)

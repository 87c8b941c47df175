"""What goes wrong between engine, CLI, model and machine, and how a run takes it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness_core.machine import processes
from tests.harness import Event, Stage, gapless, named, open_stage, text_of, until

MIB = 1 << 20
ACTS_ON_TERMINALS = ("\x1b", "\x07", "\x08", "\x7f", "\x9b", "\u202e", "\u202c")


@contextmanager
def refusing(status: int, body: bytes) -> Iterator[str]:
    """A server that answers every request with the same error."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def is_held(event: Event) -> bool:
    return event["type"] == "tool_use" and "os.path.exists" in str(event["input"])


def cli(stage: Stage) -> int | None:
    """The pid of the CLI that holds the present session."""
    pids = [int(line.split()[0]) for line in stage.alive() if "_bundled/claude" in line]
    return pids[0] if pids else None


# The wire


def test_refusals_and_cuts_are_waited_out_and_journaled(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+429:1:2+529:2:4+500:1:8+cut:1:10") as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        assert stage.server is not None
        assert [seen.fault for seen in stage.server.requests if seen.fault] == [
            "429",
            "529",
            "529",
            "500",
            "cut",
        ]
        retries = stage.journal(named("retry"))
        assert [event["status"] for event in retries if event["status"]] == [429, 529, 529, 500]
        assert all(event["delay_ms"] > 0 and event["attempt"] >= 1 for event in retries)
        assert len(stage.journal(named("session_started"))) == 1
        assert stage.passing() == [True]
        assert gapless(stage.journal())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (
            401,
            b'{"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}',
        ),
        (404, b'{"type": "error", "error": {"type": "not_found_error", "message": "model: nope"}}'),
    ],
    ids=["key", "model"],
)
def test_what_trying_again_cannot_mend_ends_the_run_at_once(tmp_path: Path, status: int, body: bytes) -> None:
    with open_stage(tmp_path, None) as stage, refusing(status, body) as url:
        stage.lay_out()
        stage.env |= {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "wrong"}
        engine = stage.run()
        assert engine.wait(20) == 1
        ended = stage.journal(named("run_ended"))[0]
        assert ended["exit"] == 1 and "API" in ended["reason"] and "\n" not in ended["reason"]
        assert "Traceback" not in engine.out + engine.err
        assert len(stage.journal(named("session_started"))) == 1
        assert stage.status()["lifecycle"] == "failed"
        assert stage.alive() == []


def test_a_run_whose_directory_is_gone_ends(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run()
        stage.wait_for(is_held)
        mark = f"{stage.run_id()}:"
        stage.root.rename(tmp_path / "elsewhere")
        assert engine.wait(30) == 1
        assert "Traceback" not in engine.out + engine.err
        assert processes.marked(processes.RUN_MARK, mark) == []


@pytest.mark.slow
def test_hours_end_a_call_that_goes_on(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run("--max-hours", "0.003")
        stage.wait_for(is_held)
        assert engine.wait(60) == 4, engine.err
        (limit,) = stage.journal(named("limit_reached"))
        assert limit["limit"] == "max_hours" and limit["cap"] == 0.003
        assert stage.alive() == []


def test_a_tool_that_runs_is_not_silent(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run("--stall-timeout", "0.02")
        stage.wait_for(is_held)
        until(lambda: cli(stage), 5, "the CLI is there")
        held_since = time.monotonic()
        until(lambda: time.monotonic() - held_since > 2.5, 5, "twice the timeout has passed")
        stage.release()
        assert engine.wait(60) == 0, engine.err
        assert stage.journal(named("stall_detected")) == []


def test_a_call_that_takes_too_long_is_ended_and_the_agent_hears_of_it(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        (stage.root / "longwatch.toml").write_text("[timeouts]\ntool = 0.04\n")
        assert stage.run().wait(60) == 0
        (ended,) = stage.journal(lambda event: event["type"] == "tool_result" and not event["ok"])
        assert "timed out" in ended["output"] and ended["ms"] >= 2400
        assert len(stage.journal(named("session_started"))) == 1
        assert stage.journal(named("stall_detected")) == []


@pytest.mark.slow
def test_a_call_that_the_cli_does_not_end_ends_its_session(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+pipe@1") as stage:
        stage.lay_out()
        (stage.root / "longwatch.toml").write_text("[timeouts]\ntool = 0.04\n")
        assert stage.run().wait(90) == 0
        (stall,) = stage.journal(named("stall_detected"))
        assert (stall["session"], stall["what"]) == (1, "a tool call under way")
        ended = [event["reason"] for event in stage.journal(named("session_ended"))]
        assert ended == ["timeout", "done"]
        assert stage.alive() == []


@pytest.mark.slow
def test_a_session_that_takes_too_long_is_followed_by_a_fresh_one(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold@1") as stage:
        stage.lay_out()
        engine = stage.run("--session-timeout", "0.06")
        stage.wait_for(named("stall_detected", what="the session at work"))
        stage.wait_for(lambda event: event["type"] == "session_started" and event["session"] == 2)
        assert engine.wait(60) in (0, 1)
        first = stage.journal(named("session_ended"))[0]
        assert first["reason"] == "timeout" and first["ms"] >= 3600
        resumed = [event for event in stage.journal(named("session_started")) if event["resumed"]]
        assert resumed == [] and stage.alive() == []


@pytest.mark.slow
def test_a_session_that_was_resumed_has_only_the_rest_of_its_time(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold@1") as stage:
        stage.lay_out()
        engine = stage.run("--session-timeout", "0.25")
        held = stage.wait_for(is_held)
        before = time.monotonic()
        until(lambda: time.monotonic() - before > 8, 15, "half of its time has passed")
        # What a killed engine has done since its newest event, nobody knows.
        (stage.root / "STEER.md").write_text("Go on.\n")
        stage.wait_for(named("steer_queued"))
        engine.kill()
        again = stage.run("--session-timeout", "0.25")
        back = stage.wait_for(named("session_started", resumed=True))
        over = stage.wait_for(named("stall_detected", what="the session at work"))
        assert back["session"] == over["session"] == held["session"] == 1
        assert over["seconds"] >= 15 and _between(back, over) < 10
        assert again.wait(60) == 0


def _between(one: Event, other: Event) -> float:
    """Seconds from one event to the other."""
    times = [datetime.fromisoformat(event["ts"]) for event in (one, other)]
    return (times[1] - times[0]).total_seconds()


@pytest.mark.slow
def test_a_wait_for_a_usage_limit_is_no_silence(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+limit:1:3") as stage:
        stage.lay_out()
        engine = stage.run("--stall-timeout", "0.03")
        stage.wait_for(lambda event: event["type"] in ("retry", "rate_limited"))
        since = time.monotonic()
        until(lambda: time.monotonic() - since > 3.5, 5, "the stall timeout has passed")
        assert stage.journal(named("stall_detected")) == []
        status = stage.status()
        assert status["lifecycle"] == "waiting_limit" and status["waiting_until"]
        stage.stop_file.touch()
        assert engine.wait(10) == 3
        assert stage.alive() == []


# The machine


def test_a_cli_that_is_killed_while_it_starts_is_started_again(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny") as stage:
        stage.lay_out()
        engine = stage.run()
        os.kill(until(lambda: cli(stage), 30, "the CLI is there"), signal.SIGKILL)
        assert engine.wait(60) == 0, engine.err
        (again,) = stage.journal(named("retry"))
        first = stage.journal(named("session_started"))[0]
        assert again["seq"] < first["seq"] and "-9" in again["error"]


def test_a_killed_cli_is_followed_by_the_same_session(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run()
        stage.wait_for(is_held)
        pid = until(lambda: cli(stage), 5, "the CLI is there")
        os.kill(pid, signal.SIGKILL)
        stage.wait_for(named("session_started", resumed=True))
        held = [line for line in stage.alive() if "os.path.exists" in line]
        assert len(held) <= 1, "the first CLI's command was left alive"
        stage.release()
        assert engine.wait(60) == 0, engine.err
        starts = stage.journal(named("session_started"))
        assert {(event["session"], event["sdk_session"]) for event in starts} == {
            (1, starts[0]["sdk_session"])
        }
        assert [event["to"] for event in stage.journal(named("feature_changed"))] == ["claimed"]
        assert stage.alive() == []


@pytest.mark.slow
def test_a_server_that_outlives_its_shell_ends_with_the_session_that_started_it(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold@F001+server@F001+hold@F002") as stage:
        stage.lay_out(features=2)
        engine = stage.run(features=2)
        stage.wait_for(is_held)
        pid = int((stage.root / "server.pid").read_text())
        (marked,) = [
            item
            for item in processes.marked(processes.RUN_MARK, f"{stage.run_id()}:")
            if item.pid == pid and os.getsid(pid) == pid
        ]
        stage.release()
        stage.wait_for(named("feature_changed", feature="F001", to="claimed"))
        (stage.root / "go").unlink()
        stage.wait_for(lambda event: is_held(event) and event["session"] == 2)
        until(lambda: not marked.alive, 20, "the first session's server is gone")
        assert not engine.ended
        stage.release()
        assert engine.wait(60) == 0, engine.err
        assert stage.passing() == [True, True]


@pytest.mark.slow
def test_large_calls_outputs_and_pictures_do_not_kill_a_session(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+huge-output+huge-output:20000+huge-picture+huge-write") as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        assert len(stage.journal(named("session_started"))) == 1
        assert (stage.root / "screenshots/noise.png").stat().st_size > 1_500_000
        results = stage.journal(named("tool_result"))
        assert all(len(event["output"].encode()) <= 4096 for event in results)
        kept = [stage.private / "blobs" / event["blob"] for event in results if event["blob"]]
        assert kept and all(path.stat().st_size > 4096 for path in kept)
        assert (stage.private / "journal.jsonl").stat().st_size < 200_000
        # A line of the CLI over 1 MiB, the SDK's own bound, is no end.
        assert stage.passing() == [True]
        assert (stage.root / "notes/long.txt").stat().st_size > MIB
        path = next((stage.private / "sessions").glob("001-*.jsonl"))
        long = [json.loads(line) for line in path.read_bytes().splitlines() if len(line) > MIB]
        assert {message["kind"] for message in long} == {"AssistantMessage", "UserMessage"}
        assert all(len(json.dumps(event)) < 20_000 for event in stage.journal())


def test_nothing_big_or_built_gets_into_a_commit_of_an_agents_own(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+ballast+ballast:at-once") as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        taken = stage.git("log", "--all", "--name-only", "--format=").split()
        assert "Take all of it" in stage.subjects() and "kept.txt" in taken
        assert not {"model.bin", "tools/venv/pyvenv.cfg"} & {*taken}
        told = [event for event in stage.journal(named("error")) if event["kind"] == "left_out"]
        assert [event["message"].partition(": ")[2] for event in told] == ["/model.bin, /tools/venv/"]
        assert (stage.root / "model.bin").stat().st_size == 6_000_000
        # What one command makes and commits is seen afterwards: the agent hears of it, once.
        assert "late.bin" in taken
        (said,) = [event["message"] for event in stage.journal(named("error")) if event["kind"] == "ballast"]
        assert "/late.bin" in said and "git rm -r --cached" in said
        heard = text_of(stage.bodies("generator")[-1]["messages"])
        assert said in heard and told[0]["message"] in heard


# Limits


@pytest.mark.parametrize(
    ("limit", "cap", "used"),
    [
        ("--max-turns", "9", "turns"),
        pytest.param("--max-usd", "0.02", "cost_usd", marks=pytest.mark.slow),
    ],
)
def test_a_limit_ends_an_endless_loop(tmp_path: Path, limit: str, cap: str, used: str) -> None:
    with open_stage(tmp_path, "tiny+loop") as stage:
        stage.lay_out()
        engine = stage.run(limit, cap)
        assert engine.wait(60) == 4, engine.err
        reached = stage.journal(named("limit_reached"))
        assert [(event["limit"], event["cap"]) for event in reached] == [
            (limit.removeprefix("--").replace("-", "_"), float(cap))
        ]
        status = stage.status()
        assert float(cap) <= status[used] <= float(cap) * 1.5
        assert stage.server is not None
        requests = len(stage.server.requests)
        if used == "turns":
            assert requests == int(cap)
        assert stage.run(limit, cap).wait(30) == 4
        assert len(stage.server.requests) == requests, "a request went out past the limit"
        assert stage.alive() == []


# The agents


def test_sessions_that_change_nothing_are_named_and_keep_no_feature_from_its_attempts(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+idle") as stage:
        stage.lay_out(features=2)
        engine = stage.run("--max-retries", "1", features=2)
        assert engine.wait(60) == 1
        built = [event["feature"] for event in stage.journal(named("session_started"))]
        assert built == ["F001", "F002", "F001", "F002"], "each is tried, and once more after all else"
        named_so = [event["times"] for event in stage.journal(named("loop_detected"))]
        assert named_so == [1, 2, 3, 4]
        ended = stage.journal(named("run_ended"))[0]
        assert ended["reason"] == (
            "2 of 2 features are left, each given up for now; the last 4 sessions changed nothing"
        )
        assert ended["reason"] in engine.out
        assert stage.status()["lifecycle"] == "failed"
        assert stage.passing() == [False, False]


@pytest.mark.slow
def test_an_agent_that_touches_no_feature_is_not_tried_on_all_of_them(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+idle") as stage:
        stage.lay_out(features=7)
        engine = stage.run("--max-retries", "1", features=7)
        assert engine.wait(90) == 1
        assert len(stage.journal(named("session_started"))) == 5
        ended = stage.journal(named("run_ended"))[0]
        assert ended["reason"] == "the last 5 sessions changed nothing"
        assert stage.run("--max-retries", "1", features=7).wait(90) == 1
        assert len(stage.journal(named("session_started"))) == 10, "asked again, it goes on"


@pytest.mark.slow
def test_a_whole_that_nobody_changes_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+loop:50") as stage:
        given = ("--preset", "solo", "--prompt", "A program that draws flags.", "--max-retries", "2")
        engine = stage.start(
            "run", str(stage.root), "--headless", *given, *("--set", "limits.session.max_turns=2")
        )
        assert engine.wait(60) == 1
        ended = stage.journal(named("run_ended"))[0]
        assert ended["reason"] == "the last 2 sessions changed nothing"


def test_what_agents_say_cannot_act_on_a_terminal(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+markup+hold") as stage:
        stage.lay_out()
        engine = stage.run()
        stage.wait_for(is_held)
        watcher = stage.start("attach", str(stage.root))
        stage.do("steer", str(stage.root), "\x1b[31mred\u202e")
        stage.release()
        assert engine.wait(60) == 0, engine.err
        assert watcher.wait(10) == 0
        assert "\x1b" in stage.journal(named("steer_queued"))[0]["text"]
        said = [event["text"] for event in stage.journal(named("text"))]
        assert any("\x1b[2J" in text for text in said), "the journal keeps what was said"
        shown = [engine, watcher, stage.do("trace", str(stage.root)), stage.do("status", str(stage.root))]
        for command in shown:
            assert not [mark for mark in ACTS_ON_TERMINALS if mark in command.out + command.err]
        assert "[bold]bold[/bold]" in engine.out


def test_a_subagent_is_judged_and_named(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+subagent") as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        asked = [event for event in stage.journal(named("tool_use")) if event["tool"] in ("Agent", "Task")]
        inner = [event for event in stage.journal(named("tool_use")) if event["agent"]]
        assert len(asked) == 1 and [event["tool"] for event in inner] == ["Bash"]
        results = stage.journal(named("tool_result", tool_use_id=inner[0]["tool_use_id"]))
        assert [event["agent"] for event in results] == [inner[0]["agent"]]
        assert {event["agent"] for event in stage.journal(named("cost"))} == {None, inner[0]["agent"]}

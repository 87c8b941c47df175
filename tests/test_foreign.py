"""A directory of another harness as a journal: transcripts, commits, files. Nothing of it is touched."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness_core.layout import RunDir
from harness_core.record import events as ev
from harness_core.record.fold import fold
from harness_core.record.foreign import OUTPUT, Transcript, transcripts_folder
from harness_core.record.journal import Tail as JournalTail
from harness_core.record.state import Lifecycle
from harness_core.record.status import status
from tui import foreign, transcripts
from tui.foreign import ForeignRun, Keeper, watchable
from tui.transcripts import Tail

HOSTILE = "\x1b[2J\x9b31m\u202e[@click=app.exit]x[/] [/foo]"
Wait = Callable[[Callable[[], bool]], None]
USAGE = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100}


AT = "2026-01-01T10:00:00.000Z"


def said(*blocks: dict[str, Any], reply: str = "m1", at: str = AT, **more: Any) -> bytes:
    message = {"id": reply, "model": "claude-sonnet-5-5", "content": blocks, "usage": USAGE}
    return _line({"type": "assistant", "timestamp": at, "message": message, **more})


def heard(content: object, at: str = AT, **more: Any) -> bytes:
    return _line({"type": "user", "timestamp": at, "message": {"role": "user", "content": content}, **more})


def _line(raw: dict[str, Any]) -> bytes:
    return json.dumps(raw).encode()


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def call(name: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": name, "name": "Bash", "input": given}


def result(name: str, content: object, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": name, "content": content, **more}


# --- Lines ----------------------------------------------------------------


def test_a_session_becomes_events() -> None:
    session = Transcript(3, "s")
    lines = [
        heard("Build it."),
        said({"type": "thinking", "thinking": "Hm."}),
        said(text("I begin."), at="2026-01-01T10:00:01.000Z"),
        said(call("t1", command="ls"), at="2026-01-01T10:00:02.000Z"),
        heard([result("t1", "a.py")], at="2026-01-01T10:00:02.250Z"),
        said(call("t2", command="false"), reply="m2", at="2026-01-01T10:00:03.000Z"),
        heard([result("t2", [text("no"), {"type": "image"}], is_error=True)], at="2026-01-01T10:00:04.000Z"),
    ]
    told = [event for line in lines for event in session.take(line)]
    kinds = [type(event) for event in told]
    assert kinds == [
        ev.SessionStarted, ev.Text, ev.Thinking, ev.Cost, ev.Text, ev.ToolUse, ev.ToolResult,
        ev.ToolUse, ev.Cost, ev.ToolResult,
    ]  # fmt: skip
    assert {(event.session, event.role) for event in told} == {(3, "agent")}
    started, prompt = told[0], told[1]
    assert isinstance(started, ev.SessionStarted) and started.model == "claude-sonnet-5-5"
    assert isinstance(prompt, ev.Text) and prompt.text == "> Build it."
    results = [event for event in told if isinstance(event, ev.ToolResult)]
    assert [(item.ok, item.ms, item.output) for item in results] == [
        (True, 250, "a.py"),
        (False, 1000, "no\n[image]"),
    ]
    costs = [event for event in told if isinstance(event, ev.Cost)]
    assert [(cost.tokens, cost.turns, cost.context) for cost in costs] == [(115, 1, 110)] * 2
    assert all(cost.usd > 0 for cost in costs)


def test_a_session_ends_and_goes_on() -> None:
    session = Transcript(1, "s")
    session.take(said(text("a")))
    session.take(said(text("b"), reply="m2", at="2026-01-01T10:01:00Z"))
    (over,) = session.end("silent")
    assert isinstance(over, ev.SessionEnded) and (over.ms, over.turns) == (60_000, 2)
    assert session.end("silent") == []
    again = session.take(said(text("c"), reply="m2"))[0]
    assert isinstance(again, ev.SessionStarted) and again.resumed


def test_subagents_errors_and_retries_are_told() -> None:
    session = Transcript(1, "s")
    refused = said(text("API Error: 529"), isApiErrorMessage=True, error="overloaded")
    (error,) = [event for event in session.take(refused) if isinstance(event, ev.Error)]
    assert (error.message, error.kind) == ("API Error: 529", "overloaded")
    inside = session.take(said(text("a"), reply="m3", isSidechain=True, agentId="a1"))
    assert {event.agent for event in inside if isinstance(event, ev.Text | ev.Cost)} == {"a1"}
    elsewhere = session.take(said(text("a"), reply="m4"), agent="a2")
    assert {event.agent for event in elsewhere if isinstance(event, ev.Text | ev.Cost)} == {"a2"}
    api = {"retryAttempt": 2, "maxRetries": 10, "retryInMs": 1500.5, "error": {"status": 529}}
    (retry,) = session.take(_line({"type": "system", "subtype": "api_error", **api}))
    assert isinstance(retry, ev.Retry)
    assert (retry.attempt, retry.max, retry.delay_ms, retry.status) == (2, 10, 1500, 529)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{}", b"[" * 100_000,
        b'{"type": "assistant"}', b'{"type": "assistant", "message": []}',
        b'{"type": "assistant", "message": {"content": 5}}',
        b'{"type": "assistant", "message": {"content": [5, null, {"type": 7}, {"type": "text"}]}}',
        b'{"type": "assistant", "message": {"usage": {"input_tokens": "many"}, "content": []}}',
        b'{"type": "user", "message": {"content": {"a": 1}}}',
        b'{"type": "summary", "summary": "x"}',
        heard("hidden", isMeta=True),
    ],
    ids=range(16),
)  # fmt: skip
def test_a_line_that_says_nothing_is_passed_over(line: bytes) -> None:
    assert Transcript(1, "s").take(line) == []


def test_what_is_wrong_in_a_line_costs_only_itself() -> None:
    session = Transcript(1, "s")
    odd = _line(
        {
            "type": "assistant",
            "timestamp": "the day before",
            "message": {
                "content": [call("t", command="ls") | {"input": "x"}, {"type": "tool_use"}, text("a")],
                "usage": {"input_tokens": True, "cache_creation": 5},
            },
        }
    )
    told = session.take(odd)
    assert [type(event) for event in told][1:4] == [ev.ToolUse, ev.ToolUse, ev.Text]
    assert all(datetime.fromisoformat(event.ts).tzinfo for event in told)
    for stamp in ("9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00", "2026-01-01T10:00:00", 5):
        session.take(_line({"type": "assistant", "timestamp": stamp, "message": {"content": "x"}}))
        assert datetime.fromisoformat(session.last) <= datetime.now(UTC)


def test_long_output_is_cut() -> None:
    session = Transcript(1, "s")
    session.take(said(call("t")))
    (found,) = session.take(heard([result("t", "x" * 100_000)]))
    assert isinstance(found, ev.ToolResult) and len(found.output) == OUTPUT


# --- Files ----------------------------------------------------------------


def test_transcripts_lie_where_the_cli_puts_them(tmp_path: Path) -> None:
    environ = {"CLAUDE_CONFIG_DIR": str(tmp_path)}
    assert transcripts_folder(Path("/a b/c.d_e"), environ) == tmp_path / "projects" / "-a-b-c-d-e"
    assert transcripts_folder(Path("/x"), {}).parent.parent == Path.home() / ".claude"
    long = Path("/" + "x" * 300)
    hashed = tmp_path / "projects" / ("-" + "x" * 199 + "-1abc")
    hashed.mkdir(parents=True)
    assert transcripts_folder(long, environ) == hashed


def test_a_tail_reads_whole_lines_from_the_end_of_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    lines = [b"%07d" % number for number in range(1000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    tail = Tail(path, tail=100)
    assert tail.read() == lines[-12:]
    with path.open("ab") as stream:
        stream.write(b"torn")
        stream.flush()
        assert tail.read() == []
        stream.write(b" mended\n")
    assert tail.read() == [b"torn mended"]
    path.write_bytes(b"cut\n")
    assert tail.read() == []
    with path.open("ab") as stream:
        stream.write(b"new\n")
    assert tail.read() == [b"new"]
    path.unlink()
    assert tail.read() == []


def test_a_line_without_end_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, "LONGEST", 1000)
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"x" * 5000)
    tail = Tail(path)
    assert tail.read() == []
    with path.open("ab") as stream:
        stream.write(b"xxx\nnext\n")
    assert tail.read() == [b"next"]


# --- A directory ----------------------------------------------------------------


class Other:
    """A directory in which another harness works, with a folder for transcripts."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "other"
        self.root.mkdir()
        self.contract(False, False)
        (self.root / "claude-progress.txt").write_text("# Notes\n")
        self.folder = transcripts_folder(self.root, {"CLAUDE_CONFIG_DIR": str(tmp_path / "claude")})
        self.folder.mkdir(parents=True)

    def contract(self, *passes: bool) -> None:
        listed = [{"description": f"does {number}", "passes": done} for number, done in enumerate(passes)]
        (self.root / "feature_list.json").write_text(json.dumps(listed))

    def speak(self, name: str, *lines: bytes) -> Path:
        path = self.folder / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.write(b"".join(line + b"\n" for line in lines))
        return path

    def names(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir())


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Other:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    monkeypatch.setattr(transcripts, "LIST_EVERY", 0.0)
    return Other(tmp_path)


def events_of(run: RunDir) -> list[ev.Event]:
    tail = JournalTail(run.journal)
    found = list(tail.read_all())
    assert tail.damaged == 0
    assert [event.seq for event in found] == list(range(1, len(found) + 1))
    return found


def texts(run: RunDir) -> list[str]:
    return [event.text for event in events_of(run) if isinstance(event, ev.Text)]


def test_the_newest_session_is_followed_and_the_directory_is_not_touched(other: Other) -> None:
    os.utime(other.speak("old", said(text("long ago"))), (1, 1))
    stamp = datetime.now(UTC).isoformat()
    other.speak("new", said(text("first"), at=stamp), b"{torn", said(text(HOSTILE), reply="m2", at=stamp))
    before = other.names()
    keeper = Keeper(other.root)
    keeper.look()
    assert texts(keeper.run) == ["first", HOSTILE]
    state = fold(keeper.run)
    assert (state.sessions, state.turns, state.tokens) == (2, 2, 230)
    assert status(keeper.run).lifecycle == Lifecycle.RUNNING
    other.speak("new", said(text("second"), reply="m3", at=stamp))
    keeper.look()
    assert texts(keeper.run)[-1] == "second"
    other.speak("newer", said(text("third"), reply="m4", at=stamp))
    keeper.look()
    assert texts(keeper.run)[-1] == "third"
    assert fold(keeper.run).sessions == 3
    assert [type(event) for event in events_of(keeper.run)].count(ev.SessionEnded) == 1
    assert other.names() == before
    assert other.root not in keeper.run.private.parents
    assert (keeper.run.stop_file, keeper.run.steer_file) == (
        other.root / "AGENT_STOP",
        other.root / "STEER.md",
    )


def test_a_silent_session_is_over_until_it_speaks(other: Other) -> None:
    other.speak("s", said(text("long ago"), at="2026-01-01T10:00:00Z"))
    keeper = Keeper(other.root)
    keeper.look()
    keeper.look()
    assert status(keeper.run).lifecycle == Lifecycle.IDLE
    other.speak("s", said(text("again"), reply="m2", at=datetime.now(UTC).isoformat()))
    keeper.look()
    report = status(keeper.run)
    assert (report.lifecycle, report.sessions) == (Lifecycle.RUNNING, 1)
    assert report.elapsed_s < foreign.SILENT


def test_a_subagent_is_heard(other: Other) -> None:
    other.speak("s", said(text("main")))
    keeper = Keeper(other.root)
    keeper.look()
    other.speak("s/subagents/agent-a7", said(text("sub"), reply="m2"))
    keeper.look()
    found = {event.text: event.agent for event in events_of(keeper.run) if isinstance(event, ev.Text)}
    assert found == {"main": None, "sub": "a7"}


def test_a_session_of_a_directory_with_a_like_name_is_not_ours(other: Other, tmp_path: Path) -> None:
    other.speak("s", said(text("elsewhere"), cwd=str(tmp_path / "oth/er")))
    other.speak("t", said(text("here"), cwd=str(other.root / "src")))
    keeper = Keeper(other.root)
    keeper.look()
    assert texts(keeper.run) == ["here"]


def test_what_is_too_much_for_an_event_costs_that_event(
    other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "not-for-eyes-1234")
    deep: object = "not-for-eyes-1234"
    for _ in range(600):
        deep = [deep]
    usage = {"input_tokens": 2**64 - 1, "output_tokens": 5}
    giant = {"type": "assistant", "message": {"id": "m", "content": [text("a")], "usage": usage}}
    other.speak("s", said(call("deep", deep=deep)), said(call("much", much=10**30)), _line(giant))
    keeper = Keeper(other.root)
    keeper.look()
    calls = [event.tool_use_id for event in events_of(keeper.run) if isinstance(event, ev.ToolUse)]
    assert calls == ["much"] and texts(keeper.run) == ["a"]
    assert fold(keeper.run).tokens > 2**64


def test_a_giant_transcript_is_read_from_its_end(other: Other) -> None:
    path = other.speak("s", *[said(text(f"{number:06d} " + "x" * 400)) for number in range(2000)])
    whole = path.read_bytes()
    with path.open("ab") as stream:
        for _ in range(100_000_000 // len(whole)):
            stream.write(whole)
    keeper = Keeper(other.root)
    keeper.look()
    assert texts(keeper.run)[-1].startswith("001999")
    assert keeper.run.journal.stat().st_size < transcripts.TAIL


def test_secrets_stay_out(other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "not-for-eyes-1234")
    other.speak("s", said(text("it is not-for-eyes-1234")))
    keeper = Keeper(other.root)
    keeper.look()
    assert texts(keeper.run) == ["it is [redacted]"]


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Ann", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def test_without_transcripts_commits_and_features_are_told(other: Other) -> None:
    git(other.root, "init", "-q")
    git(other.root, "add", "-A")
    git(other.root, "commit", "-qm", "Begin")
    keeper = Keeper(other.root)
    keeper.look()
    other.contract(True, False)
    git(other.root, "commit", "-qam", f"Go on {HOSTILE}")
    keeper.look()
    other.contract(False, False)
    keeper.look()
    other.contract()
    (other.root / "feature_list.json").write_text("{")
    keeper.look()
    told = events_of(keeper.run)
    commits = [(event.by, event.subject[:5]) for event in told if isinstance(event, ev.Commit)]
    assert commits == [("Ann", "Begin"), ("Ann", "Go on")]
    changes = [(event.from_, event.to) for event in told if isinstance(event, ev.FeatureChanged)]
    assert changes == [("failing", "claimed"), ("claimed", "regressed")]
    assert fold(keeper.run).active_ms == 0
    assert status(keeper.run).lifecycle == Lifecycle.IDLE


def test_files_that_change_are_told_in_words(
    other: Other, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    run = watchable(RunDir(other.root))
    assert isinstance(run, ForeignRun)

    def written() -> bool:
        (other.root / f"{len(texts(run))}.py").write_text("x")
        return any(told.startswith("changed: ") and ".py" in told for told in texts(run))

    wait_until(written)


def test_a_run_of_our_own_keeps_its_journal(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.private.mkdir()
    run.run_json.write_text("{}")
    assert watchable(run) is run


@pytest.fixture
def wait_until() -> Wait:
    """Waits for a condition that other threads bring about."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "it never came about"
            time.sleep(0.05)

    return wait

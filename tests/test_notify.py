"""Messages to an operator who looks elsewhere: what is told, how often, by which ways, and when one fails."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from textual.pilot import Pilot

from harness_core import config
from harness_core.errors import Mistake
from harness_core.notify import channels as ways
from harness_core.notify.messages import EVERY, Kind, Throttle, message, of_event
from harness_core.notify.notifier import Notifier
from harness_core.notify.settings import Notify, of_user
from harness_core.record import events as ev
from tests import scenes
from tests.console import screen, watch
from tests.console import until as seen
from tests.harness import named, open_stage, until
from tests.test_run_faults import is_held
from tui import settings
from tui.console import attention

WRITES = 'cat > "{out}.part" && mv "{out}.part" "{out}-$LONGWATCH_KIND"'


class Service(BaseHTTPRequestHandler):
    """Keeps what is posted to it; the path says how it answers."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.letters.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(500 if "broken" in self.path else 200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def service() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address for Apprise's `json://`, and the letters that come there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.letters = letters = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"json://127.0.0.1:{server.server_address[1]}", letters
    finally:
        server.shutdown()
        server.server_close()


def waiting(number: int = 1) -> ev.CheckpointOpened:
    return ev.CheckpointOpened(id=f"{number:03d}", kind="end", subject_hash="x", summary="Is it right?")


def by_command(command: str) -> list[ways.Channel]:
    return ways.channels(Notify(desktop=False, command=command), "/run", {})


def failures(notifier: Notifier) -> list[str]:
    found: list[str] = []
    notifier.tell_failures(lambda event: found.append(event.message))
    return found


# --- What is told -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "kind", "word"),
    [
        (ev.RunEnded(reason="all features pass", exit=0), Kind.DONE, "all features pass"),
        (ev.RunEnded(reason="2 features are left", exit=1), Kind.FAILED, "2 features"),
        (waiting(), Kind.WAITING, "checkpoint 001: Is it right?"),
        (ev.LimitNear(limit="max_usd", value=8.1234, cap=10), Kind.LIMIT, "8.123 of 10"),
        (ev.LimitReached(limit="max_usd", value=10.2, cap=10), Kind.LIMIT, "max-usd 10 is reached"),
        (ev.RateLimited(status="rejected", resets_at="2030-01-01"), Kind.LIMIT, "until 2030-01-01"),
        (ev.StallDetected(what="silence", seconds=600), Kind.STALL, "silence for 600 s"),
        (ev.StallDetected(what=ev.NO_ANSWER, seconds=600), Kind.STALL, "no answer from the API for 600 s"),
        (ev.StallDetected(what="the session", seconds=7200), Kind.STALL, "was ended after 7200 s"),
        (ev.LoopDetected(what="the same call", times=5), Kind.STALL, "the same call, 5 times"),
    ],
)
def test_what_an_operator_wants_to_hear(event: ev.Event, kind: Kind, word: str) -> None:
    found = of_event(event, "shop")
    assert found is not None
    assert found.kind is kind and found.title.startswith("shop: ") and word in found.body


@pytest.mark.parametrize(
    "event",
    [
        ev.RunEnded(reason="stopped", exit=3),
        ev.RunEnded(reason="a limit", exit=4),
        ev.RunEnded(reason="checkpoint 001 waits", exit=5),
        ev.RateLimited(status="allowed_warning"),
        ev.Text(text="I am done"),
        ev.Error(message="x", kind="notify"),
    ],
)
def test_what_the_operator_did_or_has_heard_is_not_told(event: ev.Event) -> None:
    assert of_event(event, "shop") is None


def test_outside_text_cannot_act() -> None:
    found = message(Kind.WAITING, "a\x1b]0;x\x07b", "line\nline \x1b[31m\u202e" + "x" * 1000)
    assert found.title == "a]0;xb: waits for you"
    assert found.body.startswith("line line [31mxxx") and len(found.body) <= 300


# --- How often ----------------------------------------------------------------------------------------


def test_a_burst_becomes_two_messages() -> None:
    throttle = Throttle()
    burst = [message(Kind.STALL, "shop", f"stall {n}") for n in range(10)]
    sent = [one for at, item in enumerate(burst) for one in throttle.offer(item, at)]
    assert [one.body for one in sent] == ["stall 0"]
    assert throttle.due(EVERY - 1) == []
    assert throttle.wait(20.0) == EVERY - 20.0
    (rest,) = throttle.due(EVERY)
    assert rest.text == "stall 9 (and 8 more like it)"
    assert throttle.wait(EVERY) is None


def test_kinds_do_not_wait_for_each_other() -> None:
    throttle = Throttle()
    sent = [throttle.offer(message(kind, "shop", "x"), 0.0) for kind in Kind]
    assert [len(one) for one in sent] == [1] * len(Kind)
    throttle.offer(message(Kind.DONE, "shop", "again"), 1.0)
    assert [one.body for one in throttle.rest()] == ["again"] and throttle.rest() == []


def test_after_a_quiet_time_one_goes_out_at_once() -> None:
    throttle = Throttle()
    throttle.offer(message(Kind.DONE, "shop", "one"), 0.0)
    assert [one.body for one in throttle.offer(message(Kind.DONE, "shop", "two"), EVERY)] == ["two"]


# --- By which ways ------------------------------------------------------------------------------------


def test_a_command_has_the_message_in_its_environment_and_on_its_input(tmp_path: Path) -> None:
    out = tmp_path / "said"
    with Notifier(
        "shop", by_command(f'(printenv LONGWATCH_TITLE LONGWATCH_BODY; cat) > "{out}"')
    ) as notifier:
        notifier.hear(waiting())
    first, second, third = out.read_text().split("\n", 2)
    assert (first, second) == ("shop: waits for you", "checkpoint 001: Is it right?")
    assert json.loads(third) == {"kind": "waiting", "title": first, "body": second, "dir": "/run"}
    assert failures(notifier) == []


def test_words_of_a_run_are_no_part_of_the_command(tmp_path: Path) -> None:
    out = tmp_path / "said"
    hostile = ev.RunEnded(reason=f"$(touch {tmp_path}/evil) `touch {tmp_path}/evil`; '\"", exit=1)
    with Notifier("shop", by_command(f'echo "$LONGWATCH_BODY" > "{out}"')) as notifier:
        notifier.hear(hostile)
    assert out.read_text().strip() == hostile.reason
    assert not (tmp_path / "evil").exists()


def test_a_service_gets_the_message_through_apprise() -> None:
    with service() as (url, letters):
        with Notifier("shop", ways.channels(Notify(desktop=False, url=url), "/run", {})) as notifier:
            notifier.hear(ev.RunEnded(reason="all <b>features</b> pass \\n", exit=0))
        assert failures(notifier) == []
        assert [letter["title"] for letter in letters] == ["shop: done"]
        assert letters[0]["message"] == "all <b>features</b> pass \\n" and letters[0]["type"] == "success"


def test_the_desktop_gets_it_without_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/said"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    environ = {"PATH": str(tmp_path), "DISPLAY": ":0"}
    assert ways.channels(Notify(), "/run", {"PATH": str(tmp_path)}) == [], "no desktop, no message"
    assert ways.channels(Notify(desktop=False), "/run", environ) == []
    with Notifier("shop", ways.channels(Notify(), "/run", environ)) as notifier:
        notifier.hear(ev.RunEnded(reason="--help <a href='x'>it</a>", exit=1))
    said = (tmp_path / "said").read_text().splitlines()
    assert said[-3:] == ["--", "shop: has failed", "--help &lt;a href=&#x27;x&#x27;&gt;it&lt;/a&gt;"]


def test_nothing_is_started_where_nobody_asked() -> None:
    before = threading.active_count()
    with Notifier("shop", []) as notifier:
        notifier.hear(waiting())
        assert threading.active_count() == before


# --- When it fails ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "word"),
    [
        (Notify(desktop=False, command="exit 7"), "[notify] command didn't leave: it ended with status 7"),
        (Notify(desktop=False, url="nonsense"), "[notify] url didn't leave: Apprise doesn't know"),
        (Notify(desktop=True), "[notify] desktop didn't leave: notify-send can't be started"),
    ],
)
def test_a_failure_is_told_once(way: Notify, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with Notifier("shop", ways.channels(way, "/run", {})) as notifier:
        notifier.hear(waiting())
        notifier.hear(ev.StallDetected(what="silence", seconds=1))
    (said,) = failures(notifier)
    assert word in said


def test_a_failing_service_is_told_without_its_address() -> None:
    with service() as (url, letters):
        address = f"{url}/broken/s3cr3t-t0ken"
        with Notifier("shop", ways.channels(Notify(desktop=False, url=address), "/run", {})) as notifier:
            notifier.hear(waiting())
        (said,) = failures(notifier)
        assert letters and "the service didn't take the message" in said
        assert "s3cr3t" not in said and "127.0.0.1" not in said


def test_a_command_that_hangs_is_ended_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "WITHIN", 0.5)
    begun = tmp_path / "begun"
    with Notifier("shop", by_command(f'touch "{begun}"; sleep 600 & sleep 600')) as notifier:
        notifier.hear(waiting())
        until(begun.exists, 10, "the command has begun")
    (said,) = failures(notifier)
    assert "it took over 0.5 s and was ended" in said


# --- What is set --------------------------------------------------------------------------------------


def test_the_run_s_own_words_go_over_the_user_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "config.toml"
    monkeypatch.setenv("LONGWATCH_CONFIG", str(place))
    assert of_user() == Notify() and settings.load().terminal
    place.write_text('theme = "light"\n[notify]\nterminal = false\ncommand = "true"\nurl = "json://a"\n')
    assert not settings.load().terminal
    toml = tmp_path / "longwatch.toml"
    toml.write_text('[notify]\nurl = "json://b/key-of-it"\n')
    found = config.load_file(toml).notify.over(of_user())
    assert found == Notify(terminal=False, command="true", url="json://b/key-of-it")
    place.write_text("notify = false\n")
    assert of_user() == Notify(terminal=False) and not settings.load().terminal


@pytest.mark.parametrize("text", ["[notify]\nurl = 5", "notify = 3", "[notify]\nmail = true", "= ="])
def test_a_wrong_setting_gets_a_sentence(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "config.toml"
    place.write_text(text)
    monkeypatch.setenv("LONGWATCH_CONFIG", str(place))
    with pytest.raises(Mistake, match="mend it or take"):
        of_user()


# --- In an open console -------------------------------------------------------------------------------


def test_an_open_console_calls_for_stalls_and_limits_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scenes.SCENES["running"](tmp_path)
    events = (
        ev.LimitNear(limit="max_usd", value=41, cap=50),
        ev.StallDetected(what="silence", seconds=600),
        ev.LoopDetected(what="the same call", times=5),
    )

    async def story(pilot: Pilot[int]) -> None:
        calls: list[None] = []
        monkeypatch.setattr(pilot.app, "bell", lambda: calls.append(None))
        clock = [0.0]
        monkeypatch.setattr(attention, "monotonic", lambda: clock[0])
        for number, event in enumerate(events, 1):
            clock[0] += EVERY
            scene.add(event)
            await seen(pilot, lambda number=number: len(calls) == number)
        scene.add(ev.Text(text="All is well."))
        last = scene.run.journal.read_bytes().count(b"\n")
        await seen(pilot, lambda: (facts := screen(pilot).facts) and facts.state.last_seq == last)
        assert len(calls) == len(events)

    watch(scene, story)


def test_an_open_console_makes_one_call_of_a_burst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scenes.SCENES["running"](tmp_path)

    async def story(pilot: Pilot[int]) -> None:
        calls: list[None] = []
        monkeypatch.setattr(pilot.app, "bell", lambda: calls.append(None))
        clock = [0.0]
        monkeypatch.setattr(attention, "monotonic", lambda: clock[0])
        for number in range(1, 6):
            scene.add(ev.StallDetected(what="silence", seconds=number))
            await seen(
                pilot, lambda number=number: (facts := screen(pilot).facts) and facts.state.stalls == number
            )
        assert len(calls) == 1
        clock[0] = EVERY
        scene.add(ev.Text(text="All is well."))
        await seen(pilot, lambda: len(calls) == 2)

    watch(scene, story)


# --- A whole run --------------------------------------------------------------------------------------


def test_a_headless_run_tells_what_happens_to_it(tmp_path: Path) -> None:
    out = tmp_path / "told"
    with service() as (url, letters), open_stage(tmp_path, "tiny") as stage:
        stage.lay_out()
        secret = f"{url}/broken/k3y-of-the-operator"
        command = WRITES.format(out=out)
        (stage.root / "longwatch.toml").write_text(
            f"[notify]\ndesktop = false\nurl = '{secret}'\ncommand = '{command}'\n"
        )
        engine = stage.run("--set", "checkpoints=end")
        assert engine.wait(60) == 5, engine.err
        told = json.loads(Path(f"{out}-waiting").read_text())
        assert told["title"] == "run: waits for you" and told["dir"] == str(stage.root)
        assert letters and letters[0]["title"] == "run: waits for you"
        (failed,) = [event["message"] for event in stage.journal(named("error")) if event["kind"] == "notify"]
        assert "[notify] url" in failed
        private = (path for path in stage.private.rglob("*") if path.is_file())
        assert not any(b"k3y-of-the-operator" in path.read_bytes() for path in private)


def test_a_killed_engine_is_told_of_once_and_the_next_tells_the_rest(tmp_path: Path) -> None:
    out = tmp_path / "told"
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        (stage.root / "longwatch.toml").write_text(
            f"[notify]\ndesktop = false\ncommand = 'echo \"$LONGWATCH_KIND: $LONGWATCH_BODY\" >> {out}'\n"
        )
        engine = stage.run()
        stage.wait_for(is_held)
        engine.kill()
        until(lambda: out.exists() and out.read_text(), 10, "it is told")
        assert out.read_text() == f"failed: its engine died; to go on: longwatch resume {stage.root}\n"
        assert stage.alive() == []
        stage.release()
        again = stage.run()
        assert again.wait(60) == 0, again.err
        assert [line.partition(":")[0] for line in out.read_text().splitlines()] == ["failed", "done"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["interrupted twice", "stopped and then killed"])
def test_an_engine_that_its_operator_ends_is_no_failure(tmp_path: Path, how: str) -> None:
    out = tmp_path / "told"
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        command = f"echo $LONGWATCH_KIND >> {out}"
        (stage.root / "longwatch.toml").write_text(f"[notify]\ndesktop = false\ncommand = '{command}'\n")
        engine = stage.run()
        stage.wait_for(is_held)
        children = psutil.Process(engine.pid).children()
        guardian = next(child for child in children if "guardian" in str(child.cmdline()))
        if how == "interrupted twice":
            engine.interrupt()
            engine.interrupt()
            engine.wait(20)
        else:
            stage.stop_file.touch()
            engine.kill()
        until(lambda: not guardian.is_running(), 15, "the guardian is done")
        assert not out.exists()

"""Steering at scale: many messages from many writers, long ones, and an engine that is killed all the while.

What arrived is read off the wire: each conversation's newest request, its agent's own words aside.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from harness_core.operator import control
from harness_core.operator.steering import HOOK_ROOM, Steering, heading
from harness_core.run import Run
from tests.conftest import OpenRun
from tests.harness import LONGWATCH, Command, Stage, named, open_stage, text_of, until
from tests.test_run_faults import is_held

WRITER = """\
import subprocess, sys, time
way, name, number, root, longwatch = sys.argv[1:]
for n in range(int(number)):
    words = f"<{name} {n}>"
    if way == "command":
        subprocess.run([longwatch, "steer", root, words], check=True, stdout=subprocess.DEVNULL)
    else:
        with open(f"{root}/STEER.md", "a") as file:
            file.write(words + "\\n")
        time.sleep(0.25)
"""
WRITERS = {"a": "command", "b": "command", "c": "file", "d": "file"}


def conversations(stage: Stage) -> list[str]:
    """What each session has been told at its end, in the order of the sessions."""
    assert stage.server is not None
    newest = {seen.session: seen.n for seen in stage.server.requests if seen.role == "generator"}
    bodies = {
        int(path.name.split("-")[0]): path for path in (stage.scratch / "bodies").glob("*-generator.json")
    }
    return [told(bodies[number]) for number in newest.values()]


def told(body: Path) -> str:
    messages = json.loads(body.read_text())["messages"]
    return "\n".join(text_of(one["content"]) for one in messages if one["role"] != "assistant")


def run_while_killing(stage: Stage, messages: dict[str, int], kills: int, features: int) -> None:
    """Writers write so many messages each while the engine is killed and started again so many times; then it
    goes on until all that was said is acknowledged."""
    chance = random.Random(5)
    engine = stage.run(features=features)
    # Before there is a run, a command's words go into STEER.md, too: two ways keep no order between them.
    stage.wait_for(named("run_started"))
    command = [sys.executable, "-c", WRITER]
    writers = [
        subprocess.Popen(
            [*command, way, name, str(messages[name]), str(stage.root), LONGWATCH], env=stage.env
        )
        for name, way in WRITERS.items()
    ]
    try:
        for _ in range(kills):
            works(stage, engine)
            time.sleep(chance.uniform(0, 1.5))
            engine.kill()
            engine = stage.run(features=features)
        for writer in writers:
            assert writer.wait(600) == 0
    finally:
        for writer in writers:
            writer.kill()
    until(lambda: all_arrived(stage) or engine.ended, 300, "every message is acknowledged")
    stage.stop_file.touch()
    assert engine.wait(60) == 3, "".join(f"{event}\n"[:400] for event in stage.journal()[-12:])


def works(stage: Stage, engine: Command) -> None:
    """Wait until an engine has done something: one killed before its first word would prove nothing."""
    before = len(stage.journal())
    until(lambda: len(stage.journal()) > before + 5 or engine.ended, 60, "the engine works")


def all_arrived(stage: Stage) -> bool:
    if (stage.root / "STEER.md").exists() or list((stage.private / "steering").glob("inbox-*")):
        return False
    queued = {event["id"] for event in stage.journal(named("steer_queued"))}
    written = {path.stem for path in (stage.private / "steering").glob("*.json")}
    return queued == written == {event["id"] for event in stage.journal(named("steer_acknowledged"))}


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("commands", "lines", "kills"), [(15, 15, 3), (100, 400, 20)])
def test_every_message_arrives_once_and_in_order_over_kills(
    tmp_path: Path, commands: int, lines: int, kills: int
) -> None:
    # As many as an agent can read at once: the CLI cuts long output.
    features = 12 + 5 * kills
    messages = {name: commands if way == "command" else lines for name, way in WRITERS.items()}
    with open_stage(tmp_path, "tiny") as stage:
        stage.lay_out(features)
        run_while_killing(stage, messages, kills, features)
        assert all_arrived(stage)
        said = "\n".join(conversations(stage))
        for name, number in messages.items():
            assert re.findall(rf"<{name} (\d+)>", said) == [str(at) for at in range(number)]
        delivered = Counter(event["id"] for event in stage.journal(named("steer_acknowledged")))
        assert set(delivered.values()) == {1}


# --- Long ones ----------------------------------------------------------------------------------------


def test_many_messages_are_given_in_helpings_that_are_shown_whole(open_run: OpenRun, tmp_path: Path) -> None:
    run: Run = open_run(tmp_path / "run")
    for number in range(100):
        control.steer(run.dir, f"<{number}> " + "é\U0001f600" * (number * 7 % 500))
    control.steer(run.dir, "<100> " + "x" * 100_000)
    control.steer(run.dir, "<101>")
    steering = Steering(run)
    steering.collect()
    given: list[str] = []
    while text := steering.hand_over("call"):
        given.append(text)
    assert re.findall(r"<(\d+)>", "".join(given)) == [str(number) for number in range(102)]
    units = [len(text.encode("utf-16-le")) // 2 for text in given]
    assert [at for at, size in enumerate(units) if size > HOOK_ROOM] == [len(given) - 2]
    assert heading("101") in given[-2] and "too long to be shown whole" in given[-2]
    assert 10 < len(given) < 60


@pytest.mark.parametrize(
    ("kind", "given_again"),
    [("user", False), ("attachment", False), ("queue-operation", True), ("api-request-blob", True)],
)
def test_only_what_is_part_of_the_conversation_has_arrived(
    open_run: OpenRun, tmp_path: Path, kind: str, given_again: bool
) -> None:
    run: Run = open_run(tmp_path / "run")
    control.steer(run.dir, "mind this")
    steering = Steering(run)
    steering.collect()
    given = steering.hand_over("call")
    later = Steering(open_run(tmp_path / "run"))
    later.check_arrival([json.dumps({"type": kind, "content": given}).encode(), b'{"torn'])
    assert ("mind this" in later.hand_over("call")) == given_again


@pytest.mark.slow
def test_a_long_message_is_whole_in_the_file_that_the_agent_is_told_of(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run()
        stage.wait_for(is_held)
        words = b"<begin>" + b"caf\xe9 0123456789\n" * 7000 + b"<end>\n"
        (stage.root / "STEER.md").write_bytes(words)
        stage.wait_for(named("steer_queued"))
        assert stage.do("steer", str(stage.root), "And this.").wait() == 0
        stage.wait_for(named("steer_queued"), count=2)
        stage.release()
        assert engine.wait(60) == 0, engine.err
        said = conversations(stage)[-1]
        assert said.count("<begin>") == said.count("And this.") == 1
        assert said.index("too long to be shown whole") < said.index("<begin>") < said.index("And this.")
        named_file = re.search(r"saved to: (\S+)", said)
        assert named_file
        assert Path(named_file[1]).read_text().count("caf\ufffd 0123456789\n") == 7000
        acknowledged = [event["id"] for event in stage.journal(named("steer_acknowledged"))]
        assert acknowledged == ["001", "002"]


def test_a_message_is_for_the_main_agent_whoever_calls_next(tmp_path: Path) -> None:
    # The third request is the subagent's first: it has to wait a second for its answer.
    with open_stage(tmp_path, "tiny+subagent+429:1:3") as stage:
        stage.lay_out()
        engine = stage.run()
        stage.wait_for(named("tool_use", tool="Agent"))
        (stage.root / "STEER.md").write_text("Only for the main agent.\n")
        queued = stage.wait_for(named("steer_queued"))
        assert engine.wait(60) == 0, engine.err
        calls = [event for event in stage.journal(named("tool_use")) if event["agent"]]
        assert calls and calls[0]["seq"] > queued["seq"]
        assert conversations(stage)[-1].count("Only for the main agent.") == 1
        assert not [body for body in stage.bodies("subagent") if "Only for the main" in str(body)]

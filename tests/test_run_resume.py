"""Kill -9 at any instant, then the same command; and decisions that wait for the operator."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness_core.agent import sdk
from tests.harness import PASSING, Command, Stage, gapless, named, open_stage, text_of, until

WHOLE = 75
"""About as many events as an undisturbed run of one judged feature has."""
BUILT = Counter({"Lay out the flags": 1, "Draw F001": 1})
"""The commits of an undisturbed run."""


def begin(stage: Stage) -> Command:
    return stage.run("--set", "evaluator=feature")


def kill_and_go_on(stage: Stage, engine: Command) -> None:
    """Kill the engine, see that nothing of it stays, and run the same command to its end."""
    engine.kill()
    until(lambda: not stage.alive(), 2, "nothing of the killed engine's run is alive")
    written = stage.journal()
    again = begin(stage)
    assert again.wait(90) == 0, again.err
    assert stage.journal()[: len(written)] == written, "events that were shown are gone"


def check_whole(stage: Stage) -> None:
    """The run is what it would have been without the kill."""
    assert stage.passing() == [True]
    record = json.loads((stage.private / "contract.json").read_text())
    assert {feature["status"] for feature in record["features"]} == {"verified"}
    events = stage.journal()
    assert gapless(events)
    claimed: set[str] = set()
    for event in events:
        if event["type"] != "feature_changed":
            continue
        if event["to"] == "claimed":
            assert event["feature"] not in claimed, "claimed twice"
            claimed.add(event["feature"])
        elif event["to"] not in PASSING:
            claimed.discard(event["feature"])
    subjects = Counter(stage.subjects())
    own = Counter(subject for subject in stage.subjects() if subject.startswith("longwatch: "))
    # An agent whose commit was cut off may leave it to the engine; nobody commits anything twice.
    assert not subjects - own - BUILT
    assert (BUILT - subjects).total() <= own.total()
    assert set(own.values()) <= {1}
    journaled = Counter(event["sha"] for event in events if event["type"] == "commit")
    assert journaled == Counter(stage.git("log", "--format=%H").split())
    assert Counter(event["scope"][0] for event in events if event["type"] == "verdict") == {"F001": 1}
    assert stage.git("status", "--porcelain") == ""
    assert stage.alive() == []
    numbers = [event["session"] for event in events if event["type"] == "session_started"]
    assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))


@pytest.mark.parametrize(
    ("role", "seed"),
    [
        pytest.param("initializer", 1, marks=pytest.mark.slow),
        ("generator", 2),
        pytest.param("evaluator", 3, marks=pytest.mark.slow),
    ],
)
def test_a_killed_engine_is_as_if_it_had_never_been(tmp_path: Path, role: str, seed: int) -> None:
    chance = random.Random(seed)
    with open_stage(tmp_path) as stage:
        engine = begin(stage)
        started = stage.wait_for(named("session_started", role=role))
        wanted = started["seq"] + chance.randint(0, 8 if role == "evaluator" else 22)
        stage.wait_for(lambda event: event["seq"] >= wanted)
        time.sleep(chance.random() * 0.05)
        kill_and_go_on(stage, engine)
        check_whole(stage)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_an_engine_may_be_killed_at_any_instant(tmp_path: Path, seed: int) -> None:
    chance = random.Random(f"instant {seed}")
    with open_stage(tmp_path) as stage:
        engine = begin(stage)
        wanted = 1 + (WHOLE * seed + chance.randrange(WHOLE)) // 20
        stage.wait_for(lambda event: event["seq"] >= wanted)
        time.sleep(chance.random() * 0.05)
        kill_and_go_on(stage, engine)
        check_whole(stage)


def test_an_engine_killed_again_and_again_still_gets_there(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out(1)
        for kills in (1, 2):
            engine = stage.run()
            stage.wait_for(
                named("run_resumed") if kills > 1 else named("run_started"), count=max(1, kills - 1)
            )
            stage.wait_for(named("tool_result"), count=kills)
            engine.kill()
            until(lambda: not stage.alive(), 2, "nothing of the killed engine's run is alive")
        assert stage.run().wait(60) == 0
        assert gapless(stage.journal())
        assert len({event["sdk_session"] for event in stage.journal(named("session_started"))}) == 1
        assert len(stage.journal(named("feature_changed"))) == 1
        assert Counter(stage.subjects()) == {"Lay out the flags": 1, "Draw F001": 1}


def test_a_torn_last_line_is_cut_off_and_a_damaged_one_counted(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out()
        engine = stage.run("--max-turns", "3")
        assert engine.wait(60) == 4
        assert "max-turns 3" in engine.out
        journal = stage.private / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        lines[4] = b'{"type":"te\x00\x00xt"\n'
        journal.write_bytes(b"".join(lines) + b'{"type":"text","seq":9')
        status = stage.status()
        assert (status["damaged"], status["last_seq"]) == (1, len(lines))
        assert stage.run("--max-turns", "99").wait(60) == 0
        rest = [json.loads(line) for line in journal.read_bytes().splitlines()[len(lines) :]]
        assert [event["seq"] for event in rest] == list(range(len(lines) + 1, len(lines) + 1 + len(rest)))
        assert stage.passing() == [True]


QUEUED = b'{"type":"queue-operation","operation":"enqueue","content":"Go on."}\n'
SAID = b'{"type":"user","message":{"role":"user","content":"Go on."}}\n'


@pytest.mark.parametrize(
    ("lines", "there"), [(b"", False), (QUEUED, False), (QUEUED + SAID[:-1], False), (QUEUED + SAID, True)]
)
def test_only_a_conversation_that_has_begun_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: bytes, there: bool
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    record = tmp_path / "projects" / "-run" / "sdk-1.jsonl"
    record.parent.mkdir(parents=True)
    record.write_bytes(lines)
    assert sdk.transcript("sdk-1") == (record if there else None)


# Decisions


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a headless run that has ended at an open checkpoint."""
    with open_stage(tmp_path_factory.mktemp("asked"), "tiny+needs-work@F001") as stage:
        stage.lay_out()
        engine = go_on(stage)
        assert engine.wait(60) == 5, engine.err
        yield stage.root


@contextlib.contextmanager
def waiting(asked: Path, scratch: Path) -> Iterator[Stage]:
    """That run, in a place of its own."""
    with open_stage(scratch, "tiny+needs-work@F001") as stage:
        shutil.copytree(asked, stage.root, symlinks=True)
        yield stage


def go_on(stage: Stage, policy: str = "on-needs-work") -> Command:
    judged = ["--set", "evaluator=feature"] if policy == "on-needs-work" else []
    return stage.run(*judged, "--set", f"checkpoints={policy}")


def started(stage: Stage) -> int:
    return len(stage.journal(named("session_started")))


def test_a_checkpoint_waits_until_the_operator_approves(asked: Path, tmp_path: Path) -> None:
    with waiting(asked, tmp_path) as stage:
        opened = stage.journal(named("checkpoint_opened"))
        assert len(opened) == 1 and len(opened[0]["subject_hash"]) >= 32
        status = stage.status()
        assert status["lifecycle"] == "waiting_approval"
        assert {"id", "kind", "opened", "summary"} <= status["checkpoint"].keys()
        assert "F001" in status["checkpoint"]["summary"]
        assert status["features"]["passing"] == 0
        assert "F001 looks unfinished." in (stage.root / "findings.md").read_text()
        before, built = started(stage), len(stage.bodies("generator"))
        assert go_on(stage).wait(20) == 5
        assert started(stage) == before and len(stage.journal(named("checkpoint_opened"))) == 1

        assert stage.do("approve", str(stage.root), "--note", "Good enough to go on.").wait() == 0
        again = stage.do("approve", str(stage.root))
        assert again.wait() == 2 and again.err.count("\n") == 1
        assert go_on(stage).wait(60) == 0
        decided = stage.journal(named("checkpoint_decided"))
        assert [(event["id"], event["decision"]) for event in decided] == [(opened[0]["id"], "approve")]
        assert decided[0]["by"] and decided[0]["note"] == "Good enough to go on."
        assert stage.passing() == [True]
        assert [event["verdict"] for event in stage.journal(named("verdict"))] == ["NEEDS_WORK", "PASS"]
        first = stage.bodies("generator")[built]["messages"][0]
        assert "F001 looks unfinished." in text_of(first["content"])


def test_a_rejection_carries_its_note_to_the_next_session(asked: Path, tmp_path: Path) -> None:
    with waiting(asked, tmp_path) as stage:
        without = stage.do("reject", str(stage.root))
        assert without.wait() == 2 and "--note" in without.err
        before = len(stage.bodies("generator"))
        assert stage.do("reject", str(stage.root), "--note", "The blue is wrong.").wait() == 0
        assert go_on(stage).wait(60) == 0
        decided = stage.journal(named("checkpoint_decided"))
        assert [(event["decision"], event["note"]) for event in decided] == [("reject", "The blue is wrong.")]
        first = stage.bodies("generator")[before]["messages"]
        assert sum(text_of(one["content"]).count("The blue is wrong.") for one in first) == 1
        assert stage.status()["steering"] == {"queued": 1, "delivered": 1, "acknowledged": 1}


def test_a_decision_outlives_a_kill(asked: Path, tmp_path: Path) -> None:
    with waiting(asked, tmp_path) as stage:
        before = len(stage.bodies("generator"))
        assert stage.do("reject", str(stage.root), "--note", "The blue is wrong.").wait() == 0
        engine = go_on(stage)
        stage.wait_for(named("checkpoint_decided"))
        engine.kill()
        assert go_on(stage).wait(60) == 0
        assert len(stage.journal(named("checkpoint_decided"))) == 1
        assert len(stage.journal(named("checkpoint_opened"))) == 1
        assert len(stage.journal(named("steer_queued"))) == 1
        said = [
            sum(
                text_of(one["content"]).count("The blue is wrong.")
                for one in body["messages"]
                if one["role"] == "user"
            )
            for body in stage.bodies("generator")[before:]
        ]
        assert said and said[-1] == 1


def test_a_decision_on_what_has_changed_since_is_asked_again(asked: Path, tmp_path: Path) -> None:
    with waiting(asked, tmp_path) as stage:
        assert stage.do("approve", str(stage.root)).wait() == 0
        (stage.root / "more.txt").write_text("after the question\n")
        stage.git("add", "-A")
        stage.git("commit", "-q", "-m", "Change it behind the question")
        assert go_on(stage).wait(30) == 5
        opened = stage.journal(named("checkpoint_opened"))
        assert len(opened) == 2 and opened[0]["subject_hash"] != opened[1]["subject_hash"]
        assert stage.status()["checkpoint"]["id"] == opened[1]["id"]
        decided = stage.journal(named("checkpoint_decided"))
        assert [(event["id"], event["decision"]) for event in decided] == [(opened[0]["id"], "stale")]


def test_the_last_word_is_the_operators(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out()
        engine = go_on(stage, "end")
        assert engine.wait(60) == 5, engine.err
        assert stage.passing() == [True]
        assert stage.do("approve", str(stage.root)).wait() == 0
        before = started(stage)
        assert go_on(stage, "end").wait(30) == 0
        assert started(stage) == before
        assert stage.status()["features"]["approved"] == 1
        assert stage.status()["lifecycle"] == "complete"


def test_nothing_to_decide_is_a_mistake(tmp_path: Path) -> None:
    with open_stage(tmp_path, None) as stage:
        stage.lay_out()
        for command in (["approve"], ["reject", "--note", "no"]):
            done = stage.do(command[0], str(stage.root), *command[1:])
            assert done.wait() == 2 and done.err.count("\n") == 1

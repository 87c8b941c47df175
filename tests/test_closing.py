"""When every feature is claimed, what was to be built is built: nothing more is spent than closing takes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from harness_core.agent.closing import LEFT, WORDS, Closing
from harness_core.agent.gate import Gate
from harness_core.brake import Brake
from harness_core.contract.ledger import Ledger
from harness_core.contract.record import Status
from harness_core.evidence.seen import SessionEvidence
from harness_core.operator.steering import Steering
from harness_core.record import events as ev
from harness_core.record.history import History
from harness_core.record.state import FeatureState, OpenSession, RunState
from tests.conftest import OpenRun
from tests.harness import Stage, named, open_stage
from tests.test_run_presets import play

FINDING = ev.Finding(feature=None, criterion="craft", where="the whole", reproduce="look")


def asked_after_the_last_claim(stage: Stage) -> int:
    """How often a builder's model was asked after its reply with the last claim."""
    assert stage.server is not None
    built = [seen for seen in stage.server.requests if seen.role == "generator"]
    claims = [number for number, seen in enumerate(built) if "claim_feature" in str(seen.reply)]
    return len(built) - 1 - claims[-1]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["two-agent", "continuous", "sprints"])
def test_a_builder_that_goes_on_has_its_last_replies_counted(tmp_path: Path, preset: str) -> None:
    with open_stage(tmp_path, "tiny+onward") as stage:
        if preset == "two-agent":
            stage.lay_out()
            engine = stage.run()
        else:
            engine = play(stage, preset, "--features", "2")
        assert engine.wait(60) == 0, engine.err
        assert all(stage.passing())
        assert asked_after_the_last_claim(stage) == LEFT
        told = [body for body in stage.bodies("generator") if "nothing left to build" in str(body)]
        assert len(told) == LEFT, "it is told with the answer to its claim"
        assert {end["reason"] for end in stage.journal(named("session_ended"))} == {"done"}
        assert stage.git("status", "--porcelain") == ""
        spent = stage.status()["turns"]
        again = stage.start("resume", str(stage.root), "--headless")
        assert again.wait(30) == 0 and stage.status()["turns"] == spent


def build(*statuses: Status, claimed_at: int = 20) -> RunState:
    """A run whose session began with event 10."""
    state = RunState(turns=5)
    state.open_session = OpenSession(1, "s", "generator", "m", "build", seq=10)
    state.features = {
        f"F{number}": FeatureState(status, seq=claimed_at) for number, status in enumerate(statuses, 1)
    }
    return state


def replies(state: RunState, closing: Closing, count: int, *, steered: bool = False) -> None:
    state.turns += count
    closing.look(state, steered=steered)


def test_it_is_told_once_and_over_when_its_replies_are_used() -> None:
    state, closing = build(Status.CLAIMED, Status.VERIFIED), Closing()
    closing.look(state)
    assert [closing.words(), closing.words()] == [WORDS, ""]
    replies(state, closing, LEFT - 1)
    assert not closing.over
    replies(state, closing, 1)
    assert closing.over


def test_the_gate_ends_the_turn_when_they_are_used(tmp_path: Path, open_run: OpenRun) -> None:
    run = open_run(tmp_path / "run")
    gate = Gate(
        *(run, Ledger(run), Steering(run), History(run), Brake(run)),
        *("generator", "an id", SessionEvidence.of_now(), tmp_path / "notes.json"),
    )
    run.state = build(Status.CLAIMED)

    def reply(agent: str | None = None) -> dict[str, Any]:
        run.state.turns += 1
        return asyncio.run(gate.post_batch({"tool_calls": [], "agent_id": agent}, None, None))

    assert WORDS in str(reply())
    assert [reply() for _ in range(LEFT - 1)] == [{}] * (LEFT - 1)
    # One of a subagent's counts as well.
    assert reply("a subagent")["continue_"] is False
    assert reply()["continue_"] is False


def test_whoever_is_steered_has_as_many_again() -> None:
    state, closing = build(Status.CLAIMED), Closing()
    closing.look(state)
    replies(state, closing, LEFT - 1, steered=True)
    replies(state, closing, LEFT - 1)
    assert not closing.over


def test_a_feature_that_breaks_lifts_it() -> None:
    state, closing = build(Status.CLAIMED, Status.CLAIMED), Closing()
    closing.look(state)
    closing.words()
    state.features["F1"].status = Status.REGRESSED
    replies(state, closing, LEFT)
    assert not closing.over
    state.features["F1"].status = Status.CLAIMED
    replies(state, closing, 1)
    assert closing.words() == WORDS and not closing.over


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(build(Status.CLAIMED, Status.FAILING), id="something is left"),
        pytest.param(build(Status.CLAIMED, Status.SKIPPED), id="something was given up"),
        pytest.param(build(Status.CLAIMED, claimed_at=5), id="claimed before it began"),
        pytest.param(build(), id="no contract"),
        pytest.param(RunState(), id="no session"),
    ],
)
def test_where_there_is_something_to_do_nothing_is_counted(state: RunState) -> None:
    closing = Closing()
    closing.look(state)
    replies(state, closing, 10 * LEFT)
    assert not closing.over and not closing.words()


@pytest.mark.parametrize(("verdict", "over"), [("NEEDS_WORK", False), ("PASS", True)])
def test_findings_on_the_whole_are_work_though_every_feature_is_claimed(verdict: str, over: bool) -> None:
    state, closing = build(Status.CLAIMED), Closing()
    state.verdict = ev.Verdict(verdict=verdict, scope=["F1", "F2"], findings=[FINDING], scores=[])
    closing.look(state)
    replies(state, closing, LEFT)
    assert closing.over is over

"""The engine dies at each single append to the journal, in turn; the same command then finishes the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import Stage, gapless, named, open_stage, text_of, until
from tests.test_run_resume import begin, check_whole

HERE = Path(__file__).parent / "faultpoints"
WAYS = ("before", "torn", "after", "lost")
APPENDS = 85
"""A few more than an undisturbed run of one judged feature has; a point past the end kills nothing."""
SAMPLE = [
    pytest.param(4, "torn", marks=pytest.mark.slow),
    pytest.param(15, "before", marks=pytest.mark.slow),
    (31, "after"),
    (33, "lost"),
    pytest.param(58, "torn", marks=pytest.mark.slow),
]
SAID = "Mind the colour blue."


def dies_at(stage: Stage, append: int, how: str) -> None:
    """Play a run, with steering from its beginning, whose engine dies at that append or not at all."""
    stage.root.mkdir()
    (stage.root / "STEER.md").write_text(SAID + "\n")
    usual = dict(stage.env)
    stage.env |= {"PYTHONPATH": str(HERE), "LONGWATCH_TEST_DIES_AT": f"{append}:{how}"}
    engine = begin(stage)
    code = engine.wait(90)
    stage.env = usual
    assert code == -9 or (code == 0 and len(stage.journal()) < append), engine.err
    until(lambda: not stage.alive(), 10, "nothing of the killed engine's run is alive")
    if how == "lost":
        lose_transcripts(stage)


def lose_transcripts(stage: Stage) -> None:
    """Take the second half of every conversation: the CLI leaves it to the system when that is on disk."""
    for kept in Path(stage.env["CLAUDE_CONFIG_DIR"]).glob("projects/*/*.jsonl"):
        data = kept.read_bytes()
        kept.write_bytes(data[: len(data) // 2])


def goes_on(stage: Stage) -> None:
    written = stage.journal()
    again = begin(stage)
    assert again.wait(90) == 0, again.err
    assert stage.journal()[: len(written)] == written, "events that were shown are gone"
    check_whole(stage)
    steering = stage.status()["steering"]
    assert steering == {"queued": 1, "delivered": 1, "acknowledged": 1}
    assert len(stage.journal(named("steer_queued"))) == 1
    for body in stage.bodies():
        said = [text_of(one["content"]) for one in body["messages"] if one["role"] != "assistant"]
        assert sum(text.count(SAID) for text in said) <= 1, "steering was given twice"
    assert gapless(stage.journal())


@pytest.mark.parametrize(("append", "how"), SAMPLE)
def test_an_engine_that_dies_at_an_append_costs_nothing(tmp_path: Path, append: int, how: str) -> None:
    with open_stage(tmp_path) as stage:
        dies_at(stage, append, how)
        if how != "lost":
            assert len(stage.journal()) == (append if how == "after" else append - 1)
        goes_on(stage)


@pytest.mark.faults
@pytest.mark.parametrize("append", range(1, APPENDS + 1))
def test_an_engine_may_die_at_every_append(tmp_path: Path, append: int) -> None:
    with open_stage(tmp_path) as stage:
        dies_at(stage, append, WAYS[append % len(WAYS)])
        goes_on(stage)

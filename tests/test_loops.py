"""What goes round in circles is noticed, what only looks like it is not; by values, and in whole runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_core.loops import (
    BACK_AND_FORTH,
    LONGEST,
    SAME_CALL,
    SAME_CLAIM,
    SAME_CYCLE,
    WAITING,
    Circle,
    Ended,
    Loops,
    Warnings,
    ended,
)
from tests.harness import named, open_stage


def shell(command: str, said: str = "", tree: str | None = "t") -> Ended:
    return ended("Bash", {"command": command, "description": "why"}, said, tree)


def found(calls: Iterable[Ended]) -> list[Circle]:
    loops = Loops()
    return [circle for call in calls if (circle := loops.take(call)) is not None]


def test_the_same_call_with_the_same_outcome_and_no_effect_is_named_with_its_count() -> None:
    assert found([shell("make")] * (SAME_CALL - 1)) == []
    (circle,) = found([shell("make")] * SAME_CALL)
    assert circle.times == SAME_CALL and "make" in circle.what
    assert len(found([shell("make")] * 2 * SAME_CALL)) == 2


def claim(feature: str, said: str, note: str = "") -> Ended:
    return ended("mcp__longwatch__claim_feature", {"feature": feature, "note": note}, said)


def test_claims_that_come_to_the_same_are_a_circle_whatever_is_done_in_between() -> None:
    work = [shell(f"step {number}", tree=f"tree {number}") for number in range(50)]
    again = [*work, claim("F1", "F1 is claimed already"), claim("F2", "refused")]
    assert found(again * (SAME_CLAIM - 1)) == []
    (circle,) = found(again * SAME_CLAIM)
    assert circle.times == SAME_CLAIM and "claim_feature F1" in circle.what
    told = Warnings()
    assert [told.again(circle) for circle in found(again[:-1] * 2 * SAME_CLAIM)] == [False, True]
    assert found([*work, *(claim("F1", f"refused: {number}") for number in range(50))]) == []


@given(st.integers(2, LONGEST), st.integers(0, 30))
def test_a_cycle_is_named_wherever_it_begins(length: int, before: int) -> None:
    others = [shell(f"other {number}") for number in range(before)]
    cycle = [shell(f"step {number}") for number in range(length)]
    assert found([*others, *cycle * (SAME_CYCLE - 1)]) == []
    (circle,) = found([*others, *cycle * SAME_CYCLE])
    assert circle.times == SAME_CYCLE and circle.key == {item.call for item in cycle}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10**6)), max_size=200))
def test_calls_that_have_each_another_outcome_or_effect_are_no_circle(done: list[tuple[str, int]]) -> None:
    lively = [shell(command, f"{number}: {extra}") for number, (command, extra) in enumerate(done)]
    assert found(lively) == []
    at_work = [shell(command, "ok", f"tree {number}") for number, (command, _) in enumerate(done)]
    assert found(at_work) == []


@given(st.lists(st.sampled_from(["a", "b", "c", "sleep 1"]), max_size=400))
def test_whatever_is_done_a_circle_is_one_and_memory_has_a_bound(commands: list[str]) -> None:
    loops = Loops()
    for place, command in enumerate(commands):
        if (circle := loops.take(shell(command))) is not None:
            length = len(circle.key)
            assert length <= LONGEST and circle.times >= SAME_CYCLE
            assert len({*commands[place + 1 - SAME_CYCLE : place + 1]}) <= LONGEST
        assert len(loops._calls) <= LONGEST * WAITING


def test_a_watch_whose_output_changes_is_no_circle_and_one_that_only_takes_longer_is() -> None:
    assert found(shell("npm test", f"{number} passed") for number in range(30)) == []
    assert len(found(shell("npm test", f"3 passed in {number}.2s") for number in range(SAME_CALL))) == 1


@pytest.mark.parametrize(
    "poll", [[shell("curl -s localhost:1", "refused")], [shell("sleep 2"), shell("./up", "no")]]
)
def test_a_server_may_be_waited_for_but_not_for_ever(poll: list[Ended]) -> None:
    assert found(poll * (WAITING - 1)) == []
    assert len(found(poll * WAITING)) == 1


def test_reading_again_after_each_edit_is_no_circle() -> None:
    read = [ended("Read", {"file_path": "a.py"}, "same", f"tree {number}") for number in range(20)]
    assert found(read) == []


def test_a_file_that_goes_back_and_forth_is_named() -> None:
    def told(contents: str) -> list[Circle]:
        loops = Loops()
        return [circle for one in contents if (circle := loops.take_content("a.py", one)) is not None]

    assert told("ab" * (BACK_AND_FORTH - 1) + "a") == []
    (circle,) = told("ab" * BACK_AND_FORTH)
    assert "a.py" in circle.what and circle.times == BACK_AND_FORTH
    assert told("abcabdabeabf") == [] and told("aaaaaaaaaabbbbbb") == []


def test_many_files_that_are_written_are_not_all_kept() -> None:
    loops = Loops()
    for number in range(10_000):
        loops.take_content(f"{number}.py", "a")
    assert len(loops._files) < 100


def test_a_session_is_told_once_of_a_circle_and_not_of_ever_more_of_them() -> None:
    first, second = (Circle("", 5, frozenset([key])) for key in "ab")
    warnings = Warnings()
    assert not warnings.again(first) and not warnings.again(second) and warnings.again(first)
    many = Warnings()
    told = [many.again(Circle("", 5, frozenset([str(number)]))) for number in range(6)]
    assert told == [False, False, False, True, True, True]


# --- Whole runs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mischief", "what"),
    [("loop", "git status"), pytest.param("ping-pong", "back and forth", marks=pytest.mark.slow)],
)
def test_an_agent_that_goes_round_is_told_once_then_its_session_ends(
    tmp_path: Path, mischief: str, what: str
) -> None:
    with open_stage(tmp_path, f"tiny+{mischief}") as stage:
        stage.lay_out()
        engine = stage.run("--max-retries", "1")
        assert engine.wait(60) == 1, engine.err
        told, again = stage.journal(named("loop_detected"))[:2]
        assert what in told["what"] and what in again["what"] and "after it was told" in again["what"]
        assert stage.journal(named("session_ended"))[0]["reason"] == "loop"
        newest = str(stage.bodies("generator")[-1])
        assert newest.count("you go round in circles") == 1
        assert stage.journal(named("steer_queued")) == []


@pytest.mark.slow
def test_a_watch_and_a_poll_are_no_loop(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+watch") as stage:
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        assert stage.journal(named("loop_detected")) == []

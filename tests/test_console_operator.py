"""The console's brake and wheel: keys that stop a run, let it go on, and write to its agents."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static, TextArea

from harness_core.machine.lock import RunLock
from harness_core.operator import control
from tests import scenes
from tests.console import at_once, decision, head, ours, said, screen, until, watch, written
from tui.console.cards.card import Card
from tui.console.cards.choice import ChoiceCard


def test_p_pauses_and_goes_on(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("p")
        await until(pilot, scene.run.stop_file.exists)
        await until(pilot, lambda: "stop (pause)" in head(pilot))
        await pilot.press("p")
        await until(pilot, lambda: not scene.run.stop_file.exists())

    scene = scenes.running(tmp_path / "run")
    watch(scene, story)


def test_p_never_stops_a_run_whose_engine_is_gone(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "engine lost" in head(pilot))
        await pilot.press("p")
        await until(pilot, lambda: said(pilot))
        assert not scene.run.stop_file.exists()

    scene = scenes.running(tmp_path / "run")
    scene.run.run_json.write_text("not a run any more")
    watch(scene, story)


def test_the_ladder_asks_first_and_escape_does_nothing(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("K")
        await until(pilot, lambda: screen(pilot).query(Card))
        await pilot.press("escape")
        await until(pilot, lambda: not screen(pilot).query(Card))
        assert not scene.run.stop_file.exists() and not scene.run.finish_file.exists()
        await pilot.press("K", "f")
        await until(pilot, scene.run.finish_file.exists)
        await pilot.press("K", "p")
        await until(pilot, scene.run.stop_file.exists)

    scene = ours(scenes.running(tmp_path / "run"))
    watch(scene, story)


def test_another_harness_is_asked_to_stop_and_nothing_else(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("K")
        await until(pilot, lambda: screen(pilot).query(ChoiceCard))
        shown = str(screen(pilot).query_one("#options", Static).render())
        assert "end the engine" not in shown and "finish" not in shown
        await pilot.press("f", "n", "n", "p")
        await until(pilot, lambda: "AGENT_STOP is written; the other harness has to heed it" in said(pilot))
        assert scene.run.stop_file.exists() and not scene.run.finish_file.exists()

    scene = scenes.running(tmp_path / "run")
    watch(scene, story)


def test_a_run_that_is_over_has_nothing_to_pause(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "the run is over" in said(pilot))
        assert not scene.run.stop_file.exists()

    scene = ours(scenes.complete(tmp_path / "run"))
    watch(scene, story)


@pytest.mark.parametrize("name", ["running", "complete"])
def test_what_nobody_reads_yet_is_seen_until_an_engine_works(tmp_path: Path, name: str) -> None:
    async def story(pilot: Pilot[int]) -> None:
        for count, text in enumerate(("hello", "again"), 1):
            await pilot.press("s", *text, "enter")
            await until(pilot, lambda n=count: f"□ {n} written, read when an engine works" in head(pilot))
        with RunLock(scene.run):
            await until(pilot, lambda: "written" not in head(pilot))

    scene = ours(scenes.SCENES[name](tmp_path / "run"))
    # The one that its journal tells of.
    control.steer(scene.run, "Use a darker blue")
    watch(scene, story)


def test_what_another_harness_has_to_read_is_seen(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("s", *"hello", "enter")
        await until(pilot, lambda: "□ 1 written, the other harness has to read it" in head(pilot))

    watch(scenes.running(tmp_path / "run"), story)


def test_to_end_everything_takes_the_key_twice(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("K", "n")
        await pilot.pause()
        assert not scene.run.stop_file.exists() and screen(pilot).query(Card)
        await pilot.press("n")
        await until(pilot, scene.run.stop_file.exists)

    scene = ours(scenes.running(tmp_path / "run"))
    watch(scene, story)


def test_s_writes_to_the_agent_now_or_at_the_next_session(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("s", *"darker", "ctrl+j", *"blue", "enter")
        await until(pilot, scene.run.steer_file.exists)
        assert scene.run.steer_file.read_text() == "darker\nblue\n"
        await pilot.press("s", "tab", *"later", "enter")
        await until(pilot, scene.run.steer_next_file.exists)
        assert scene.run.steer_next_file.read_text() == "later\n"

    scene = scenes.running(tmp_path / "run")
    watch(scene, story)


def test_a_message_to_a_run_of_longwatch_is_queued_with_a_receipt(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("s", *"hello", "enter")
        await until(pilot, lambda: control.read_steer(scene.run, 1))
        message = control.read_steer(scene.run, 1)
        assert message is not None and (message.text, message.mode) == ("hello", "now")

    scene = scenes.running(tmp_path / "run")
    scene.run.run_json.write_text("{}")
    watch(scene, story)


def test_a_message_that_says_nothing_is_refused_where_it_was_written(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("s", "enter")
        await until(
            pilot, lambda: "empty" in str(screen(pilot).query_one("Composer #wrong", Static).render())
        )
        assert screen(pilot).query(TextArea)
        await pilot.press("escape")
        await until(pilot, lambda: not screen(pilot).query(Card))

    scene = scenes.running(tmp_path / "run")
    watch(scene, story)


def test_a_message_goes_once_however_often_enter_is_hit(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("s", *"hello")
        at_once(pilot, "enter", "enter", "x", "enter")
        await until(pilot, lambda: not screen(pilot).query(Card))
        await pilot.pause()
        assert scene.run.steer_file.read_text() == "hello\n"

    scene = scenes.running(tmp_path / "run")
    watch(scene, story)


@pytest.mark.parametrize("opens", ["s", "slash", "f"])
def test_what_is_typed_ahead_goes_where_the_keys_before_it_lead(tmp_path: Path, opens: str) -> None:
    async def story(pilot: Pilot[int]) -> None:
        at_once(pilot, opens, *"approve")
        await until(pilot, lambda: written(pilot) == "approve")
        assert decision(scene) is None

    scene = scenes.waiting(tmp_path / "run")
    watch(scene, story)


def test_the_first_answer_to_a_choice_is_the_only_one(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("K")
        await until(pilot, lambda: screen(pilot).query(ChoiceCard))
        at_once(pilot, "f", "n", "n")
        await until(pilot, lambda: not screen(pilot).query(Card))
        await pilot.pause()
        assert scene.run.finish_file.exists() and not scene.run.stop_file.exists()

    scene = ours(scenes.running(tmp_path / "run"))
    watch(scene, story)

"""Which iteration of a design stands, chosen in the console."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import TextArea

from harness_core.operator import control
from harness_core.record import events as ev
from harness_core.steps.iterations import Iteration
from tests import scenes
from tests.console import decision, screen, shown, until, watch
from tui.console.cards.card import Card
from tui.console.cards.checkpoint import CheckpointCard
from tui.console.cards.iterations import Iterations
from tui.console.screens.iteration import IterationScreen
from tui.console.screens.picture import PictureScreen


def test_any_iteration_of_a_design_is_looked_at_and_chosen_by_keys(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.focused, Iterations))
        assert "iteration 2 stands when you approve: it is the best one" in shown(pilot)
        await pilot.press("up", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, IterationScreen))
        await until(pilot, lambda: "Changes" in shown(pilot))
        assert "5.5 of 10" in shown(pilot) and "layout 1" in shown(pilot) and "layout 2" not in shown(pilot)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PictureScreen))
        await until(pilot, lambda: "poster.png" in shown(pilot))
        assert decision(scene) is None
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, IterationScreen))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen(pilot))
        assert "iteration 1 stands when you approve: the best one is 2" in shown(pilot)
        await pilot.press("a")
        await until(pilot, lambda: decision(scene))
        answer = decision(scene) or {}
        assert (answer["decision"], answer["choice"]) == ("approve", 1)
        assert answer["subject_hash"] == "1" * 64

    scene = scenes.design(tmp_path / "run")
    watch(scene, story, (80, 24))


def test_the_iterations_take_the_keys_and_give_them_back(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.focused, Iterations))
        await pilot.press("escape", "down", "down")
        assert "iteration 2 stands" in shown(pilot)
        await pilot.press("i", "down")
        await until(pilot, lambda: "iteration 3 stands" in shown(pilot))
        scene.add(ev.CheckpointDecided(id="001", decision="approve", by="another", choice=1))
        await until(pilot, lambda: not screen(pilot).query(CheckpointCard))
        assert screen(pilot).query_one("#stream").has_focus_within
        await pilot.press("i", "a")
        assert decision(scene) is None

    scene = scenes.design(tmp_path / "run")
    watch(scene, story)


def test_words_that_are_being_written_are_not_torn_away_by_iterations(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("s")
        await until(pilot, lambda: screen(pilot).query(Card))
        await pilot.press(*"dark")
        control.save_checkpoint(scene.run, asked)
        scene.add(ev.CheckpointOpened(id="001", kind="end", subject_hash="1" * 64))
        await until(pilot, lambda: screen(pilot).query(Iterations))
        await pilot.press(*"er")
        assert screen(pilot).query_one(TextArea).text == "darker"

    scene = scenes.running(tmp_path / "run")
    iterations = [Iteration(1, 5.0, False), Iteration(2, 6.0, True)]
    asked = control.Checkpoint(
        id="001",
        kind="end",
        opened="",
        summary="?",
        features=[],
        subject_hash="1" * 64,
        iterations=iterations,
    )
    scene.run.checkpoints.mkdir()
    watch(scene, story)

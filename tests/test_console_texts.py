"""A feature's text in the contract, changed in the console."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Static, TextArea

from harness_core.operator import control
from tests import scenes
from tests.console import decision, said, screen, until, watch
from tests.scenes import Scene
from tui.console.cards.card import Card
from tui.console.cards.checkpoint import CheckpointCard
from tui.console.cards.choice import ChoiceCard
from tui.console.cards.rewording import RewordingCard
from tui.console.screens.review import ReviewScreen


def reworded(scene: Scene) -> list[control.RewordRequest | None]:
    return [
        control.read_request(path, control.RewordRequest) for path in control.requests(scene.run.rewordings)
    ]


def editor(pilot: Pilot[int]) -> TextArea:
    return screen(pilot).query_one(TextArea)


def told(pilot: Pilot[int]) -> str:
    """What the card that is up says."""
    card = screen(pilot).query_one(RewordingCard)
    return "\n".join([str(card.border_title), *(str(item.render()) for item in card.query(Static))])


def test_the_text_of_the_feature_in_question_is_changed_in_an_editor(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("w")
        await until(pilot, lambda: screen(pilot).query(TextArea))
        assert editor(pilot).text == "Draw a 2-pixel flag\n\n- Run flags.py 2\n- Look at the picture\n"
        assert "F002" in told(pilot) and "claimed: it is to be built and proved again" in told(pilot)
        assert "you are asked anew" in told(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "says that already" in told(pilot))
        await pilot.press(*["down"] * 4, *"- Ask ada", "ctrl+s")
        await until(pilot, lambda: not screen(pilot).query(TextArea))
        (request,) = reworded(scene)
        assert request is not None
        assert (request.feature, request.description) == ("F002", None)
        assert request.steps == ["Run flags.py 2", "Look at the picture", "Ask ada"]
        assert decision(scene) is None

    scene = scenes.waiting(tmp_path / "run")
    scene.freeze()
    watch(scene, story, (80, 24))


def test_in_the_features_it_is_the_text_under_the_cursor(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: screen(pilot).feature)
        feature = screen(pilot).feature
        await pilot.press("w")
        await until(pilot, lambda: screen(pilot).query(TextArea))
        assert feature in told(pilot) and "open question" not in told(pilot)
        await pilot.press(*"Not: ", "ctrl+s")
        await until(pilot, lambda: reworded(scene))
        (request,) = reworded(scene)
        assert request is not None and request.steps is None and request.feature == feature
        assert (request.description or "").startswith("Not: Draw")

    scene = scenes.running(tmp_path / "run")
    scene.freeze()
    watch(scene, story)


@pytest.mark.parametrize("takes_its_place", ["escape", "K"])
def test_a_text_that_was_begun_is_kept_as_a_draft(tmp_path: Path, takes_its_place: str) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("w")
        await until(pilot, lambda: screen(pilot).query(TextArea))
        await pilot.press(*"New. ")
        if takes_its_place == "K":
            await pilot.app.run_action("screen.stop")
        await pilot.press("escape")
        await until(pilot, lambda: not screen(pilot).query(Card))
        assert not reworded(scene)
        await pilot.press("q")
        await until(pilot, lambda: screen(pilot).query(ChoiceCard))
        assert "F002 isn't saved" in str(screen(pilot).query_one(ChoiceCard).border_title)
        await pilot.press("escape", "w")
        await until(pilot, lambda: screen(pilot).query(TextArea))
        assert "your draft" in told(pilot) and editor(pilot).text.startswith("New. Draw")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: editor(pilot).text.startswith("Draw"))
        await pilot.press("escape", "w")
        await until(pilot, lambda: screen(pilot).query(TextArea))
        assert "your draft" not in told(pilot)

    scene = scenes.waiting(tmp_path / "run")
    scene.freeze()
    watch(scene, story)


def test_a_text_that_another_one_has_changed_meanwhile_is_not_overwritten_unseen(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("w")
        await until(pilot, lambda: screen(pilot).query(TextArea))
        await pilot.press(*"New. ")
        scene.run.contract.write_text(json.dumps(scenes.contract(text="Paint flag {n}")))
        scene.freeze()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "says something else of F002 by now" in told(pilot))
        assert not reworded(scene)
        await pilot.press("escape", "w")
        await until(pilot, lambda: "another text by now than your draft began with" in told(pilot))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: editor(pilot).text.startswith("Paint flag 2"))

    scene = scenes.waiting(tmp_path / "run")
    scene.freeze()
    watch(scene, story)


def test_where_no_contract_is_frozen_a_sentence_says_so(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("w")
        await until(pilot, lambda: "edit feature_list.json itself" in said(pilot))
        scene.run.run_json.write_text("{}")
        await pilot.press("w")
        await until(pilot, lambda: "no feature F002 in the contract" in said(pilot))
        assert not screen(pilot).query(Card)

    scene = scenes.waiting(tmp_path / "run")
    watch(scene, story)


def test_a_review_leads_to_the_text_of_what_it_shows(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("2", "v")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReviewScreen))
        await pilot.press("w")
        await until(pilot, lambda: screen(pilot).query(TextArea))
        assert "F002" in told(pilot)

    scene = scenes.waiting(tmp_path / "run")
    scene.freeze()
    watch(scene, story)


def test_of_a_question_about_several_features_one_is_chosen(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("w")
        await until(pilot, lambda: screen(pilot).query(ChoiceCard))
        await pilot.press("2")
        await until(pilot, lambda: screen(pilot).query(TextArea))
        assert "F002" in told(pilot)

    scene = scenes.waiting(tmp_path / "run")
    scene.freeze()
    asked = control.read_checkpoint(scene.run, 1)
    assert asked is not None
    control.save_checkpoint(scene.run, msgspec.structs.replace(asked, features=["F001", "F002"]))
    watch(scene, story)

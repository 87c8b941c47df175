"""What waits for the operator: cards and reviews, and the answers that go from them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import Static

from harness_core.machine.lock import RunLock
from harness_core.operator import control
from harness_core.record import events as ev
from tests import scenes
from tests.console import decision, head, said, screen, until, watch
from tests.scenes import Scene
from tui.console.cards.card import Card
from tui.console.cards.checkpoint import CheckpointCard
from tui.console.cards.choice import ChoiceCard
from tui.console.hanging import Hanging
from tui.console.screens.picture import PictureScreen
from tui.console.screens.review import ReviewScreen
from tui.console.screens.run import RunScreen


def test_a_question_stands_until_it_is_answered_and_enter_never_approves(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("enter", "enter")
        assert decision(scene) is None
        await pilot.press("escape")
        await pilot.press("a")
        await until(pilot, lambda: decision(scene))
        answer = decision(scene) or {}
        assert (answer["decision"], answer["subject_hash"]) == ("approve", "1" * 64)
        scene.add(scenes.ev.CheckpointDecided(id="001", decision="approve", by="ada"))
        await until(pilot, lambda: not screen(pilot).query(CheckpointCard))

    scene = scenes.waiting(tmp_path / "run")
    watch(scene, story)


def test_all_of_a_review_is_in_reach_of_the_keys(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReviewScreen))
        box = pilot.app.screen.query_one(VerticalScroll)
        await until(pilot, lambda: box.max_scroll_y)
        await pilot.press("G")
        await until(pilot, lambda: box.scroll_y == box.max_scroll_y)
        await pilot.press("ctrl+u")
        await until(pilot, lambda: box.scroll_y < box.max_scroll_y)
        await pilot.press("g")
        await until(pilot, lambda: box.scroll_y == 0)

    scene = scenes.waiting(tmp_path / "run")
    findings = [scenes.ev.Finding("F002", "craft", f"edge {n}", "", "minor") for n in range(20)]
    scene.add(scenes.ev.Verdict(verdict="NEEDS_WORK", scope=["F002"], scores=[], findings=findings))
    watch(scene, story, (80, 24))


def asked_elsewhere(scene: Scene) -> None:
    """The question is answered elsewhere, and the next one waits."""
    asked = control.read_checkpoint(scene.run, 1)
    assert asked is not None
    control.save_checkpoint(scene.run, msgspec.structs.replace(asked, id="002"))
    scene.add(
        ev.CheckpointDecided(id="001", decision="reject", by="another"),
        ev.CheckpointOpened(id="002", kind="needs-work", subject_hash="1" * 64, summary="Once more."),
    )


def test_a_review_says_at_once_that_its_question_waits_no_more(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReviewScreen))
        shown = pilot.app.screen
        asked_elsewhere(scene)
        await until(pilot, lambda: "waits no more" in str(shown.query_one("#asked", Static).render()))
        await pilot.press("a", "x", "r", "o")
        await pilot.pause()
        assert pilot.app.screen is shown and not control.decision_path(scene.run, "002").exists()
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen(pilot))

    scene = scenes.waiting(tmp_path / "run")
    watch(scene, story)


@pytest.mark.parametrize(("opens", "answers"), [("r", "enter"), ("o", "1")])
def test_an_answer_never_goes_to_another_question_than_the_one_that_was_shown(
    tmp_path: Path, opens: str, answers: str
) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press(opens)
        await until(pilot, lambda: screen(pilot).query(Card))
        if opens == "r":
            await pilot.press(*"why")
        asked_elsewhere(scene)
        await until(pilot, lambda: [card.asked.id for card in screen(pilot).query(CheckpointCard)] == ["002"])
        await pilot.press(answers)
        await until(pilot, lambda: "waits no more" in said(pilot))
        assert not control.decision_path(scene.run, "002").exists()

    scene = scenes.waiting(tmp_path / "run")
    watch(scene, story)


def test_r_wants_a_reason(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("r", "enter")
        await until(pilot, lambda: "say what is wrong" in said(pilot))
        assert decision(scene) is None
        await pilot.press(*"ragged", "enter")
        await until(pilot, lambda: decision(scene))
        assert (decision(scene) or {})["note"] == "ragged"

    scene = scenes.waiting(tmp_path / "run")
    watch(scene, story)


def test_x_skips_the_feature_with_a_reason(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("x", *"later", "enter")
        await until(pilot, lambda: decision(scene))
        assert (decision(scene) or {})["decision"] == "skip"

    scene = scenes.waiting(tmp_path / "run")
    watch(scene, story)


def test_x_skips_the_feature_under_the_cursor_at_any_time(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: screen(pilot).feature)
        await pilot.press("G")
        feature = screen(pilot).feature
        await pilot.press("x", "enter")
        await until(pilot, lambda: "say why" in said(pilot))
        await pilot.press(*"later", "enter")
        await until(pilot, lambda: control.requests(scene.run.skips))
        (path,) = control.requests(scene.run.skips)
        request = control.read_request(path, control.SkipRequest)
        assert request is not None and (request.feature, request.note) == (feature, "later")

    scene = scenes.running(tmp_path / "run")
    scene.run.run_json.write_text("{}")
    watch(scene, story)


def test_o_overrides_a_criterion_with_the_answer(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("o", "1")
        await pilot.press("a")
        await until(pilot, lambda: decision(scene))
        assert (decision(scene) or {})["overrides"] == ["craft"]

    scene = scenes.waiting(tmp_path / "run")
    watch(scene, story)


def test_what_is_overridden_is_seen_and_can_be_taken_back(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        def card() -> str:
            shown = screen(pilot).query("CheckpointCard Static").results(Static)
            return "\n".join(str(item.render()) for item in shown)

        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        assert "override: craft" not in card()
        await pilot.press("o", "1")
        await until(pilot, lambda: "override: craft" in card())
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReviewScreen))
        said = "\n".join(str(item.render()) for item in pilot.app.screen.query(Static))
        assert "override: craft" in said and "craft · major · overridden" in said
        await pilot.press("o")
        await until(pilot, lambda: screen(pilot).query(ChoiceCard))
        assert "take that back" in str(screen(pilot).query_one("#options", Static).render())
        await pilot.press("1")
        await until(pilot, lambda: "override: craft" not in card())
        await pilot.press("a")
        await until(pilot, lambda: decision(scene))
        assert (decision(scene) or {})["overrides"] == []

    scene = scenes.waiting(tmp_path / "run")
    watch(scene, story)


def test_the_card_says_how_to_override_where_o_means_something_else(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        def card() -> str:
            return str(screen(pilot).query_one("CheckpointCard Static", Static).render())

        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        assert "v, then o" not in card()
        await pilot.press("5")
        await until(pilot, lambda: "v, then o override" in card())
        await pilot.press("1")
        await until(pilot, lambda: "v, then o" not in card())

    watch(scenes.waiting(tmp_path / "run"), story)


def test_a_question_of_a_run_without_an_engine_says_how_to_start_one(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        def card() -> str:
            return str(screen(pilot).query_one("CheckpointCard Static", Static).render())

        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await until(pilot, lambda: "no engine" not in head(pilot) and "no engine" not in card())
        scene.run.owner.unlink()
        await until(pilot, lambda: "no engine: p starts one" in head(pilot))
        await until(pilot, lambda: "p starts one" in card())

    scene = scenes.waiting(tmp_path / "run")
    with RunLock(scene.run):
        watch(scene, story)


def test_v_shows_verdict_findings_evidence_and_diff_and_answers_from_there(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReviewScreen))
        shown = pilot.app.screen

        def said() -> str:
            return "\n".join(str(item.render()) for item in shown.query(Static))

        await until(pilot, lambda: "flags.py" in said() or "F002-flag.png" in said().split("Changes")[-1])
        for words in ("NEEDS_WORK", "craft", "ragged", "screenshots/F002-flag.png", "Changes"):
            assert words in said()
        await pilot.press("a")
        await until(pilot, lambda: decision(scene))

    scene = scenes.waiting(tmp_path / "run")
    watch(scene, story)


def test_a_review_opens_its_evidence_and_never_answers_by_that(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReviewScreen))
        await pilot.press("enter", "tab", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PictureScreen))
        shown = pilot.app.screen.query_one("#picture-head", Static)
        await until(pilot, lambda: "F002-flag.png" in str(shown.render()))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReviewScreen))
        assert decision(scene) is None

    scene = scenes.waiting(tmp_path / "run")
    watch(scene, story)


def test_in_a_review_wrapped_lines_keep_their_indent(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReviewScreen))
        said = [line for item in pilot.app.screen.query(Hanging) for line in str(item.render()).split("\n")]
        ragged = [line for line in said if "ragged" in line and "craft" not in line]
        assert len(ragged) > 2 and all(line.startswith("  ragged") for line in ragged)

    scene = scenes.waiting(tmp_path / "run")
    finding = ev.Finding("F002", "craft", "ragged " * 40, "", "minor")
    scene.add(ev.Verdict(verdict="NEEDS_WORK", scope=["F002"], findings=[finding]))
    watch(scene, story, (80, 24))


def test_without_a_question_its_keys_do_nothing(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("a", "r", "x", "o", "v")
        await pilot.pause()
        assert not screen(pilot).query(Card) and isinstance(pilot.app.screen, RunScreen)

    watch(scenes.running(tmp_path / "run"), story)

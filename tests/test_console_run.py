"""The console on a run: every key of the operator, and what it leaves on disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from textual import events
from textual.app import SystemCommand
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import Input, Static, TextArea
from textual.widgets._toast import Toast

from harness_core.machine.lock import RunLock
from harness_core.operator import control
from harness_core.record import events as ev
from harness_core.steps.iterations import Iteration
from tests import scenes
from tests.scenes import Scene
from tui.console.app import Console
from tui.console.cards.card import Card
from tui.console.cards.checkpoint import CheckpointCard
from tui.console.cards.choice import ChoiceCard
from tui.console.cards.iterations import Iterations
from tui.console.cards.rewording import RewordingCard
from tui.console.hanging import Hanging
from tui.console.head import Head
from tui.console.keys import EVIDENCE, LINES, PROGRESS, RUN, STREAM
from tui.console.panes.pane import Pane
from tui.console.screens.help import HelpScreen
from tui.console.screens.iteration import IterationScreen
from tui.console.screens.picture import PictureScreen
from tui.console.screens.review import ReviewScreen
from tui.console.screens.run import TABS, RunScreen
from tui.console.screens.trace import TraceScreen
from tui.console.tabs import Tabs
from tui.settings import Settings

Story = Callable[[Pilot[int]], Awaitable[None]]


def watch(
    scene: Scene, story: Story, size: tuple[int, int] = (120, 40), *, toasts: bool = False, **settings: object
) -> None:
    """Tell a story to a console on that run."""

    async def told() -> None:
        app = Console(scene.run, Settings(**settings))  # type: ignore[arg-type]
        async with app.run_test(size=size, notifications=toasts) as pilot:
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.facts is not None)
            await story(pilot)

    asyncio.run(told())


async def until(pilot: Pilot[int], holds: Callable[[], object]) -> None:
    """Wait for a condition. Fails after a while."""
    for _ in range(250):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError("it never came")


def screen(pilot: Pilot[int]) -> RunScreen:
    found = next(item for item in pilot.app.screen_stack if isinstance(item, RunScreen))
    return found


def head(pilot: Pilot[int]) -> str:
    return str(screen(pilot).query_one(Head).render())


# --- What the head says -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty", "idle"),
        ("running", "engine lost"),
        ("waiting", "waiting for you"),
        ("stopped", "stopped"),
        ("complete", "complete"),
        ("failed", "failed"),
        ("tampered", "tampered"),
    ],
)
def test_the_head_says_how_a_run_stands_at_every_size(tmp_path: Path, name: str, says: str) -> None:
    async def story(pilot: Pilot[int]) -> None:
        for size in [(80, 24), (120, 40), (200, 60)]:
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: screen(pilot).size == size)
            await until(pilot, lambda: says in head(pilot))
            if name not in ("empty",):
                passing = {"waiting": "2/4", "complete": "4/4"}.get(name, "1/4")
                assert passing in head(pilot), size

    watch(scenes.SCENES[name](tmp_path / "run"), story)


def test_what_is_asked_and_what_is_done_are_never_the_same_picture(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "□ stop (pause) requested" in head(pilot))
        assert "confirmed" not in head(pilot)
        scene.add(scenes.ev.StopRequested(mode="pause"), scenes.ev.StopConfirmed(mode="pause"))
        await until(pilot, lambda: "stop (pause) confirmed" in head(pilot))

    scene = scenes.running(tmp_path / "run")
    with RunLock(scene.run):
        watch(scene, story)


def test_where_nothing_runs_any_more_a_stop_is_confirmed(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("K", "n", "n")
        await until(pilot, lambda: "■ stop (pause) confirmed" in head(pilot))

    watch(ours(scenes.waiting(tmp_path / "run")), story)


def test_another_harness_s_stop_is_only_known_to_be_asked_for(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "□ AGENT_STOP is there" in head(pilot))
        assert "confirmed" not in head(pilot)

    scene = scenes.empty(tmp_path / "run")
    scene.run.contract.write_text(json.dumps(scenes.contract()))
    watch(scene, story)


def test_the_head_tells_of_the_api_s_limits_while_that_is_news(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        scene.add(ev.Cost(usd=0.1, tokens=9_000, phase="build", turns=1, context=38_500))
        await until(pilot, lambda: "context 38.5k (19%)" in head(pilot))
        scene.add(ev.RateLimited(status="allowed", window="five_hour", utilization=0.87))
        scene.add(ev.Retry(attempt=2, max=10, delay_ms=500, status=529))
        await until(pilot, lambda: "↻ retry 2/10" in head(pilot) and "◷ 87% of five_hour" in head(pilot))
        scene.add(ev.Text(text="It answers."))
        await until(pilot, lambda: "retry" not in head(pilot))
        assert "◷ 87% of five_hour" in head(pilot)

    scene = scenes.running(tmp_path / "run")
    with RunLock(scene.run):
        watch(scene, story, (200, 60))


def test_between_sessions_the_head_names_no_role(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "generator · session 3" in head(pilot))
        scene.end()
        await until(pilot, lambda: "after session 3" in head(pilot) and "generator" not in head(pilot))

    scene = scenes.running(tmp_path / "run")
    watch(scene, story)


# --- The brake and the wheel ------------------------------------------------------------------------


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


def ours(scene: Scene) -> Scene:
    """The scene as a run that Longwatch drives."""
    scene.run.run_json.write_text("{}")
    return scene


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


def at_once(pilot: Pilot[int], *keys: str) -> None:
    """Type faster than the console can answer."""
    for key in keys:
        pilot.app.post_message(events.Key(key, "\r" if key == "enter" else key))


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


def written(pilot: Pilot[int]) -> str:
    """What stands in the field of a card."""
    asked = screen(pilot)
    return "".join([*(f.value for f in asked.query(Input)), *(f.text for f in asked.query(TextArea))])


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


# --- What waits for the operator ----------------------------------------------------------------------


def decision(scene: Scene) -> dict[str, object] | None:
    path = control.decision_path(scene.run, "001")
    return dict(json.loads(path.read_bytes())) if path.exists() else None


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


def said(pilot: Pilot[int]) -> str:
    """What the console has said lately, in passing or on a card."""
    notes = [note.message for note in pilot.app._notifications]
    return "\n".join(
        [*notes, *(str(wrong.render()) for wrong in screen(pilot).query("#wrong").results(Static))]
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


# --- The contract's text --------------------------------------------------------------------------------


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


# --- Which iteration of a design stands -----------------------------------------------------------------


def shown(pilot: Pilot[int]) -> str:
    """What the screen on top says, outside of its lists."""
    return "\n".join(str(item.render()) for item in pilot.app.screen.query(Static))


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


# --- Finding one's way ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_numbers_and_tab_go_from_pane_to_pane(tmp_path: Path, size: tuple[int, int]) -> None:
    async def story(pilot: Pilot[int]) -> None:
        for number, name in enumerate(TABS, 1):
            await pilot.press(str(number))
            await until(pilot, lambda name=name: name == screen(pilot).pane.NAME)
            assert screen(pilot).focused in screen(pilot).pane.walk_children(with_self=True)
        await pilot.press("tab")
        assert TABS[0] == screen(pilot).pane.NAME
        await pilot.press("shift+tab")
        assert TABS[-1] == screen(pilot).pane.NAME
        shown = [pane for pane in screen(pilot).query(Pane) if pane.display and pane.size.area]
        assert len(shown) == (1 if size[0] == 80 else 5)

    watch(scenes.running(tmp_path / "run"), story, size)


@pytest.mark.parametrize("pane", range(1, 6))
def test_a_card_that_goes_gives_the_keys_back(tmp_path: Path, pane: int) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press(str(pane))
        await until(pilot, lambda: screen(pilot).focused in screen(pilot).pane.query("*"))
        before = screen(pilot).focused
        for key in ("s", "K", "slash"):
            await pilot.press(key)
            await until(pilot, lambda: screen(pilot).focused is not before)
            await pilot.press("escape")
            await until(pilot, lambda: not screen(pilot).query(Card))
            assert screen(pilot).focused is before, key
            assert TABS[pane - 1] == screen(pilot).pane.NAME, key

    watch(scenes.running(tmp_path), story)


def test_z_gives_a_pane_the_whole_screen_and_takes_it_back(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        before = screen(pilot).pane.size
        await pilot.press("z")
        await until(pilot, lambda: screen(pilot).pane.size.width > 100)
        await pilot.press("z")
        await until(pilot, lambda: screen(pilot).pane.size == before)

    watch(scenes.running(tmp_path / "run"), story)


def test_help_names_every_key(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        said = "\n".join(str(item.render()) for item in pilot.app.screen.query(Static))
        assert all(key.help in said for key in RUN)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))

    watch(scenes.running(tmp_path / "run"), story)


def test_keys_are_the_users_to_change(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("p")
        await pilot.pause()
        assert not scene.run.stop_file.exists()
        await pilot.press("space")
        await until(pilot, scene.run.stop_file.exists)

    scene = scenes.running(tmp_path / "run")
    watch(scene, story, keys={"pause": "space"})


def test_where_there_is_no_room_the_stop_keys_still_work(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "80×24" in str(screen(pilot).query_one("#too-small", Static).render()))
        await pilot.press("p")
        await until(pilot, scene.run.stop_file.exists)

    scene = scenes.running(tmp_path / "run")
    watch(scene, story, (60, 20))


@pytest.mark.parametrize(
    ("name", "says"), [("stopped", ["■ stopped", "p goes on"]), ("complete", ["✓ complete"])]
)
def test_where_there_is_no_room_it_still_says_how_the_run_stands(
    tmp_path: Path, name: str, says: list[str]
) -> None:
    async def story(pilot: Pilot[int]) -> None:
        def shown() -> str:
            return str(screen(pilot).query_one("#too-small", Static).render())

        await until(pilot, lambda: all(words in shown() for words in says))

    watch(ours(scenes.SCENES[name](tmp_path / "run")), story, (60, 20))


def test_q_leaves_a_run_that_nobody_works_on(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("q")
        await until(pilot, lambda: pilot.app._exit)

    watch(scenes.complete(tmp_path / "run"), story)


@pytest.mark.parametrize(("key", "finishes"), [("d", False), ("f", True)])
def test_q_asks_before_it_leaves_a_run_that_is_alive(tmp_path: Path, key: str, finishes: bool) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("q")
        await until(pilot, lambda: screen(pilot).query(ChoiceCard))
        assert not pilot.app._exit
        await pilot.press("escape", "q", key)
        await until(pilot, lambda: pilot.app._exit)
        assert scene.run.finish_file.exists() is finishes and not scene.run.stop_file.exists()

    scene = scenes.running(tmp_path / "run")
    with RunLock(scene.run):
        watch(scene, story)


@pytest.mark.parametrize("over", [[], ["question_mark"], ["ctrl+p"], ["s", *"words"], ["t"]])
def test_ctrl_q_asks_too_wherever_one_is(tmp_path: Path, over: list[str]) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press(*over, "ctrl+q")
        await until(pilot, lambda: pilot.app.screen is screen(pilot) and screen(pilot).query(ChoiceCard))
        assert not pilot.app._exit
        await pilot.press("d")
        await until(pilot, lambda: pilot.app._exit)

    scene = scenes.running(tmp_path / "run")
    with RunLock(scene.run):
        watch(scene, story)


def test_a_key_that_comes_when_all_is_closed_breaks_nothing(tmp_path: Path) -> None:
    app = Console(scenes.running(tmp_path / "run").run, Settings())
    asyncio.run(app.on_event(events.Key("x", "x")))


def test_a_click_on_a_tab_goes_to_the_pane(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        tabs = screen(pilot).query_one(Tabs)
        for name in ("git", "evidence", "stream"):
            place = str(tabs.render()).index(name) + 1
            assert await pilot.click(Tabs, offset=(place + 1, 0))
            await until(pilot, lambda name=name: name == screen(pilot).pane.NAME)

    watch(scenes.running(tmp_path / "run"), story, (80, 24))


def test_what_was_said_never_stands_over_what_one_types(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: pilot.app.query(Toast))
        await until(pilot, lambda: screen(pilot).query_one(Toast).region.area)
        assert screen(pilot).query_one(Toast).region.bottom < screen(pilot).size.height // 2
        await pilot.press("s")
        await until(pilot, lambda: not screen(pilot).query(Toast))

    watch(scenes.running(tmp_path / "run"), story, (80, 24), toasts=True)


def test_t_shows_the_journal_and_escape_leads_back(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, TraceScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))

    watch(scenes.running(tmp_path / "run"), story)


def test_y_copies_what_is_under_the_cursor(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await until(pilot, screen(pilot).pane.copied)
        await pilot.press("y")
        await until(pilot, lambda: "F00" in pilot.app.clipboard)

    watch(scenes.running(tmp_path / "run"), story)


def test_e_says_so_where_no_editor_can_be_opened(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("3", "e")
        await until(pilot, lambda: [toast for toast in pilot.app._notifications if "editor" in toast.message])

    watch(scenes.running(tmp_path / "run"), story)


def offered(pilot: Pilot[int]) -> dict[str, SystemCommand]:
    """The palette's commands by what they do."""
    return {command.help: command for command in pilot.app.get_system_commands(pilot.app.screen)}


def test_the_palette_has_every_action_and_says_why_one_can_t_be_done(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        groups = (RUN, LINES, STREAM, PROGRESS, EVIDENCE)
        ours = {key.help for group in groups for key in group}
        assert set(offered(pilot)) - ours == {"The colours: dark, light, contrast, none."}
        assert ours <= set(offered(pilot))
        for key in (*RUN, *EVIDENCE):
            if key.id in ("approve", "reject", "override", "review", "skip", "compare", "outside"):
                pilot.app.clear_notifications()
                offered(pilot)[key.help].callback()
                await until(pilot, lambda key=key: key.label in said(pilot))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: not isinstance(pilot.app.screen, RunScreen))

    watch(scenes.running(tmp_path / "run"), story)


def test_the_palette_does_what_can_be_done(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("ctrl+p", *"approve", "enter")
        await until(pilot, lambda: (decision(scene) or {}).get("decision") == "approve")

    scene = scenes.waiting(tmp_path / "run")
    watch(scene, story)


def test_the_theme_is_one_of_ours(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("ctrl+p", *"theme", "enter")
        await pilot.press(*"none", "enter")
        await until(pilot, lambda: pilot.app.theme == "longwatch-none" and not colours(pilot))

    watch(scenes.running(tmp_path / "run"), story)


def colours(pilot: Pilot[int]) -> set[str]:
    """The colours on the screen."""
    strips = pilot.app.screen_stack[0]._compositor.render_strips()
    styles = [segment.style for strip in strips for segment in strip if segment.style]
    both = [colour for style in styles for colour in (style.color, style.bgcolor)]
    return {colour.name for colour in both if colour is not None}


@pytest.mark.parametrize("theme", ["dark", "light", "contrast", "none"])
def test_each_theme_draws_and_none_has_no_colour(tmp_path: Path, theme: str) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "1/4" in head(pilot))
        assert bool(colours(pilot)) is (theme != "none")

    watch(scenes.running(tmp_path / "run"), story, theme=theme)


def test_no_color_in_the_environment_takes_all_colours_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "1/4" in head(pilot))
        assert not colours(pilot)

    monkeypatch.setenv("NO_COLOR", "1")
    watch(scenes.running(tmp_path / "run"), story)

"""Finding one's way in the console on a run: panes, keys, screens, palette, colours."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual import events
from textual.app import SystemCommand
from textual.pilot import Pilot
from textual.widgets import Static
from textual.widgets._toast import Toast

from harness_core.machine.lock import RunLock
from tests import scenes
from tests.console import decision, head, ours, said, screen, until, watch
from tui.console.app import Console
from tui.console.cards.card import Card
from tui.console.cards.checkpoint import CheckpointCard
from tui.console.cards.choice import ChoiceCard
from tui.console.keys import EVIDENCE, LINES, PROGRESS, RUN, STREAM
from tui.console.panes.pane import Pane
from tui.console.screens.help import HelpScreen
from tui.console.screens.run import TABS, RunScreen
from tui.console.screens.trace import TraceScreen
from tui.console.tabs import Tabs
from tui.settings import Settings


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

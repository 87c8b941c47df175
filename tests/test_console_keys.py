"""Keys that the user has chosen: whatever a screen says of a key names the one that works."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests import scenes
from tests.console import ours, said, screen, text_on, until, watch
from tui.console.app import Console
from tui.console.cards.card import Card
from tui.console.cards.checkpoint import CheckpointCard
from tui.console.cards.iterations import Iterations
from tui.console.screens.help import HelpScreen
from tui.console.screens.iteration import IterationScreen
from tui.console.screens.review import ReviewScreen
from tui.console.screens.run import RunScreen
from tui.console.screens.start import StartScreen
from tui.settings import Settings

CHOSEN = {
    "pause": "ctrl+g",
    "stop": "ctrl+b",
    "approve": "f2",
    "reject": "f3",
    "override": "f4",
    "review": "f5",
    "reword": "f6",
    "skip": "f7",
    "iterations": "f8",
    "up": "ctrl+k",
    "down": "ctrl+j",
    "steer": "S",
    "copy_page": "C",
    "close_page": "Q",
    "stream": "ctrl+t",
    "evidence": "W",
    "last": "Z",
    "follow": "X",
    "new": "I",
    "demo": "M",
}
OLD = re.compile(
    r"(?<![\w/.])(?:p (?:starts|goes|pauses)|K (?:stop|stops)|a approve|a or r|r send back|o override"
    r"|o takes|v review|v, then|or v shows|w reword|x skip|i, up|up, down|up and down|s steer|y copy"
    r"|1 stream|5 evidence|[Ee]nd returns|F follows|n starts|d shows|n new run|d demo)\b"
)
"""How hints would name the keys that the user has taken away."""


def hints(pilot: Pilot[int], *wanted: str) -> bool:
    """Whether the screen says all that, and of no key what it no longer does."""
    text = text_on(pilot)
    assert not OLD.search(text), text
    return all(words in text for words in wanted)


def test_the_old_keys_would_be_seen(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await until(pilot, lambda: len(set(OLD.findall(text_on(pilot)))) >= 11)

    watch(ours(scenes.waiting(tmp_path / "run")), story, (80, 24))


def test_a_question_names_the_keys_that_were_chosen(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: hints(pilot, "no engine: ctrl+g starts one", "f2 approve · f3 send back"))
        assert hints(pilot, "f5 review", "f4 override · f6 reword · f7 skip", "W evidence", "ctrl+t stream")
        assert hints(pilot, "no engine runs: ctrl+g starts one")
        await pilot.press("W")
        await until(pilot, lambda: screen(pilot).pane.NAME == "evidence")
        assert hints(pilot, "· f4 override"), "there it works as elsewhere: it isn't the pane's key"
        await pilot.press("f4", "1")
        await until(pilot, lambda: hints(pilot, "override: craft (f4 takes it back)"))
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReviewScreen))
        await until(pilot, lambda: "craft (f4 takes it back)" in text_on(pilot))
        assert hints(pilot, "f2 approve f3 send back f4 override f6 reword f7 skip")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        await pilot.press("b")
        await until(pilot, lambda: hints(pilot, "waits for f2 or f3", "C copy · Q back"))
        await pilot.press("Q", "question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await until(pilot, lambda: re.search(r"f2 +Agree with", text_on(pilot)))
        await pilot.press("Q", "f2")
        await until(pilot, lambda: "(no engine: ctrl+g starts one)" in said(pilot))

    watch(ours(scenes.waiting(tmp_path / "run")), story, (80, 24), keys=CHOSEN)


def test_a_key_that_the_pane_has_for_itself_is_said_to_work_in_the_review(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query(CheckpointCard))
        await pilot.press("5")
        await until(pilot, lambda: "R, then o override" in text_on(pilot))

    watch(scenes.waiting(tmp_path / "run"), story, keys={"review": "R"})


def test_a_design_names_the_keys_that_were_chosen(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.focused, Iterations))
        assert hints(pilot, "f8, ctrl+k, ctrl+j choose · enter or f5 shows it · f2 approve")
        await pilot.press("ctrl+k", "f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, IterationScreen))
        await until(pilot, lambda: "ctrl+k and ctrl+j choose another" in text_on(pilot))

    watch(scenes.design(tmp_path / "run"), story, keys=CHOSEN)


def test_a_small_terminal_a_scrolled_pane_and_its_notes_name_them_too(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "Progress" in text_on(pilot))
        await pilot.press("3", "ctrl+k", "ctrl+k")
        await until(pilot, lambda: hints(pilot, "X follows what changes"))
        await pilot.press("ctrl+t", "g")
        scene.add(scenes.ev.Text(text="news"))
        await until(pilot, lambda: hints(pilot, "+1 new · Z returns"))
        await pilot.press("S")
        await until(pilot, lambda: screen(pilot).query(Card))
        await pilot.press("escape")
        await pilot.resize_terminal(60, 16)
        await until(pilot, lambda: hints(pilot, "ctrl+g goes on, ctrl+b stops it"))

    scene = ours(scenes.stopped(tmp_path / "run"))
    (scene.root / "PROGRESS.md").write_text("# Notes\n" + "\nA line.\n" * 80)
    watch(scene, story, (120, 40), keys=CHOSEN)


def test_the_start_screen_names_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody has opened a run before.
    monkeypatch.setenv("LONGWATCH_STATE", str(tmp_path))

    async def story() -> None:
        app = Console(None, Settings(keys=CHOSEN))
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: isinstance(app.screen, StartScreen))
            await until(pilot, lambda: hints(pilot, "I starts one, M shows one.", "I new run", "M demo"))
            await pilot.press("c")
            await until(pilot, lambda: hints(pilot, "Doctor", "C copy · Q back"))

    asyncio.run(story())

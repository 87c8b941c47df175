"""How the console looks: every screen and state at three sizes, compared with pictures that were looked at.

To take them anew after a change: `make looks`, then look at what changed.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
import time_machine
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.image import SVGImageSnapshotExtension
from textual.pilot import Pilot
from textual.widgets import TextArea

from harness_core.layout import RunDir
from harness_core.machine.lock import RunLock
from tests import scenes
from tui.console.app import Console
from tui.console.screens import doctor, start
from tui.console.screens.run import RunScreen
from tui.doctor.check import Check, Mark

SIZES = [(80, 24), (120, 40), (200, 60)]
Pictures = Callable[[tuple[int, int]], dict[str, str]]
NOW = datetime.fromtimestamp(scenes.START + 3900, UTC)
"""Minutes away from where an age becomes another word: a slow machine takes the same pictures."""


@pytest.fixture
def looks(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(SVGImageSnapshotExtension)


def picture(root: Path, scene: str, size: tuple[int, int]) -> str:
    """The screen of a scene as SVG."""
    return pictures(scenes.SCENES[scene](root).run, scene, size, {"": []})[""]


def pictures(
    run: RunDir | None, title: str, size: tuple[int, int], keys: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """The screens of one console, on a run or at its start, each after some keys, as SVG by name."""

    async def taken() -> dict[str, str]:
        app = Console(run)
        found = {}
        async with app.run_test(size=size) as pilot:
            await at_rest(pilot)
            for name, pressed in keys.items():
                clock.move_to(NOW)
                for key in pressed:
                    await pilot.press(key)
                    for field in app.screen.query(TextArea):
                        field.cursor_blink = False
                    await at_rest(pilot)
                # Its font is somewhere on the network; which one it is doesn't matter here.
                svg = app.export_screenshot(title=title)
                found[name] = re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)
                if pressed:
                    # Back to where it began: its first pane, with nothing over it.
                    await pilot.press("z" if "z" in pressed else "escape", "1")
        return found

    with (
        tempfile.TemporaryDirectory() as state,
        pytest.MonkeyPatch.context() as patch,
        time_machine.travel(NOW, tick=True) as clock,
    ):
        # Nobody has opened a run before, or looked at one.
        patch.setenv("LONGWATCH_STATE", state)
        return asyncio.run(taken())


async def at_rest(pilot: Pilot[int]) -> None:
    """Wait until what runs beside the screen has ended and the screen looks the same three times."""
    app, same, before = pilot.app, 0, []
    for _ in range(300):
        await pilot.pause(0.03)
        screen = app.screen_stack[-1]
        busy = [worker for worker in app.workers if worker.name != "_watch" and not worker.is_finished]
        ready = not isinstance(screen, RunScreen) or screen.facts is not None
        now = [strip._segments for strip in screen._compositor.render_strips()]
        same = same + 1 if ready and not busy and now == before else 0
        before = now
        if same == 3:
            return
    raise AssertionError("the screen never comes to rest")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", list(scenes.SCENES))
def test_a_run_in_each_state(
    tmp_path: Path, looks: SnapshotAssertion, scene: str, size: tuple[int, int]
) -> None:
    assert picture(tmp_path / "run", scene, size) == looks


CARDS = {"steer": ["s"], "ladder": ["K"], "send-back": ["r"], "override": ["o"]}
SCREENS = {
    "help": ["question_mark"],
    "review": ["v"],
    "costs": ["c"],
    "brief": ["b"],
    "trace": ["t"],
    "features-zoomed": ["2", "z"],
    "git-zoomed": ["4", "z"],
    "evidence-zoomed": ["5", "z"],
    "progress-zoomed": ["3", "z"],
    "feature": ["2", "enter"],
    "diff": ["4", "enter"],
    "picture": ["5", "enter"],
    "compare": ["5", "m"],
}


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    """What the keys open over a run that waits for its operator, all in one console of a size."""

    @cache
    def of_size(size: tuple[int, int]) -> dict[str, str]:
        run = scenes.waiting(tmp_path_factory.mktemp("waiting") / "run").run
        run.run_json.write_text("{}")
        return pictures(run, "waiting", size, CARDS | SCREENS)

    return of_size


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("card", list(CARDS))
def test_each_card(waiting: Pictures, looks: SnapshotAssertion, card: str, size: tuple[int, int]) -> None:
    assert waiting(size)[card] == looks


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("screen", list(SCREENS))
def test_each_screen(waiting: Pictures, looks: SnapshotAssertion, screen: str, size: tuple[int, int]) -> None:
    assert waiting(size)[screen] == looks


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_card_before_one_leaves(tmp_path: Path, looks: SnapshotAssertion, size: tuple[int, int]) -> None:
    # One that waits for its operator: its clock stands.
    scene = scenes.waiting(tmp_path / "run")
    with RunLock(scene.run):
        assert pictures(scene.run, "leave", size, {"": ["q"]})[""] == looks


@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_editor_of_a_text(tmp_path: Path, looks: SnapshotAssertion, size: tuple[int, int]) -> None:
    scene = scenes.waiting(tmp_path / "run")
    scene.freeze()
    assert pictures(scene.run, "text", size, {"": ["w"]})[""] == looks


@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
def test_an_iteration_of_a_design(tmp_path: Path, looks: SnapshotAssertion, size: tuple[int, int]) -> None:
    assert (
        pictures(scenes.design(tmp_path / "run").run, "iteration", size, {"": ["up", "enter"]})[""] == looks
    )


@pytest.mark.parametrize("scene", ["running", "stopped"])
def test_a_terminal_that_is_too_small(tmp_path: Path, looks: SnapshotAssertion, scene: str) -> None:
    assert picture(tmp_path / "run", scene, (60, 16)) == looks


CHECKS = (
    Check("Python", Mark.OK, "3.11.7"),
    Check("git", Mark.OK, "2.43.0"),
    Check(
        "sandbox", Mark.WARN, "bubblewrap isn't there: the guards alone watch the shell", "install bubblewrap"
    ),
    Check("login", Mark.FAIL, "no key and no login", "log in with `claude`, or set ANTHROPIC_API_KEY"),
)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: SnapshotAssertion, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: iter(CHECKS))
    monkeypatch.setattr(start, "__version__", "1.2.3")
    monkeypatch.chdir(tmp_path)
    for name in ("waiting", "stopped", "complete", "failed", "running"):
        run = scenes.SCENES[name](tmp_path / "flags" / name).run
        os.utime(run.journal, (scenes.START, scenes.START))
    shown = pictures(None, "start", size, {"start": [], "doctor": ["c"], "new": ["n"]})
    assert shown["start"] == looks(name="runs")
    assert shown["doctor"] == looks(name="doctor")
    assert shown["new"] == looks(name="new run")

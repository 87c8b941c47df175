"""The console on a run, driven by keys in a terminal that is none: what tests of it have in common."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, Static, TextArea

from harness_core.operator import control
from tests.scenes import Scene
from tui.console.app import Console
from tui.console.head import Head
from tui.console.screens.run import RunScreen
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
    raise AssertionError(f"it never came; the screen says:\n{text_on(pilot)}")


def screen(pilot: Pilot[int]) -> RunScreen:
    found = next(item for item in pilot.app.screen_stack if isinstance(item, RunScreen))
    return found


def head(pilot: Pilot[int]) -> str:
    return str(screen(pilot).query_one(Head).render())


def ours(scene: Scene) -> Scene:
    """The scene as a run that Longwatch drives."""
    scene.run.run_json.write_text("{}")
    return scene


def at_once(pilot: Pilot[int], *keys: str) -> None:
    """Type faster than the console can answer."""
    for key in keys:
        pilot.app.post_message(events.Key(key, "\r" if key == "enter" else key))


def written(pilot: Pilot[int]) -> str:
    """What stands in the field of a card."""
    asked = screen(pilot)
    return "".join([*(f.value for f in asked.query(Input)), *(f.text for f in asked.query(TextArea))])


def decision(scene: Scene) -> dict[str, object] | None:
    path = control.decision_path(scene.run, "001")
    return dict(json.loads(path.read_bytes())) if path.exists() else None


def said(pilot: Pilot[int]) -> str:
    """What the console has said lately, in passing or on a card."""
    notes = [note.message for note in pilot.app._notifications]
    return "\n".join(
        [*notes, *(str(wrong.render()) for wrong in screen(pilot).query("#wrong").results(Static))]
    )


def shown(pilot: Pilot[int]) -> str:
    """What the screen on top says, outside of its lists."""
    return "\n".join(str(item.render()) for item in pilot.app.screen.query(Static))


def text_on(pilot: Pilot[int]) -> str:
    """All that can be read on the screen on top."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)

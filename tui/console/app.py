"""The console's program: themes, the door for text, and which screen stands first."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events
from textual.app import App, ScreenStackError, SystemCommand
from textual.command import CommandListItem
from textual.driver import Driver
from textual.filter import LineFilter
from textual.message_pump import MessagePump
from textual.screen import Screen

from harness_core.layout import RunDir
from tui.console import palette, pasting
from tui.console.colourless import Colourless
from tui.console.sinks import VisibleOnly
from tui.console.themes import NAMES, THEMES
from tui.settings import Settings

if TYPE_CHECKING:
    from tui.console.replay import Replay

LOST = 2.0
"""Seconds after which a key that is still on its way no longer holds up the next ones."""


class Console(App[int]):
    """Shows one run, or a replay of one, or, without either, the start screen."""

    CSS_PATH = Path(__file__).with_name("console.tcss")
    TITLE = "Longwatch"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]  # noqa: RUF012

    def __init__(
        self, run: RunDir | None, settings: Settings | None = None, replay: Replay | None = None
    ) -> None:
        super().__init__()
        self.run_dir = run
        self._replay = replay
        self.settings = settings or Settings()
        self._typed: list[events.Event] = []
        self._visible_only = VisibleOnly()
        self._no_colour: list[LineFilter] = []
        for theme in THEMES:
            self.register_theme(theme)
        self._choose_theme("none" if self.no_color else self.settings.theme)
        self.set_keymap(self.settings.keys)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [self._visible_only, *self._no_colour, *super().get_line_filters()]

    def on_mount(self) -> None:
        # What was made so far stays to the end; there is no need to look through it again and again.
        gc.freeze()
        if self.run_dir is None:
            gc.enable()

    def get_driver_class(self) -> type[Driver]:
        pasting.install()
        return super().get_driver_class()

    def get_default_screen(self) -> Screen[None]:
        if self._replay is not None:
            from tui.console.screens.replay import ReplayScreen  # noqa: PLC0415

            return ReplayScreen(self._replay, self.settings)
        if self.run_dir is not None:
            from tui.console.screens.run import RunScreen  # noqa: PLC0415

            return RunScreen(self.run_dir, self.settings)
        from tui.console.screens.start import StartScreen  # noqa: PLC0415

        return StartScreen(self.settings)

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        if self._typed and event.time - self._typed[0].time > LOST:
            # Whatever has held the first one up, a keyboard that does nothing would be worse.
            self._typed.clear()
        self._typed.append(event)
        if len(self._typed) == 1:
            # While the console ends, the last screen may go at any moment.
            with contextlib.suppress(ScreenStackError):
                await self._hand_on(event)

    async def _hand_on(self, event: events.Event) -> None:
        """Hand on what is typed, each key when all is done that the one before it does, so
        that what is typed ahead goes to where the keys before it lead."""
        if not self.screen_stack:
            # The console is ending: what is still on its way has nowhere to go.
            return
        way = (self.focused or self.screen).ancestors_with_self
        await super().on_event(event)
        await self._follow(event, way)

    async def _follow(self, event: events.Event, way: Sequence[MessagePump]) -> None:
        """Go the way that a key takes, behind it."""
        for place, pump in enumerate(way):
            if pump.call_later(self._follow, event, way[place + 1 :]):
                return
        if self._typed and self._typed[0] is event:
            del self._typed[0]
            if self._typed:
                with contextlib.suppress(ScreenStackError):
                    await self._hand_on(self._typed[0])

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: every action of the screen, and the theme."""
        yield from palette.commands(self, screen, getattr(screen, "PALETTE", ()))
        yield SystemCommand("theme", f"The colours: {', '.join(NAMES)}.", self._ask_for_theme)

    def _ask_for_theme(self) -> None:
        names: list[CommandListItem] = [(name, partial(self._choose_theme, name)) for name in NAMES]
        self.search_commands(names, "Which colours?")

    def _choose_theme(self, name: str) -> None:
        self._no_colour = [Colourless()] if name == "none" else []
        self.theme = NAMES[name]

    async def action_quit(self) -> None:
        """The same as to leave the screen that all others lie over: what that asks first, this asks too."""
        for screen in reversed(self.screen_stack):
            if hasattr(screen, "action_leave"):
                while self.screen is not screen:
                    self.pop_screen()
                await self.run_action("leave", screen)
                return
        self.exit(0)

    @property
    def broken(self) -> Exception | None:
        """What a mistake of ours raised and nobody caught, once the console has ended by it."""
        return self._exception

    def _fatal_error(self) -> None:
        # Whoever opened the console says it in a sentence; Textual would print the whole traceback.
        self._close_messages_no_wait()

    def open_run(self, run: RunDir) -> None:
        """Show a run."""
        from tui.console.screens.run import RunScreen  # noqa: PLC0415

        self.run_dir = run
        self.push_screen(RunScreen(run, self.settings))

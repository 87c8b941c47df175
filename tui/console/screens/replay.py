"""A past run, played in the panes that show a run."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import msgspec
from textual.binding import BindingType

from harness_core.record.status import stop_of
from tui.console import keys
from tui.console.facts import Facts, Feed, Past
from tui.console.replay import Replay
from tui.console.screens.run import RunScreen
from tui.settings import Settings


class ReplayFeed(Feed):
    """What was known then."""

    def __init__(self, replay: Replay) -> None:
        super().__init__(replay.run)
        self._replay = replay
        self._found: Facts | None = None
        self._past: Past | None = None

    def poll(self) -> Facts | None:
        new, past = super().poll(), self._replay.past
        self._found = new or self._found
        if self._found is None or (new is None and past is self._past):
            return None
        self._past = past
        # That no engine is alive now says nothing of then, except where the journal ends without a word.
        state, alive = self._found.state, not past.ended
        report = msgspec.structs.replace(
            self._found.report,
            lifecycle=state.lifecycle(alive=alive).value,
            stop=stop_of(state, alive=alive),
        )
        return replace(self._found, report=report, past=past)


class ReplayScreen(RunScreen):
    """Nothing here reaches the run."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.REPLAY)
    OFF = frozenset(key.action for key in keys.RUN if key not in keys.LOOKING)
    """What would change the run, or what is kept of it: all that isn't known to do nothing but look."""

    def __init__(self, replay: Replay, settings: Settings) -> None:
        # What happened then is no reason to call anybody now.
        quiet = msgspec.structs.replace(settings, bell=False, notify=False)
        super().__init__(replay.run, quiet, ReplayFeed(replay))
        self._replay = replay

    def on_mount(self) -> None:
        super().on_mount()
        self._replay.start()

    @property
    def answers(self) -> str:
        return "what was answered comes in the stream"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action not in self.OFF

    def action_play(self) -> None:
        self._replay.toggle()

    def action_speed(self, factor: float) -> None:
        self._replay.faster(factor)

    def action_jump(self, what: str) -> None:
        self._replay.jump(what)

"""A new run: what to build, where, within which bounds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static, TextArea

from harness_core.config import KEY_MAX_USD, MODES, PRESETS
from harness_core.errors import LongwatchError
from harness_core.safe import safe
from tui.console.aside import aside
from tui.console.sinks import words
from tui.launch import Detached
from tui.new_run import Form, request, taken_as


class NewRunScreen(ModalScreen[Detached | None]):
    """A form. Its answer is an engine that has its run; while one refuses, the form stays as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back"),
        Binding("ctrl+s", "start", "start", priority=True),
    ]
    DEFAULT_CSS = """
    NewRunScreen { align: center middle; }
    NewRunScreen > VerticalScroll {
        width: 78; max-width: 100%; height: auto; max-height: 100%;
        padding: 0 2; border: round $primary; border-title-style: bold; background: $surface;
        border-subtitle-color: $text-muted;
    }
    NewRunScreen Label { color: $text-muted; margin: 1 0 0 0; }
    NewRunScreen Input, NewRunScreen Input.-textual-compact {
        height: 1; border: none; padding: 0 1; background: $panel;
    }
    NewRunScreen TextArea { height: 5; border: none; padding: 0 1; background: $panel; }
    NewRunScreen Input:focus, NewRunScreen TextArea:focus { background: $primary 20%; }
    NewRunScreen Horizontal { height: auto; }
    NewRunScreen Horizontal > Label { width: auto; margin: 1 1 0 0; }
    NewRunScreen Horizontal > Input { width: 10; margin: 1 3 0 0; }
    NewRunScreen .line > Label { margin: 0 1 0 0; }
    NewRunScreen .line > Input { width: 1fr; margin: 0; }
    NewRunScreen #taken { color: $foreground 60%; height: 1; }
    NewRunScreen #says { color: $error; height: auto; margin: 1 0 0 0; display: none; }
    NewRunScreen #says.-calm { color: $foreground 60%; }
    """

    def __init__(self, draft: Form, keep: Callable[[Form], None]) -> None:
        """`draft` is what the form begins with; `keep` is told what stands in it when it is left undone."""
        super().__init__()
        self._draft = draft
        self._keep = keep
        self._starting = False

    def compose(self) -> ComposeResult:
        draft = self._draft
        with VerticalScroll(can_focus=False) as box:
            box.border_title = "New run"
            box.border_subtitle = "ctrl+s starts · tab next field · esc back"
            yield Label("Directory: made where it isn't there; a project in it is fine")
            yield Input(draft.directory, id="directory", compact=True)
            yield Label("What to build: say it, or name a file that does")
            yield TextArea(draft.what, id="what", soft_wrap=True, tab_behavior="focus", compact=True)
            yield Static(id="taken")
            with Horizontal(classes="line"):
                yield Label("Preset")
                yield Input(draft.preset, id="preset", placeholder=_choice(PRESETS), compact=True)
            with Horizontal(classes="line"):
                yield Label("Mode  ")
                yield Input(draft.mode, id="mode", placeholder=_choice(MODES), compact=True)
            with Horizontal():
                yield Label("Features")
                yield Input(draft.features, id="features", placeholder="200", compact=True)
                yield Label("US dollars at most")
                yield Input(draft.dollars, id="dollars", placeholder=_default_dollars(), compact=True)
            yield Static(id="says")

    def on_mount(self) -> None:
        self.query_one("#directory").focus()

    @on(TextArea.Changed)
    @on(Input.Changed)
    def _say_how_it_is_taken(self) -> None:
        self.query_one("#taken", Static).update(words(taken_as(self._typed())))

    def _typed(self) -> Form:
        values = {field.id: safe(field.value) for field in self.query(Input)}
        return Form(
            directory=values["directory"],
            what=safe(self.query_one(TextArea).text),
            features=values["features"],
            dollars=values["dollars"],
            preset=values["preset"],
            mode=values["mode"],
        )

    def on_input_submitted(self) -> None:
        self.focus_next()

    def action_back(self) -> None:
        if not self._starting:
            self._keep(self._typed())
            self.dismiss(None)

    def action_leave(self) -> None:
        """Leave the console."""
        if not self._starting:
            self.app.exit(0)

    def action_start(self) -> None:
        # After the keys that a field has still to take in.
        (self.focused or self).call_later(self._take)

    def _take(self) -> None:
        if self._starting:
            return
        self._starting = True
        self._say("starting the engine …", calm=True)
        self._start(self._typed())

    def _refused(self, why: str) -> None:
        self._starting = False
        self._say(why)

    @aside("starting the run", broke=_refused)
    def _start(self, form: Form) -> None:
        try:
            with request(form) as wanted:
                engine = Detached(wanted, fast=False)
        except (LongwatchError, OSError) as error:
            self.app.call_from_thread(self._refused, str(error))
        else:
            self.app.call_from_thread(self.dismiss, engine)

    def _say(self, text: str, *, calm: bool = False) -> None:
        says = self.query_one("#says", Static)
        says.update(words(text))
        says.set_class(calm, "-calm")
        says.display = bool(text)


def _choice(names: Iterable[str]) -> str:
    """The first of them holds where nothing is said."""
    first, *others = names
    return f"{first}, or {', '.join(others)}"


def _default_dollars() -> str:
    return f"{KEY_MAX_USD:g}" if os.environ.get("ANTHROPIC_API_KEY") else "no limit"

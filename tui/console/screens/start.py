"""The start screen: a new run, the runs that are there, the demo, the doctor."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from harness_core import __version__
from harness_core.errors import LongwatchError
from harness_core.layout import RunDir
from harness_core.record.state import Lifecycle
from harness_core.request import Request
from harness_core.safe import one_line
from tui import new_run, recent
from tui.console import ages, hints, keys, launching
from tui.console.aside import aside
from tui.console.cards.prompt import PromptCard
from tui.console.head import PILLS
from tui.console.line_list import LineList, Row
from tui.console.screens.doctor import DoctorScreen
from tui.console.screens.new_run import NewRunScreen
from tui.console.sinks import MUTED, line, words
from tui.launch import Detached, demo_request
from tui.new_run import Form
from tui.settings import Settings

LOOK_EVERY = 2.0
"""Seconds between two looks at where the runs stand."""
_UNSETTLED = frozenset(
    (
        Lifecycle.STARTING,
        Lifecycle.RUNNING,
        Lifecycle.WAITING_APPROVAL,
        Lifecycle.WAITING_LIMIT,
        Lifecycle.STOPPING,
    )
)
"""What can change without a word in the journal: an engine may die."""


class Runs(LineList, inherit_bindings=False):
    """The runs, with where each stands."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.LIST)

    async def action_filter(self) -> None:
        await PromptCard("Show only", self.filtered, self.sift).put_up(self.screen)


class StartScreen(Screen[None]):
    """Stands first when no run is named."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.START)
    DEFAULT_CSS = """
    StartScreen #title { height: 2; padding: 0 2; margin: 1 0 0 0; }
    StartScreen #box {
        height: 1fr; margin: 1 1 0 1; padding: 0 1;
        border: round $primary; border-title-color: $primary; border-title-style: bold;
        border-subtitle-color: $text-muted;
    }
    StartScreen #says { height: auto; max-height: 4; padding: 0 2; color: $error; display: none; }
    StartScreen #says.-calm { color: $foreground 60%; }
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._known: dict[str, recent.Known] = {}
        self._runs: list[RunDir] = []
        self._starting = False
        self._unsure = False
        """Whether it is unknown where some of the runs stand, and stays so."""
        self._draft = Form()
        """What was typed for a new run, and not started."""

    def compose(self) -> ComposeResult:
        yield Static(_title(), id="title")
        with Container(id="box") as box:
            box.border_title = "Runs"
            yield Runs(empty="looking for runs …", id="runs")
        yield Static(id="says")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(Runs).focus()
        self.action_again()
        self._looking = self.set_interval(LOOK_EVERY, self._look)

    def on_screen_suspend(self) -> None:
        self._looking.pause()

    def on_screen_resume(self) -> None:
        self._looking.resume()

    # --- The runs ---------------------------------------------------------------------------------------

    def action_again(self) -> None:
        """Look for runs anew."""
        self._find()

    def _list(self, empty: str) -> None:
        """Show the runs, or a sentence where there are none."""
        self.query_one(Runs).empty = empty
        self._show()

    @aside("looking for runs", exclusive=True, group="find", broke=_list)
    def _find(self) -> None:
        found = recent.candidates(Path.cwd())
        self.app.call_from_thread(self._found, found)
        launching.load_run()

    def _found(self, found: list[RunDir]) -> None:
        self._runs = found
        shown = hints.of(self)
        offer = f"{shown['new']} starts one, {shown['demo']} shows one."
        self._list(f"No run is here, none was opened lately. {offer}")
        self._look()

    def _lost_look(self, why: str) -> None:
        self._unsure = True
        self._show()

    @aside("looking where the runs stand", exclusive=True, group="look", broke=_lost_look)
    def _look(self) -> None:
        before = self._known
        after = {}
        for run in self._runs:
            name = str(run.root)
            known = before.get(name)
            if known is None or known.lifecycle in _UNSETTLED or known.changed != recent.changed(run):
                known = recent.look(run)
            after[name] = known
        if after != before:
            self.app.call_from_thread(self._looked, after)

    def _looked(self, known: dict[str, recent.Known]) -> None:
        self._known, self._unsure = known, False
        self._show()

    def _show(self) -> None:
        here, unknown = Path.cwd(), "?" if self._unsure else "…"
        rows = [
            Row(str(run.root), _row(run, self._known.get(str(run.root)), here, unknown)) for run in self._runs
        ]
        self.query_one(Runs).show(rows)

    def on_line_list_opened(self, event: LineList.Opened) -> None:
        known = self._known.get(event.key)
        if known is not None and known.wrong:
            self._say(known.wrong)
        elif recent.holds_run(Path(event.key)):
            self._open(RunDir(Path(event.key)))
        else:
            self._say(f"{event.key} holds no run any more")
            self.action_again()

    def _open(self, run: RunDir) -> None:
        self.app.open_run(launching.opened(run))  # type: ignore[attr-defined]

    # --- What starts ------------------------------------------------------------------------------------

    def action_new(self) -> None:
        self._say("")
        self.app.push_screen(NewRunScreen(self._draft, self._keep), self._started)

    def _keep(self, draft: Form) -> None:
        self._draft = draft

    def action_demo(self) -> None:
        if not self._starting:
            self._starting = True
            self._say("starting the demo …", calm=True)
            self._demo()

    def _refused(self, why: str) -> None:
        self._starting = False
        self._say(why)

    @aside("starting the demo", broke=_refused)
    def _demo(self) -> None:
        directory = new_run.demo_directory(Path.cwd())
        request: Request = demo_request(str(directory), console=True)
        try:
            engine = Detached(request, fast=False)
        except (LongwatchError, OSError) as error:
            self.app.call_from_thread(self._refused, str(error))
        else:
            self.app.call_from_thread(self._started, engine)

    def _started(self, engine: Detached | None) -> None:
        self._starting = False
        self._say("")
        if engine is not None:
            self._draft = Form()
            for note in engine.notes:
                self.notify(one_line(note), markup=False)
            self._open(engine.run)

    # --- The rest ---------------------------------------------------------------------------------------

    def action_doctor(self) -> None:
        self.app.push_screen(DoctorScreen())

    def action_help(self) -> None:
        from tui.console.screens.help import HelpScreen  # noqa: PLC0415

        self.app.push_screen(HelpScreen())

    def action_leave(self) -> None:
        if self._starting:
            self._say("an engine is being started: a moment", calm=True)
        else:
            self.app.exit(0)

    def _say(self, text: str, *, calm: bool = False) -> None:
        says = self.query_one("#says", Static)
        says.update(words(text))
        says.set_class(calm, "-calm")
        says.display = bool(text)


def _title() -> Content:
    name = Content.assemble(("Longwatch", "bold $primary"), (f"  {__version__}", MUTED))
    return Content("\n").join(
        [name, Content.styled("Agents that build for hours: watch, steer, stop.", MUTED)]
    )


def _row(run: RunDir, known: recent.Known | None, here: Path, unknown: str) -> Content:
    """A run on one line: where it stands, how far it is, when something last happened, where it lies."""
    place = line(_place(run.root, here))
    if known is None:
        return Content.assemble((f"{unknown:42}", MUTED), place)
    if known.wrong:
        return Content.assemble((f"{'✗ unreadable':42}", "$error"), place)
    pill = PILLS[Lifecycle(known.lifecycle)]
    count = f"{known.passing}/{known.total}" if known.total else "-"
    return Content.assemble(
        (f"{pill.glyph} {pill.words:20}", pill.style),
        (f"{count:>8}", "$success" if known.total and known.passing == known.total else ""),
        (f"{ages.short(time.time() - known.changed):>10}", MUTED),
        "  ",
        place,
    )


def _place(root: Path, here: Path) -> str:
    if root == here:
        return f". ({root.name})"
    if root.is_relative_to(here):
        return os.path.relpath(root, here)
    home = Path.home()
    return f"~/{root.relative_to(home)}" if root.is_relative_to(home) else str(root)

"""A run: its head, its panes, and the keys of the operator."""

from __future__ import annotations

import gc
import time
from typing import ClassVar

import click
from textual import on
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Footer, Static

from harness_core.errors import LongwatchError
from harness_core.layout import RunDir
from harness_core.limits import usage
from harness_core.operator.control import SteerMode
from harness_core.safe import one_line
from tui.console import hints, keys
from tui.console.aside import aside
from tui.console.attention import Attention
from tui.console.cards.choice import ChoiceCard, Option
from tui.console.facts import Facts, Feed, Looker
from tui.console.head import Head, first_line
from tui.console.panes.evidence import EvidencePane
from tui.console.panes.features import FeaturesPane
from tui.console.panes.git import GitPane
from tui.console.panes.pane import Pane
from tui.console.panes.progress import ProgressPane
from tui.console.panes.stream import StreamPane
from tui.console.screens.answering import WAYS, AnsweringScreen
from tui.console.sinks import words
from tui.console.tabs import Tabs
from tui.settings import Settings

POLL = 1 / 30
"""Seconds between two looks at the journal."""
REST = 0.1
"""Seconds without a look in a rush of events, in which keys are served."""
WATCH_AGAIN = 2.0
"""Seconds after which files are watched again, where that has broken down."""
ORDERS = {
    "-narrow": ("stream", "features", "progress", "git", "evidence"),
    "-normal": ("features", "stream", "git", "evidence", "progress"),
    "-wide": ("features", "stream", "progress", "git", "evidence"),
}
"""The panes as the grid takes them, by the width of the terminal."""
TABS = ORDERS["-narrow"]
PANES = {pane.NAME: pane for pane in (StreamPane, FeaturesPane, ProgressPane, GitPane, EvidencePane)}
MODES: dict[str, SteerMode] = {"now": "now", "next session": "next"}
SMALLEST = (80, 24)


class RunScreen(AnsweringScreen):
    """Watches one run. Whatever happens here, the run goes on."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.RUN)
    PALETTE = (keys.RUN, keys.LINES, keys.STREAM, keys.PROGRESS, keys.EVIDENCE)
    """What the palette has at any time."""

    def __init__(self, run: RunDir, settings: Settings, feed: Feed | None = None) -> None:
        super().__init__(run)
        self._settings = settings
        self._feed = feed or Feed(run)
        self._shown = "stream"
        self._begun = False
        self._rests_until = 0.0

    # --- What stands where ----------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        # Textual sets this class after the first picture, which would stand otherwise until then.
        width, widths = self.app.size.width, self.app.HORIZONTAL_BREAKPOINTS or []
        layout = next((name for least, name in reversed(widths) if width >= least), "-narrow")
        self.add_class(layout)
        yield Head()
        yield Tabs(TABS)
        with Container(id="panes"):
            for name in ORDERS[layout]:
                yield PANES[name](self.run_dir)
        yield Vertical(id="cards")
        yield Static(id="too-small")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._attention = Attention(self.app, self._settings)
        self.action_pane("stream")
        self._poll()
        # Nothing is drawn before the app is ready, and what the other panes do would put that off.
        self.app.call_later(self.call_after_refresh, self._begin)

    def _begin(self) -> None:
        """Let all panes look: the head and the stream are on the screen."""
        # What the first look has made stays as well: no collection has to go through it, which takes 50 ms.
        gc.freeze()
        gc.enable()
        self._begun = True
        if self.facts is not None:
            self._show(self.facts)
        self.set_interval(POLL, self._poll)
        self._watch()

    def on_resize(self) -> None:
        self.call_after_refresh(self._arrange)

    def _arrange(self) -> None:
        size = self.app.size
        small = size.width < SMALLEST[0] or size.height < SMALLEST[1]
        self.set_class(small, "-too-small")
        self._say_too_small()
        order = next((order for name, order in ORDERS.items() if self.has_class(name)), TABS)
        self.query_one("#panes").sort_children(key=lambda pane: order.index(pane.id or ""))

    def _say_too_small(self) -> None:
        if not self.has_class("-too-small"):
            return
        size, facts = self.app.size, self.facts
        need, have = f"{SMALLEST[0]}×{SMALLEST[1]}", f"{size.width}×{size.height}"
        stands = facts is not None and (facts.rests or facts.report.stop.requested)
        shown = hints.of(self)
        keys_do = f"{shown['pause']} {'goes on' if stands else 'pauses the run'}, {shown['stop']} stops it"
        said = f"The console needs {need} characters; here are {have}.\n{keys_do}."
        above = [Content.styled(*first_line(facts)[0])] if facts is not None else []
        self.query_one("#too-small", Static).update(Content("\n").join([*above, words(said)]))

    @property
    def panes(self) -> list[Pane]:
        return list(self.query(Pane))

    @property
    def pane(self) -> Pane:
        """The pane that the keys go to."""
        return self.query_one(f"#{self._shown}", Pane)

    # --- What happens in the run ------------------------------------------------------------------------

    def _poll(self) -> None:
        if time.monotonic() < self._rests_until:
            return
        try:
            facts = self._feed.poll()
        except LongwatchError as error:
            self.app.exit(1, message=f"longwatch: {one_line(str(error))}")
            return
        if facts is None:
            return
        if self._feed.rush:
            self._rests_until = time.monotonic() + REST
        self.facts = facts
        self.query_one(Head).look(facts)
        self._say_too_small()
        self.show_checkpoint(facts)
        self._attention.look(facts)
        self._show(facts)

    def _show(self, facts: Facts) -> None:
        panes = self.panes if self._begun else [self.query_one(StreamPane)]
        for other in (*panes, *self.app.screen_stack):
            if isinstance(other, Looker):
                other.look(facts)

    def _watch_again(self, why: str) -> None:
        self.set_timer(WATCH_AGAIN, self._watch)

    @aside("watching the run's files", exclusive=True, group="files", broke=_watch_again)
    async def _watch(self) -> None:
        from tui.console.watching import changes  # noqa: PLC0415  (costs 10 ms, once the first picture is there)

        async for paths in changes(self.run_dir):
            for pane in self.panes:
                pane.files_changed(paths)

    # --- Panes --------------------------------------------------------------------------------------------

    def action_pane(self, name: str) -> None:
        """Go to a pane."""
        self._shown = name
        for pane in self.panes:
            pane.set_class(pane.id == name, "-shown")
        self.query_one(Tabs).show(name)
        self.pane.focus_inside()

    @on(Tabs.Chosen)
    def _go_to_tab(self, chosen: Tabs.Chosen) -> None:
        self.action_pane(chosen.name)

    @property
    def feature(self) -> str:
        pane = self.pane
        return pane.feature if isinstance(pane, FeaturesPane) else ""

    def action_pane_again(self) -> None:
        self.action_pane(self._shown)

    def action_next_pane(self, step: int) -> None:
        self.action_pane(TABS[(TABS.index(self._shown) + step) % len(TABS)])

    def on_descendant_focus(self) -> None:
        around = self.focused.ancestors_with_self if self.focused else ()
        pane = next((node for node in around if isinstance(node, Pane)), None)
        if pane is not None:
            self._shown = pane.NAME
            if self.facts is not None:
                self.show_checkpoint(self.facts)

    @property
    def answers(self) -> str:
        shown = hints.of(self)
        if self.check_action("iterations", ()) and self.check_action("approve", ()):
            choose = f"{shown['iterations']}, {shown['up']}, {shown['down']} choose"
            look = f"{shown['open']} or {shown['review']} shows it"
            return f"{choose} · {look} · {shown('approve', 'reject')}"
        # A pane's own keys go before those of the run; a review has the run's.
        taken = shown.pressed(*(key.id for key in self.pane.KEYS))
        first = f"{shown['review']}, then "
        ways = (f"{first if shown.pressed(way) & taken else ''}{shown(way)}" for way in WAYS)
        return " · ".join(ways)

    def action_zoom(self) -> None:
        panes = self.query_one("#panes")
        panes.toggle_class("-zoomed")
        self.action_pane(self._shown)

    # --- The operator -------------------------------------------------------------------------------------

    async def action_steer(self) -> None:
        def send(text: str, mode: str) -> str:
            try:
                self.say(self.operator.steer(text, MODES[mode]))
            except LongwatchError as error:
                return str(error)
            return ""

        await self.ask_for_words("Steer the agent", send, tuple(MODES))

    def action_pause(self) -> None:
        facts = self.facts
        if facts is not None and facts.over:
            self.say("the run is over")
        elif facts is not None and (facts.report.stop.requested or (facts.rests and self.operator.ours)):
            self._go_on()
        else:
            self.say(self.operator.pause())

    @aside("going on")
    def _go_on(self) -> None:
        try:
            self.operator.go_on()
        except (LongwatchError, OSError) as error:
            self.app.call_from_thread(self.say, str(error), wrong=True)
        else:
            self.app.call_from_thread(self.say, "the stop is cleared: the run goes on")

    @aside("ending the run")
    def _end_all(self, *, and_leave: bool = False) -> None:
        left = self.operator.end()
        said = f"still alive: {', '.join(left)}" if left else "nothing of the run is alive any more"
        self.app.call_from_thread(self.say, said, wrong=bool(left))
        if and_leave:
            self.app.call_from_thread(self.app.exit, 0)

    async def action_stop(self) -> None:
        operator = self.operator
        options = [
            Option("f", "finish the feature in hand, then stop", lambda: self.say(operator.finish())),
            Option(
                "p",
                "pause: no tool call starts while AGENT_STOP is there",
                lambda: self.say(operator.pause()),
            ),
            Option("n", "now: end the engine and every process of the run", self._end_all, grave=True),
        ]
        if not operator.ours:
            # Its processes aren't Longwatch's to end, and only AGENT_STOP is a convention among harnesses.
            asks = "write AGENT_STOP; the other harness has to heed it"
            options = [Option("p", asks, lambda: self.say(operator.pause()))]
        await self.ask(ChoiceCard("Stop the run?", options))

    async def action_leave(self) -> None:
        over = self.facts is not None and self.facts.state.ended
        unsaved = f"Your text of {', '.join(self.drafts)} isn't saved." if self.drafts else ""
        if over or not self.operator.alive:
            if not unsaved:
                self.app.exit(0)
                return
            leave = Option("d", "leave, and lose it", lambda: self.app.exit(0))
            await self.ask(ChoiceCard(f"Leave? {unsaved}", [leave]))
            return
        await self.ask(
            ChoiceCard(
                f"Leave? The run is alive. {unsaved}".rstrip(),
                (
                    Option("d", "detach: the run goes on", lambda: self.app.exit(0)),
                    Option("f", "finish this feature, then stop", self._finish_and_leave),
                    Option(
                        "n", "stop now and end everything", lambda: self._end_all(and_leave=True), grave=True
                    ),
                ),
            )
        )

    def _finish_and_leave(self) -> None:
        self.operator.finish()
        self.app.exit(0, message="The run stops after the feature in hand.")

    def action_help(self) -> None:
        from tui.console.screens.help import HelpScreen  # noqa: PLC0415

        self.app.push_screen(HelpScreen())

    def action_costs(self) -> None:
        from tui.console.screens.costs import CostsScreen  # noqa: PLC0415

        if self.facts is not None:
            self.app.push_screen(CostsScreen(self.facts))

    async def action_limits(self) -> None:
        from tui.console.cards.limits import LimitsCard  # noqa: PLC0415

        if self.facts is None:
            return
        if not self.operator.ours:
            self.say("another harness drives this run: Longwatch sets it no limits")
            return
        shown = usage(self.facts.report.limits, self.facts.state)
        await self.ask(LimitsCard(shown, self._change_limits))

    def _change_limits(self, changed: dict[str, float | None]) -> None:
        self.operator.change_limits(changed)
        self.say("asked for" if self.operator.alive else "asked for: it holds from the next start on")

    def action_brief(self) -> None:
        from tui.console.screens.brief import BriefScreen  # noqa: PLC0415

        if self.facts is not None:
            self.app.push_screen(BriefScreen(self.run_dir, self.facts))

    def action_trace(self) -> None:
        from tui.console.screens.trace import TraceScreen  # noqa: PLC0415

        self.app.push_screen(TraceScreen(self.run_dir))

    def action_copy(self) -> None:
        text = self.pane.copied()
        if text:
            self.app.copy_to_clipboard(text)
            self.say("copied")

    def action_edit(self) -> None:
        path = self.pane.subject()
        if path is None:
            self.say("there is no file to edit here")
            return
        try:
            with self.app.suspend():
                click.edit(filename=str(path))
        except (SuspendNotSupported, click.ClickException) as error:
            self.say(f"no editor: {error}", wrong=True)

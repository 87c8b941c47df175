"""What waits for the operator, in a few lines, and the keys that answer it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from harness_core.operator.control import Checkpoint
from harness_core.record.events import Verdict
from harness_core.steps.iterations import best
from tui.console import hints
from tui.console.cards.iterations import Iterations
from tui.console.hints import Hints
from tui.console.line_list import LineList
from tui.console.sinks import MUTED, line, words

_FINDINGS = 3
"""Findings that the card has room for; the review has them all."""


class CheckpointCard(Vertical):
    """Stays until the question is answered. It takes no keys, so that the stream can be read; but the
    iterations of a design do, for one is to be chosen."""

    DEFAULT_CSS = """
    CheckpointCard {
        height: auto;
        max-height: 10;
        padding: 0 1;
        border: round $warning;
        border-title-color: $warning;
        border-title-style: bold;
        background: $surface;
    }
    CheckpointCard.-design { max-height: 15; }
    """

    def __init__(self, asked: Checkpoint, verdict: Verdict | None, answers: str) -> None:
        """`answers` says how to answer."""
        super().__init__()
        self._answers = answers
        self._overrides: tuple[str, ...] = ()
        self._rests = False
        self.asked = asked
        self._verdict = verdict
        self.border_title = line(f"? checkpoint {asked.id} · {asked.kind}")
        self.iterations = Iterations(asked.iterations) if asked.iterations else None
        self.set_class(self.iterations is not None, "-design")

    def compose(self) -> ComposeResult:
        if self.iterations is not None:
            yield Static(words(self.asked.summary, "bold"))
            yield self.iterations
        yield Static(self._said(), id="said")

    @property
    def choice(self) -> int | None:
        """The iteration that is to stand if the operator agrees; None where there is none to choose."""
        return int(self.iterations.cursor_key) if self.iterations else None

    def on_line_list_moved(self, moved: LineList.Moved) -> None:
        moved.stop()
        self._say()

    async def on_line_list_opened(self, opened: LineList.Opened) -> None:
        opened.stop()
        await self.run_action("screen.review")

    def show(self, *, overrides: Sequence[str], rests: bool, answers: str) -> None:
        """Take in what would go with an answer, whether one waits for an engine, and how to answer."""
        now = tuple(overrides), rests, answers
        if now != (self._overrides, self._rests, self._answers):
            self._overrides, self._rests, self._answers = now
            self._say()

    def _say(self) -> None:
        for said in self.query("#said").results(Static):
            said.update(self._said())

    def _said(self) -> Content:
        shown = hints.of(self)
        rows = self._of_design() if self.iterations else self._of_work()
        more = 0 if self.iterations else len(self.asked.findings) - _FINDINGS
        if self._overrides:
            rows.append(overridden(self._overrides, shown))
        if self._rests:
            start = f"no engine runs: {shown['pause']} starts one, which takes up your answer"
            rows.append(words(start, "$warning"))
        rest = f"{more} more findings · " if more > 0 else ""
        rows.append(words(rest + self._answers, MUTED))
        return Content("\n").join(rows)

    def _of_work(self) -> list[Content]:
        rows = [words(self.asked.summary, "bold")]
        if self._verdict is not None and self._verdict.scores:
            rows.append(scores_line(self._verdict))
        rows.extend(line(f"✗ {finding}", "$warning", 200) for finding in self.asked.findings[:_FINDINGS])
        return rows

    def _of_design(self) -> list[Content]:
        top = best(self.asked.iterations).number
        which = "it is the best one" if self.choice == top else f"the best one is {top}"
        return [words(f"iteration {self.choice} stands when you approve: {which}", "bold $accent")]


def overridden(criteria: Sequence[str], shown: Hints) -> Content:
    """What the operator's answer says of the evaluator, and how to take that back."""
    back = f"({shown['override']} takes it back)"
    return line(f"↷ you override: {', '.join(criteria)} {back}", "bold $accent")


def scores_line(verdict: Verdict) -> Content:
    """The evaluator's scores on one line."""
    listed = " · ".join(f"{score.criterion} {score.score:g}" for score in verdict.scores)
    total = f" {verdict.total:.3g} of 10" if verdict.total is not None else ""
    return line(f"⚖ {verdict.verdict}{total}  {listed}")

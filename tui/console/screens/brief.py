"""What happened since the operator last looked, and first what waits for him."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping

from textual.content import Content
from textual.message import Message

from harness_core.contract.record import Status
from harness_core.layout import RunDir
from harness_core.reading import burnup
from harness_core.record.state import PASSING, Lifecycle
from tui.console import ages, hints, since
from tui.console.aside import aside
from tui.console.facts import Facts
from tui.console.head import PILLS, amount
from tui.console.hints import Hints
from tui.console.looks import LOOKS
from tui.console.screens.page import Page
from tui.console.since import Brief
from tui.console.sinks import MUTED, line, words

WIDEST = 160
NAMED = 12
"""So many features of a sort are named."""
_WAITING = frozenset(
    (Lifecycle.WAITING_APPROVAL, Lifecycle.STOPPED, Lifecycle.FAILED, Lifecycle.LOST, Lifecycle.WAITING_LIMIT)
)


class BriefScreen(Page):
    """Closing it counts as having looked."""

    DEFAULT_CSS = """
    BriefScreen > VerticalScroll { width: 100; }
    BriefScreen #page { text-wrap: nowrap; text-overflow: ellipsis; }
    """

    class Told(Message):
        """The journal was read."""

        def __init__(self, told: Brief) -> None:
            super().__init__()
            self.told = told

    def __init__(self, run: RunDir, facts: Facts) -> None:
        super().__init__()
        self._run_dir = run
        self._facts = facts
        self._told: Brief | None = None
        self._broken = ""

    def title_line(self) -> Content:
        return Content("Since you last looked")

    def on_mount(self) -> None:
        self._read(self._facts.state.run_id)

    def _lost(self, why: str) -> None:
        self._broken = why
        self.refresh_page()

    @aside("reading the journal", broke=_lost)
    def _read(self, run_id: str) -> None:
        self.post_message(self.Told(since.brief(self._run_dir, since.last_seen(run_id))))

    def on_brief_screen_told(self, message: Told) -> None:
        self._told = message.told
        self.refresh_page()

    def lines(self) -> Iterator[Content]:
        yield from waiting(self._facts, hints.of(self))
        if self._broken:
            yield words("\n".join(textwrap.wrap(self._broken, 90)), "$error")
        elif self._told is None:
            yield words("reading the journal …", MUTED)
        else:
            yield from happened(self._told)

    def action_close(self) -> None:
        if self._told is not None:
            since.remember(self._facts.state.run_id, self._told.end)
        self.dismiss()


def waiting(facts: Facts, shown: Hints) -> Iterator[Content]:
    """What the run waits for, the operator's part first."""
    report = facts.report
    state = Lifecycle(report.lifecycle)
    pill = PILLS[state]
    asked = report.checkpoint
    yield words(f"{pill.glyph} {pill.words}", f"bold {pill.style}")
    if asked is not None:
        opened = burnup.seconds(asked.opened)
        long = f", for {ages.spoken(time.time() - opened)}" if opened else ""
        answer = f"{shown['approve']} or {shown['reject']}"
        waits = f"  checkpoint {asked.id} ({asked.kind}) waits for {answer}{long}: {asked.summary}"
        yield line(waits, "", WIDEST)
    elif state in _WAITING and report.reason:
        yield line(f"  {report.reason}", "", WIDEST)
    if report.contract_error:
        yield line(f"  ✗ {report.contract_error}", "$error", WIDEST)
    unheard = report.steering.queued - report.steering.acknowledged
    if unheard > 0:
        yield words(f"  ✎ {unheard} of your messages not yet acknowledged", "$warning")
    yield Content("")


def happened(told: Brief) -> Iterator[Content]:
    """The brief itself."""
    at = burnup.seconds(told.start.ts)
    ago = f"In the last {ages.spoken(time.time() - at)}" if at else "Since the run began"
    if told.end.seq == told.start.seq:
        yield words(
            "Nothing has happened since you last looked." if at else "Nothing has happened yet.", MUTED
        )
        return
    cost = f"{_count(told.sessions, 'session')} ended, {told.turns} turns, {amount(told.tokens)} tokens"
    yield words(f"{ago}: {cost}, ${told.usd:.2f}", "bold")
    yield from _features(told)
    yield from _part("verdicts", _summed(told.verdicts), told.refuted, "$warning")
    yield from _part("checkpoints", "", told.decided)
    yield from _part("steering", _summed(told.steering), ())
    yield from _part(
        "tampered", _count(len(told.tampered), "time") if told.tampered else "", told.tampered, "$error"
    )
    yield from _part("denied", _summed(told.denials, " by"), ())
    more = told.trouble_count - len(told.troubles)
    yield from _part("troubles", f"and {more} before these" if more else "", told.troubles, "$error")
    shown = [f"{commit.sha[:8]} {commit.subject}" for commit in told.commits]
    yield from _part("commits", str(told.commit_count) if told.commit_count else "", shown)


def _features(told: Brief) -> Iterator[Content]:
    moved: dict[Status, list[str]] = {}
    for name, (_, to) in told.changed.items():
        moved.setdefault(to, []).append(name)
    gained = sum(to in PASSING and before not in PASSING for before, to in told.changed.values())
    lost = sum(before in PASSING and to not in PASSING for before, to in told.changed.values())
    if not moved:
        return
    yield from _part("features", f"+{gained} pass" + (f", {lost} no longer" if lost else ""), ())
    for status, look in LOOKS.items():
        names = moved.get(status, [])
        if names:
            rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            listed = line(", ".join(names[:NAMED]), width=WIDEST).plain
            yield words(f"{'':13}{look.glyph} {status.value}: {listed}{rest}", look.style)


def _part(name: str, summary: str, items: Iterable[str], style: str = "") -> Iterator[Content]:
    """A line for a sort of thing, then its newest, one a line; nothing when there is none."""
    listed = list(items)
    if not summary and not listed:
        return
    head = summary or listed.pop(0)
    yield Content.assemble((f"{name:>11}  ", MUTED), line(head, style if not summary else "", WIDEST))
    for item in listed:
        yield Content.assemble(" " * 13, line(item, style, WIDEST))


def _summed(counts: Mapping[str, int], by: str = "") -> str:
    return ", ".join(f"{count}{by} {line(name, width=24).plain}" for name, count in counts.items())


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"

"""One feature: what it promises, where it stands, and what that rests on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from textual.content import Content
from textual.message import Message

from harness_core.contract.record import Feature
from harness_core.layout import RunDir
from harness_core.reading.burnup import clock, seconds
from harness_core.reading.contract_view import Standing
from harness_core.reading.feature_story import Bound, Story, Work, findings_on
from harness_core.record import events as ev
from tui.console import ages
from tui.console.aside import aside
from tui.console.evidence_words import size_of
from tui.console.looks import LOOKS
from tui.console.screens.page import Page
from tui.console.sinks import MUTED, line, words

LONGEST = 8000
"""Characters of one text that are shown."""
POLL = 1.0
PATHS = 30
"""Cells that the names of evidence have at least."""
Styled = tuple[str, str]


class FeatureScreen(Page):
    """Covers the panes; escape or q goes back. Stays true while the run goes on."""

    DEFAULT_CSS = """
    FeatureScreen {
        background: $background;
        & > VerticalScroll {
            width: 100%; height: 1fr; max-height: 100%; padding: 0 1; background: $background;
        }
    }
    """

    class Read(Message):
        """The journal was read on."""

    def __init__(self, run: RunDir, standing: Standing, feature: Feature | None) -> None:
        super().__init__()
        self._standing = standing
        self._feature = feature
        self._story = Story(run, standing.id)
        self._reading = False
        self._read_once = False
        self._broken = ""
        """Why not all of the journal could be read."""

    def title_line(self) -> Content:
        return line(self._standing.id, width=60)

    def on_mount(self) -> None:
        self._read_on()
        self.set_interval(POLL, self._read_on)

    def restate(self, standings: Mapping[str, Standing]) -> None:
        """Take in where the features stand now."""
        standing = standings.get(self._standing.id, self._standing)
        if standing != self._standing:
            self._standing = standing
            self.refresh_page()

    def _read_on(self) -> None:
        if not self._reading and (self._story.behind or not self._read_once):
            self._reading = True
            self._read()

    def _lost(self, why: str) -> None:
        self._broken = why
        self.on_feature_screen_read()

    @aside("reading the feature's story", broke=_lost)
    def _read(self) -> None:
        self._story.read_on()
        self.post_message(self.Read())

    def on_feature_screen_read(self) -> None:
        self._reading = False
        self._read_once = True
        self.refresh_page()

    def copied(self) -> str:
        return f"{self._standing.id}  {super().copied()}"

    def lines(self) -> Iterator[Content]:
        standing, feature = self._standing, self._feature
        look = LOOKS[standing.status]
        head: list[Styled] = [(f"{look.glyph} {standing.status.value}", look.style)]
        if standing.in_hand:
            head.append(("  ▶ in hand", "bold $primary"))
        if standing.category:
            head.append((f"  {line(standing.category, width=40).plain}", MUTED))
        if standing.attempts:
            fruitless = f"  {standing.attempts} attempt{'s' if standing.attempts > 1 else ''} without success"
            head.append((fruitless, "$warning"))
        yield Content.assemble(*head)
        yield Content("")
        yield words(standing.description[:LONGEST] or "Its text can't be read.", "bold")
        if standing.note:
            yield Content("")
            yield words(standing.note[:LONGEST], "$warning")
        yield from _section("Steps", _steps(feature))
        if not self._read_once:
            yield Content("")
            yield words("reading the journal …", MUTED)
            return
        if self._broken:
            yield Content("")
            yield words(self._broken, "$error")
        story = self._story
        yield from _section("Evidence", (_evidence(bound, standing.id) for bound in story.evidence[::-1]))
        yield from _section("Verdicts", (_verdict(item, standing.id) for item in story.verdicts[::-1]))
        yield from _section("Sessions", (_session(item) for item in story.sessions[::-1]))
        yield from _section("Commits", (_commit(item) for item in story.commits[::-1]))
        yield from _section("History", (_change(item) for item in story.changes[::-1]))


def _section(title: str, items: Iterable[Content]) -> Iterator[Content]:
    """A title and what belongs to it; nothing when that is nothing."""
    listed = list(items)
    if listed:
        yield Content("")
        yield words(title, "bold $primary")
        yield from listed


def _steps(feature: Feature | None) -> Iterator[Content]:
    for number, step in enumerate(feature.steps if feature else (), 1):
        yield Content.assemble((f"{number:>3} ", MUTED), words(step[:LONGEST]))


def _evidence(bound: Bound, feature: str) -> Content:
    piece = bound.piece
    path = line(piece.path, width=60)
    age = ages.spoken(time.time() - piece.mtime_ns / 1e9)
    parts: list[Content | Styled] = [
        ("  ", ""),
        path.pad_right(max(0, PATHS - path.cell_length)),
        (f"  {line(piece.sha256, width=13).plain:13}  {size_of(piece.size):>9}  {age:>7} old", MUTED),
    ]
    if bound.claimed_by != feature:
        parts.append((f"  claimed with {line(bound.claimed_by, width=24).plain}", MUTED))
    elif piece.also_for:
        others = ", ".join(name for name in piece.also_for if name != feature)
        parts.append((f"  also for {line(others, width=40).plain}", MUTED))
    return Content.assemble(*parts)


def _verdict(verdict: ev.Verdict, feature: str) -> Content:
    passed = verdict.verdict == "PASS"
    style = "$success" if passed else "$error"
    scores = ", ".join(f"{line(one.criterion, width=24).plain} {one.score:g}" for one in verdict.scores[:8])
    lines = [
        Content.assemble(
            ("  ", ""),
            (f"{'✓ PASS' if passed else '✗ NEEDS WORK'}", style),
            (f"  {_when(verdict.ts)}", MUTED),
        ),
    ]
    if scores:
        lines.append(words(f"    {scores}", MUTED))
    for found in findings_on(verdict, feature)[:20]:
        lines.append(
            Content.assemble(
                (f"    {line(found.severity, width=12).plain}: ", "$warning"), words(found.where[:LONGEST])
            )
        )
        if found.reproduce:
            lines.append(words(f"      to see it: {found.reproduce[:LONGEST]}", MUTED))
    return Content("\n").join(lines)


def _session(item: Work) -> Content:
    ended = line(item.reason, width=40).plain or "open"
    text = f"  {item.number:>3} {item.role:10} {_when(item.started)}  {ended}"
    if item.reason:
        text += f", {clock(item.ms / 1000)}, {item.turns} turns, ${item.usd:.2f}"
    denied = f", {item.denials} denied" if item.denials else ""
    return Content.assemble(words(text), (denied, "$warning"))


def _commit(commit: ev.Commit) -> Content:
    return Content.assemble((f"  {line(commit.sha[:8]).plain} ", "$accent"), line(commit.subject, width=200))


def _change(change: ev.FeatureChanged) -> Content:
    before, after = LOOKS[change.from_], LOOKS[change.to]
    return Content.assemble(
        (f"  {_when(change.ts)}  ", MUTED),
        (f"{before.glyph} {change.from_.value} → ", MUTED),
        (f"{after.glyph} {change.to.value}", after.style),
        (f"  by {line(change.by, width=20).plain}", MUTED),
        words(f"\n    {change.note[:LONGEST]}" if change.note else ""),
    )


def _when(ts: str) -> str:
    """An event's time on the reader's clock."""
    at = seconds(ts)
    return time.strftime("%b %d %H:%M:%S", time.localtime(at)) if at is not None else "?"

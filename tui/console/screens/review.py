"""All that a decision on a checkpoint needs: verdict, scores, findings, evidence, diff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from harness_core.layout import RunDir
from harness_core.operator.control import Checkpoint
from harness_core.reading.evidence_list import Evidence, Listing
from harness_core.record.events import Verdict
from harness_core.safe import one_line
from tui.console import hints, keys, review
from tui.console.aside import aside
from tui.console.cards.checkpoint import overridden
from tui.console.facts import Facts
from tui.console.git_log import NoGit
from tui.console.hanging import Hanging, Rows
from tui.console.hints import Hints
from tui.console.patch import PatchLine
from tui.console.screens.diff import SIGNS, STYLES
from tui.console.scroll import Scroll
from tui.console.sinks import MUTED, line, words

ANSWERS = ("approve", "reject", "override", "skip")


class Piece(Static, can_focus=True):
    """A piece of evidence, with the beginning of its sha256."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "open", "open it")]
    DEFAULT_CSS = """
    ReviewScreen Piece { padding: 0 2; margin-bottom: 0; }
    ReviewScreen Piece:focus { background: $primary 30%; }
    """

    class Opened(Message):
        """It is to be shown."""

        def __init__(self, path: str) -> None:
            super().__init__()
            self.path = path

    def __init__(self, path: str, digest: str) -> None:
        self._path = path
        gone = digest == "gone"
        shown = f"{one_line(path)}  {'is gone' if gone else digest[:12]}"
        super().__init__(words(shown, "$error" if gone else ""))

    def action_open(self) -> None:
        self.post_message(self.Opened(self._path))

    def on_click(self) -> None:
        self.action_open()


class ReviewScreen(Screen[str]):
    """Ends with the answer that the operator goes for, or "" for none yet. Enter never answers."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *keys.bindings([replace(key, hint=True) for key in keys.RUN if key.id in (*ANSWERS, "reword")]),
        Binding("escape,q,v", "dismiss('')", "back"),
    ]
    DEFAULT_CSS = """
    ReviewScreen > VerticalScroll { padding: 0 2; }
    ReviewScreen Static { margin-bottom: 1; }
    ReviewScreen .-evidence { margin-bottom: 0; }
    ReviewScreen #diff { margin-top: 1; }
    ReviewScreen > #asked {
        dock: top; height: 2; padding: 0 1; background: $panel; margin-bottom: 0;
    }
    """

    def __init__(
        self, run: RunDir, asked: Checkpoint, verdict: Verdict | None, overrides: Sequence[str] = ()
    ) -> None:
        """`overrides` are the criteria on which the operator disagrees with the verdict."""
        super().__init__()
        self._run_dir = run
        self._asked = asked
        self._verdict = verdict
        self._overrides = tuple(overrides)
        self._gone = False

    def compose(self) -> ComposeResult:
        yield Static(self._head(), id="asked")
        with Scroll():
            if self._verdict is not None:
                yield Hanging(scores(self._verdict))
                yield Hanging(findings(self._verdict, self._overrides, hints.of(self)))
            yield from self._evidence()
            yield Hanging([("reading the changes …", f"italic {MUTED}")], id="diff")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(Scroll).focus()
        self._read()

    def _evidence(self) -> Iterator[Static]:
        shown = self._asked.evidence
        yield evidence_title(bool(shown))
        for piece in shown:
            path, _, digest = piece.rpartition(" ")
            yield Piece(path, digest)

    @on(Piece.Opened)
    def _open(self, opened: Piece.Opened) -> None:
        self.open_piece(opened.path)

    def open_piece(self, path: str) -> None:
        """Show a piece large."""
        self._look_up(path)

    @aside("looking up the evidence", exclusive=True, group="evidence")
    def _look_up(self, path: str) -> None:
        listing = Evidence(self._run_dir).look(self._asked.features, {path})
        if listing.find(key := f"{path}\0") is None:
            listing = Listing(tuple(item for item in [review.piece(self._run_dir, path)] if item))
        order = [piece.rpartition(" ")[0] + "\0" for piece in self._asked.evidence]
        self.app.call_from_thread(self._show, listing, key, order)

    def _show(self, listing: Listing, key: str, order: Sequence[str]) -> None:
        from tui.console.screens.picture import PictureScreen  # noqa: PLC0415

        self.app.push_screen(PictureScreen(self._run_dir, listing, order, key, lambda _: None))

    def _head(self) -> Content:
        asked = self._asked
        what = f"checkpoint {asked.id} · {asked.kind} · {', '.join(asked.features) or 'the whole'}"
        if self._gone:
            said = "It was answered elsewhere, or put anew: it waits no more. esc back"
            return Content("\n").join([line(f"✓ {what}", "bold"), words(said)])
        return Content("\n").join([line(f"? {what}", "bold $warning"), words(asked.summary)])

    def look(self, facts: Facts) -> None:
        """Say at once that the question waits no more. The page stays: a key that was meant for it must not
        answer the next one."""
        waits = facts.state.checkpoint
        if not self._gone and (waits is None or waits.id != self._asked.id):
            self._gone = True
            for head in self.query("#asked").results(Static):
                head.update(self._head())
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "reword" and not self._asked.features:
            return False
        return not (self._gone and action in (*ANSWERS, "reword"))

    def show_changes(self, rows: Rows) -> None:
        """Show these as what changed."""
        for place in self.query("#diff").results(Hanging):
            place.show(rows)

    def _lost(self, why: str) -> None:
        self.show_changes([(why, "$error")])

    @aside("reading the changes", exclusive=True, broke=_lost)
    def _read(self) -> None:
        try:
            shown = changes(review.diff(self._run_dir, self._asked.features, self._asked.commit))
        except NoGit as error:
            shown = [(str(error), MUTED)]
        self.app.call_from_thread(self.show_changes, shown)

    def action_approve(self) -> None:
        self.dismiss("approve")

    def action_reject(self) -> None:
        self.dismiss("reject")

    def action_override(self) -> None:
        self.dismiss("override")

    def action_reword(self) -> None:
        self.dismiss("reword")

    def action_skip(self) -> None:
        self.dismiss("skip")


def evidence_title(some: bool) -> Static:
    """What stands above the pieces."""
    return Static(
        words("Evidence: tab goes to a piece, enter opens it" if some else "Evidence: none", "bold"),
        classes="-evidence",
    )


def scores(verdict: Verdict) -> Rows:
    """A verdict with its scores and their reasons."""
    total = f" · {verdict.total:.3g} of 10" if verdict.total is not None else ""
    style = "bold $success" if verdict.verdict == "PASS" else "bold $warning"
    head = f"⚖ {verdict.verdict} on {', '.join(verdict.scope) or 'the whole'}{total}"
    return [
        (one_line(head), style),
        *(
            (f"  {one_line(score.criterion):16} {score.score:>4g} of 10   {one_line(score.reason)}", "")
            for score in verdict.scores
        ),
    ]


def findings(verdict: Verdict, overrides: Sequence[str], shown: Hints) -> Rows:
    """What a verdict found wrong; what the operator overrides of it, as such."""
    if not verdict.findings:
        return [("No findings.", MUTED)]
    rows = [("Findings", "bold")]
    if overrides:
        rows.append((overridden(overrides, shown).plain, "bold $accent"))
    for finding in verdict.findings:
        said = f"{finding.feature or 'the whole'} · {finding.criterion} · {finding.severity}"
        goes = finding.criterion in overrides
        rows.append(
            (f"↷ {one_line(said)} · overridden", MUTED) if goes else (f"✗ {one_line(said)}", "$warning")
        )
        rows.append((f"  {one_line(finding.where)}", ""))
        if finding.reproduce:
            rows.append((f"  to see it: {one_line(finding.reproduce)}", MUTED))
    return rows


def changes(lines: Sequence[PatchLine]) -> Rows:
    """A diff, as far as a review has room for it."""
    if not lines:
        return [("No commit belongs to this.", MUTED)]
    rows = [("Changes", "bold")]
    rows.extend((SIGNS.get(item.kind, "") + item.text, STYLES[item.kind]) for item in lines)
    if len(lines) == review.DIFF_LINES:
        rows.append(("cut here: the git pane has the whole", f"italic {MUTED}"))
    return rows

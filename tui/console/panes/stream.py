"""What the agents say and do, as it happens."""

from __future__ import annotations

import json
import re
from pathlib import Path

from textual import events
from textual.app import ComposeResult

from harness_core.layout import RunDir
from harness_core.reading.rows import Look, is_told, lines, short_input, took, tool_name
from harness_core.record import events as ev
from harness_core.safe import one_line, safe
from tui.console import hints
from tui.console.aside import aside
from tui.console.facts import Facts
from tui.console.journal_entries import Entry
from tui.console.journal_layout import Laid
from tui.console.journal_view import JournalView
from tui.console.panes.pane import Pane
from tui.console.sinks import line
from tui.console.wrapping import cells, cut, wrap

LONG_TEXT = 4000
"""Characters of what an agent says that are shown before one opens it."""
BLOB = 64 << 10
"""Bytes of a call's whole output that are shown."""
_TYPED = 3
"""Lines of what is being typed that are in view."""
_SHA = re.compile(r"[0-9a-f]{64}")


class StreamView(JournalView):
    """The stream's lines: each call on one, with what came of it."""

    def __init__(self, run: RunDir) -> None:
        super().__init__(run.journal)
        self._run = run
        self._facts: Facts | None = None
        self._live: object = None
        self._at_work: int | None = None
        """The session in which calls still run."""
        self._blobs: dict[str, str] = {}
        self._wanted = ""
        """The whole output that was asked for last."""

    def look(self, facts: Facts) -> None:
        self._facts = facts
        alive = facts.at_work
        session = facts.state.open_session
        at_work = session.number if session is not None and alive else None
        live = facts.live if alive else None
        if (live, at_work) != (self._live, self._at_work):
            self._live, self._at_work = live, at_work
            self.redraw()
        self.advance()

    def shows(self, entry: Entry) -> bool:
        return is_told(entry.event)

    def laid_by(self, entry: Entry) -> object:
        blob = entry.outcome.blob if entry.outcome else None
        return entry.offset in self.opened, self._runs(entry), blob in self._blobs, self.window.at_end

    def can_open(self, entry: Entry) -> bool:
        event = entry.event
        return isinstance(event, ev.ToolUse | ev.ToolResult) or _is_long(event)

    def action_open(self) -> None:
        super().action_open()
        outcome = self.entry.outcome if self.entry else None
        if outcome is not None and outcome.blob and self.entry and self.entry.offset in self.opened:
            self._wanted = outcome.blob
            self._read_blob(outcome.blob)

    def _lost_blob(self, why: str) -> None:
        self._blob_read(self._wanted, why)

    @aside("reading the whole output", group="blob", broke=_lost_blob)
    def _read_blob(self, sha: str) -> None:
        if sha in self._blobs or not _SHA.fullmatch(sha):
            return
        try:
            with (self._run.blobs / sha).open("rb") as stream:
                data = stream.read(BLOB)
                whole = stream.seek(0, 2)
        except OSError as error:
            text = f"the whole output can't be read ({error.strerror})"
        else:
            text = data.decode("utf-8", "replace")
            if whole > BLOB:
                text += f"\n… cut here, {whole:,} bytes in all: .longwatch/blobs/{sha}"
        self.app.call_from_thread(self._blob_read, sha, text)

    def _blob_read(self, sha: str, text: str) -> None:
        # A handful is all that anybody has open.
        self._blobs = dict([*self._blobs.items()][-7:]) | {sha: text}
        self.redraw()

    # --- Looks -------------------------------------------------------------------------------------

    def lay(self, entry: Entry, width: int) -> list[Laid]:
        event = entry.event
        if isinstance(event, ev.ToolUse | ev.ToolResult | ev.GuardDecision):
            first = self._call(entry, width)
            return [first, *self._inside(entry, width)] if entry.offset in self.opened else [first]
        shown = event
        long = isinstance(event, ev.Text | ev.Thinking) and _is_long(event)
        if isinstance(event, ev.Text | ev.Thinking) and long and entry.offset not in self.opened:
            shown = type(event)(text=event.text[:LONG_TEXT], agent=event.agent)
        laid: list[Laid] = [
            ((look, _ruled(piece, width) if look in (Look.SESSION, Look.SESSION_END) else piece),)
            for look, text in lines(shown)
            for piece in wrap(text.expandtabs(4), width)
        ]
        if shown is not event and isinstance(event, ev.Text | ev.Thinking):
            opens = hints.of(self)["open"]
            laid.append(((Look.DIM, f"  … {opens} shows all {len(event.text):,} characters"),))
        return laid

    def _runs(self, entry: Entry) -> bool:
        event = entry.event
        unfinished = isinstance(event, ev.ToolUse) and entry.outcome is None and entry.denial is None
        return unfinished and self._at_work is not None and event.session == self._at_work

    def _call(self, entry: Entry, width: int) -> Laid:
        """A call: sign, tool, what about, what came of it, and how long it took at the right edge."""
        event = entry.event
        outcome = event if isinstance(event, ev.ToolResult) else entry.outcome
        denial = event if isinstance(event, ev.GuardDecision) else entry.denial
        glyph, look = "⋯", Look.DIM
        came = "" if self._runs(entry) or not self.window.at_end else "no result"
        if denial is not None:
            glyph, look = "⊘", Look.ERROR_HEAD
            came = f"denied ({one_line(denial.guard)}): {one_line(denial.reason, 300)}"
        elif outcome is not None and outcome.ok:
            glyph, came = "·", ""
        elif outcome is not None:
            glyph, look, came = "✗", Look.ERROR, one_line(outcome.output[:1000], 300) or "failed"
        lead = "      ↳ " if getattr(event, "agent", None) else "  "
        name = (
            tool_name(event.tool)
            if isinstance(event, ev.ToolUse | ev.GuardDecision)
            else "a call begun before"
        )
        name = cut(name, max(width // 3, 8))
        about = short_input(event.input, str(self._run.workplace)) if isinstance(event, ev.ToolUse) else ""
        spent = took(outcome.ms) if outcome is not None and denial is None else ""
        room = max(width - len(lead) - 2 - cells(name) - 1 - (len(spent) + 2 if spent else 0), 10)
        about = cut(about, max(room // 2, room - cells(came) - 3) if came else room)
        tail = cut(f"  {came}", max(room - cells(about), 0)) if came else ""
        gap = " " * max(room - cells(about) - cells(tail) + 2, 1) if spent else ""
        return (
            (look, f"{lead}{glyph} "),
            (Look.PLAIN if look is Look.DIM else look, f"{name} "),
            (look, about),
            (Look.ERROR if look is Look.ERROR_HEAD else look, tail),
            (Look.DIM, f"{gap}{spent}"),
        )

    def _inside(self, entry: Entry, width: int) -> list[Laid]:
        """What an opened call shows: when and what was asked, what came back, why it was denied."""
        event = entry.event
        outcome = event if isinstance(event, ev.ToolResult) else entry.outcome
        laid: list[Laid] = []
        if isinstance(event, ev.ToolUse):
            asked = json.dumps(event.input, indent=2, ensure_ascii=False, default=str)
            laid += _block(f"input · {one_line(event.tool)} · {one_line(event.ts)}", asked, width)
        if entry.denial is not None:
            laid += _block(
                f"denied by {one_line(entry.denial.guard)}", entry.denial.reason, width, Look.ERROR
            )
        elif outcome is not None:
            whole = self._blobs.get(outcome.blob or "")
            title = (
                "output" if not outcome.blob or whole else "output · its beginning, the rest is being read"
            )
            look = Look.PLAIN if outcome.ok else Look.ERROR
            laid += _block(title, whole if whole is not None else outcome.output or "(nothing)", width, look)
        return laid

    def last_lines(self) -> list[Laid]:
        """What an agent is typing."""
        live = self._facts.live if self._facts and self._live else None
        if live is None or not live.text:
            return []
        doing = {"text": "writes", "thinking": "thinks"}.get(live.kind, f"prepares {tool_name(live.kind)}")
        count = f" · {live.written} of {live.of} features" if live.written is not None else ""
        width = self.size.width
        text = safe(live.text[-width * (_TYPED + 1) * 2 :]).expandtabs(4)
        typed = [piece for row in text.splitlines() if row.strip() for piece in wrap(f"  {row}", width)]
        head: Laid = ((Look.THOUGHT, cut(f"  ⋯ {one_line(live.role)} {doing}{count} …", width)),)
        return [head, *(((Look.THOUGHT, row),) for row in typed[-_TYPED:])]


def _is_long(event: ev.Event) -> bool:
    return isinstance(event, ev.Text | ev.Thinking) and len(event.text) > LONG_TEXT


def _ruled(text: str, width: int) -> str:
    """A divider, drawn through to the edge."""
    return f"{text} {'━' * max(width - cells(text) - 1, 0)}"


def _block(title: str, text: str, width: int, look: Look = Look.PLAIN) -> list[Laid]:
    """A titled part of an opened call."""
    rows = safe(text).expandtabs(4).splitlines() or [""]
    laid: list[Laid] = [((Look.DIM, cut(f"    ┌ {title}", width)),)]
    for row in rows:
        laid += [((Look.DIM, "    │ "), (look, piece)) for piece in wrap(row, width - 6)]
    return laid


class StreamPane(Pane):
    """The stream, and at its lower edge where one is in it."""

    NAME = "stream"
    TITLE = "Stream"

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self.run_dir = run
        self.view = StreamView(run)
        self._says: tuple[str, str] | None = None

    def compose(self) -> ComposeResult:
        yield self.view

    def look(self, facts: Facts) -> None:
        super().look(facts)
        self.view.look(facts)

    def go_to_seq(self, seq: int) -> None:
        """Show an event in its place, and give the stream the keys."""
        self.view.go_to_seq(seq)
        self.focus_inside()

    def on_journal_view_moved(self, message: JournalView.Moved) -> None:
        message.stop()
        says = self.view.title(self.TITLE), self.view.where()
        if says != self._says:
            self._says = says
            self.border_title, self.border_subtitle = line(says[0]), line(says[1])

    def on_click(self, event: events.Click) -> None:
        # The lower edge says what is new; a click on it goes there.
        if event.y >= self.outer_size.height - 1:
            self.view.action_last()

    def subject(self) -> Path | None:
        """The file that the call under the cursor is about."""
        event = self.view.entry.event if self.view.entry else None
        name = event.input.get("file_path") if isinstance(event, ev.ToolUse) else None
        path = self.run_dir.root / name if isinstance(name, str) and "\0" not in name else None
        return path if path is not None and path.is_file() else None

    def copied(self) -> str:
        return self.view.copied()

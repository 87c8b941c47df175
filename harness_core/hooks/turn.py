"""One hook call: what Claude Code says, and what it is answered.

Before a tool runs, the guards judge it in their order; after it ran, what it read and wrote is noted and the
contract looked after. Steering joins at whichever of the two comes first. All of it under the run's lock.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness_core.evidence import folder
from harness_core.guards import Denial, GuardContext, ToolCall, paths
from harness_core.guards.order import GuardFailed, guarded, judge
from harness_core.guards.tools import WRITERS, target
from harness_core.hooks import inbox
from harness_core.hooks.context import context
from harness_core.hooks.diary import Diary
from harness_core.hooks.inbox import Receipts
from harness_core.hooks.locking import locked
from harness_core.hooks.marks import digest, digest_of, strayed
from harness_core.hooks.seen import may_fill, output_of
from harness_core.hooks.shelf import Common, Running, Session, Shelf
from harness_core.layout import RunDir
from harness_core.secrets.redact import Redactor

if TYPE_CHECKING:
    from harness_core.hooks.books import Books
    from harness_core.record.journal import Journal

Answer = dict[str, Any]
Payload = Mapping[str, Any]


class BadPayload(ValueError):
    """What came in isn't what a hook is told. The message says what is missing."""


def answer(run: RunDir, payload: Payload) -> Answer:
    """What Claude Code is to be told; an empty one lets everything go its way. Raises what went wrong."""
    event = _text(payload, "hook_event_name")
    with locked(run) as ours:
        if not ours:
            return _beside_an_engine(run, event, payload)
        with Turn(run, payload, event) as turn:
            return turn.answer()


def _beside_an_engine(run: RunDir, event: str, payload: Payload) -> Answer:
    """An engine is at work here and alone writes: its contract is closed to others, the guards hold."""
    if event != "PreToolUse":
        return {}
    call = _call(payload)
    try:
        denial = _judged(call, context(run, payload, call, Common(), stopping=run.stopping))
    except GuardFailed as failed:
        denial = failed.denial
    if denial is None and _names_contract(run, call):
        denial = Denial(
            "contract",
            "An engine of Longwatch is at work on this run and keeps its contract: only its own agents "
            "claim. Work on something else, or ask the operator to stop it.",
        )
    return _denied(denial) if denial else {}


class Turn:
    """One call of one session, between reading what is remembered and writing it back."""

    def __init__(self, run: RunDir, payload: Payload, event: str) -> None:
        self.run = run
        self.payload = payload
        self.event = event
        self.session_id = _text(payload, "session_id")
        self.subagent = payload.get("agent_id")
        self.transcript = str(payload.get("transcript_path") or "")
        self.shelf = Shelf(run)
        self.common = self.shelf.common()
        self.redact = Redactor(os.environ)
        self.diary = Diary(run, self.redact)
        self._journal: Journal | None = None
        self._books: Books | None = None
        self._known = self.shelf.session(self.session_id)
        self.session = self._begun()

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *_: object) -> None:
        if self._journal is not None:
            self._journal.close()
        self.shelf.save(self.common)
        self.shelf.save(self.session)

    def books(self) -> Books:
        """The whole run, opened when it is first needed."""
        if self._books is None:
            from harness_core.hooks.books import Books  # noqa: PLC0415
            from harness_core.record.journal import Journal  # noqa: PLC0415

            self._journal = Journal(self.run.journal)
            self._books = Books(self.run, self.common, self._journal)
            if self._known is not None:
                self._books.act_as(self._known)
        return self._books

    def _tell(self, kind: str, /, **values: Any) -> None:
        if self._books is not None:
            self._books.tell(kind, values)
        else:
            self.diary.tell(kind, self.session.number or None, values)

    def _begun(self) -> Session:
        """What is remembered of the session; one that was never seen begins here."""
        model = self.payload.get("model")
        named = model if isinstance(model, str) else ""
        if self._known is None:
            self._known = self.books().begin(self.session_id, time.time_ns(), named)
        elif not self._known.open and self.event != "SessionEnd":
            self.books().reopen(self._known, named)
        return self._known

    def answer(self) -> Answer:
        if self.event == "PreToolUse":
            return self._before(_call(self.payload))
        if self.event in ("PostToolUse", "PostToolUseFailure"):
            return self._after(_call(self.payload), ok=self.event == "PostToolUse")
        if self.event == "SessionStart":
            return self._start()
        if self.event == "Stop":
            return self._context(self._steered(None)) if self.subagent is None else {}
        if self.event == "SessionEnd" and self.session.open:
            ms = (time.time_ns() - self.session.started_ns) // 1_000_000
            self.books().end(self.session, str(self.payload.get("reason") or "ended"), ms)
        return {}

    # --- Sessions -----------------------------------------------------------------------------------

    def _start(self) -> Answer:
        return {} if self._stopped() else self._context(self._steered(None, session_start=True))

    # --- Before a tool ------------------------------------------------------------------------------

    def _before(self, call: ToolCall) -> Answer:
        stopped = self._stopped()
        self._settle_left()
        self._tell("tool_use", **self._of(call), input=dict(call.input))
        running = Running(time.time(), str(self.payload.get("cwd") or ""))
        try:
            denial = _judged(call, context(self.run, self.payload, call, self.common, stopping=stopped))
            if denial is None:
                with guarded("contract"):
                    denial = self._judge_contract(call, running)
        except GuardFailed as failed:
            self._tell("error", message=str(failed), kind="guard")
            denial = failed.denial
        if strayed(self.run, self.common):
            self.books().inspect(None)
        if denial is not None:
            self._tell("guard_decision", **self._of(call), guard=denial.guard, reason=denial.reason)
        else:
            self.session.running[call.tool_use_id] = running
        text = "" if stopped or self.subagent else self._steered(call.tool_use_id)
        if denial is not None:
            return _denied(denial, text)
        return self._context("\n\n".join(filter(None, (self._left_out(call), text))))

    def _left_out(self, call: ToolCall) -> str:
        """Have git pass over what doesn't belong into a commit, where one may be made; what that took."""
        if call.tool != "Bash":
            return ""
        from harness_core.machine import ballast  # noqa: PLC0415

        if not ballast.commits(str(call.input.get("command", ""))):
            return ""
        from harness_core.machine.gitfiles import GitFiles  # noqa: PLC0415

        try:
            left = GitFiles(self.run.root).leave_out()
        except OSError as error:
            self._tell("error", message=f"git can't be told what to pass over: {error}", kind="git")
            return ""
        if left:
            self._tell("error", message=ballast.told(left), kind="left_out")
        return ballast.told(left) if left else ""

    def _of(self, call: ToolCall) -> dict[str, Any]:
        return {"tool_use_id": call.tool_use_id, "tool": call.tool, "agent": call.agent}

    def _stopped(self) -> bool:
        """Whether AGENT_STOP is there; its coming and going is journaled once."""
        stopped = self.run.stopping
        if stopped != self.common.stopping:
            self.books().note_stop(stopped)
            self.common.stopping = stopped
        return stopped

    def _judge_contract(self, call: ToolCall, running: Running) -> Denial | None:
        """The denial of an edit of the contract; `running` learns what one that is let through does."""
        if not self.common.contract or not _names_contract(self.run, call):
            return None
        denial, edit = self.books().judge_edit(call, self.session, self.shelf)
        if edit is not None and edit.text is not None:
            self.common.edits[call.tool_use_id] = digest_of(edit.text.encode("utf-8", "replace"))
            running.edit, running.features = edit.kind.value, list(edit.features)
        return denial

    # --- After a tool -------------------------------------------------------------------------------

    def _after(self, call: ToolCall, *, ok: bool) -> Answer:
        running = self.session.running.pop(call.tool_use_id, None)
        if running is None:
            # Its first half was never seen: then nothing is known of it.
            running = Running(time.time(), str(self.payload.get("cwd") or ""))
        response = self.payload.get("tool_response")
        if ok and call.tool == "Read":
            self._note_read(call, response)
        if ok and call.tool in WRITERS:
            self._note_typed(call)
        elif call.tool == "Bash" and may_fill(str(call.input.get("command", ""))):
            self._note_filled(call, running)
        expected = self.common.edits.pop(call.tool_use_id, "")
        refused = ""
        if ok and expected and running.edit:
            refused = self.books().settle(running, self.session, self.shelf)
        if strayed(self.run, self.common):
            self.books().inspect(call.tool_use_id)
        heavy = self._note_commits()
        self._note_evidence()
        said = response if ok else self.payload.get("error")
        self._tell(
            "tool_result",
            tool_use_id=call.tool_use_id,
            ok=ok,
            ms=round((time.time() - running.since) * 1000),
            output=output_of(said),
            agent=call.agent,
        )
        steered = "" if self.subagent or self._stopped() else self._steered(call.tool_use_id)
        return self._context("\n\n".join(filter(None, (refused, heavy, steered))))

    def _settle_left(self) -> None:
        """An edit of the contract whose end nobody told, since its hook was killed, counts all the same."""
        for tool_use_id, running in list(self.session.running.items()):
            expected = self.common.edits.get(tool_use_id)
            if expected and digest(self.run.root / self.common.contract) == expected:
                del self.session.running[tool_use_id], self.common.edits[tool_use_id]
                self.books().settle(running, self.session, self.shelf)

    def _note_read(self, call: ToolCall, response: object) -> None:
        from harness_core.evidence.files import evidence_kind  # noqa: PLC0415
        from harness_core.evidence.fingerprint import load, relative_to  # noqa: PLC0415

        path = relative_to(self.run.root, str(call.input.get("file_path", "")))
        if path is None or evidence_kind(path) is None:
            return
        content = load(self.run.root / path)
        if isinstance(content, str):
            return
        import hashlib  # noqa: PLC0415

        from harness_core.hooks import books  # noqa: PLC0415

        sha256 = hashlib.sha256(content.data).hexdigest()
        notes = books.notes(self.shelf, self.session)
        notes.note_read(path, sha256, response)
        books.save_notes(self.shelf, self.session, notes)
        self._tell("evidence_read", path=path, sha256=sha256, tool_use_id=call.tool_use_id)

    def _note_typed(self, call: ToolCall) -> None:
        """Take down what a file tool wrote, in a list that needs nothing loaded."""
        import hashlib  # noqa: PLC0415

        from harness_core.evidence.fingerprint import load, relative_to  # noqa: PLC0415

        path = relative_to(self.run.root, target(call.tool, call.input))
        if path is None:
            return
        content = load(self.run.root / path)
        known = [path, "", 0]
        if not isinstance(content, str):
            known = [path, hashlib.sha256(content.data).hexdigest(), len(content.data)]
        with self.shelf.session_file(self.session.id, ".typed").open("ab") as typed:
            typed.write(json.dumps(known).encode() + b"\n")

    def _note_filled(self, call: ToolCall, running: Running) -> None:
        """Take down what a command typed or copied."""
        from harness_core.evidence.written import note_written  # noqa: PLC0415
        from harness_core.hooks import books  # noqa: PLC0415

        notes = books.notes(self.shelf, self.session)
        if note_written(call, self.run.root, Path(running.cwd) if running.cwd else None, notes):
            books.save_notes(self.shelf, self.session, notes)

    def _note_commits(self) -> str:
        """Journal new commits; what is said of one that holds what it shouldn't."""
        from harness_core.machine.gitfiles import GitFiles  # noqa: PLC0415

        git = GitFiles(self.run.root)
        head = git.head() or ""
        if head == self.common.head:
            return ""
        self.books().note_commits()
        before, self.common.head = self.common.head, head
        found = git.ballast_since(before or None, self.session.started_ns / 1e9)
        if not found:
            return ""
        from harness_core.machine import ballast  # noqa: PLC0415

        self._tell("error", message=ballast.committed(found), kind="ballast")
        return ballast.committed(found)

    def _note_evidence(self) -> None:
        for path, sha256, size in folder.new_since(self.run, self.common.pictures):
            self._tell("evidence_captured", path=path, sha256=sha256, size=size)

    # --- Steering -----------------------------------------------------------------------------------

    def _steered(self, tool_use_id: str | None, *, session_start: bool = False) -> str:
        """What the operator has said, for the main agent; and the receipts of what was said before."""
        if self.session.number == 0:
            return ""
        arrived, lost = inbox.arrivals(self.common.waiting, self.session, self._is_over)
        spoken = inbox.spoken(self.run, self.common, session_start=session_start)
        if not (arrived or lost or spoken):
            return ""
        receipts = Receipts(arrived, lost, self.session.id, tool_use_id, self.transcript)
        return self.books().steer(receipts, session_start=session_start)

    def _is_over(self, session_id: str) -> bool:
        session = self.shelf.session(session_id)
        return session is None or not session.open

    def _context(self, text: str) -> Answer:
        if not text:
            return {}
        return {"hookSpecificOutput": {"hookEventName": self.event, "additionalContext": text}}


def _text(payload: Payload, name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise BadPayload(f"the hook's payload has no {name}")
    return value


def _call(payload: Payload) -> ToolCall:
    given = payload.get("tool_input") or {}
    if not isinstance(given, dict):
        raise BadPayload("the hook's payload has a tool_input that isn't an object")
    agent, named = payload.get("agent_id"), payload.get("tool_use_id")
    tool = _text(payload, "tool_name")
    return ToolCall(
        tool=tool,
        input=given,
        tool_use_id=named if isinstance(named, str) and named else _made_up(tool, given),
        agent=agent if isinstance(agent, str) else None,
    )


def _made_up(tool: str, given: Mapping[str, Any]) -> str:
    """An id by which the two halves of a call find each other where the CLI gave none."""
    import hashlib  # noqa: PLC0415

    said = json.dumps([tool, given], sort_keys=True)
    return f"call-{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()[:16]}"


def _judged(call: ToolCall, known: GuardContext | Denial) -> Denial | None:
    return known if isinstance(known, Denial) else judge(call, known)


def _names_contract(run: RunDir, call: ToolCall) -> bool:
    """Whether a file tool's call means the contract's file, by whatever name."""
    if call.tool not in WRITERS:
        return False
    try:
        found = paths.resolve(run.root, target(call.tool, call.input))
    except paths.Unresolvable:
        return True
    return paths.contract_name(run.root, found) is not None


def _denied(denial: Denial, more: str = "") -> Answer:
    said: Answer = {
        "hookEventName": "PreToolUse",
        "permissionDecision": "deny",
        "permissionDecisionReason": denial.reason,
    }
    if more:
        said["additionalContext"] = more
    stop = {"continue": False, "stopReason": denial.reason} if denial.guard == "stop" else {}
    return {"hookSpecificOutput": said, **stop}

"""The gate: every tool call of a session passes here before it runs and after.

Before: the guards, in their order. After: what was read and typed, whether the contract still stands,
what was committed. Between two requests: steering and limits.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from harness_core.agent.circles import Circles
from harness_core.agent.closing import Closing
from harness_core.agent.subagents import Subagents
from harness_core.box import sandbox
from harness_core.brake import Brake
from harness_core.contract.ledger import Ledger
from harness_core.evidence import claim as evd
from harness_core.evidence import folder
from harness_core.evidence.written import note_written
from harness_core.guards import Denial, GuardContext, Process, ToolCall, paths
from harness_core.guards.contract import ContractCall, is_contract
from harness_core.guards.order import GuardFailed, guarded, judge
from harness_core.guards.tools import WRITERS, target
from harness_core.limits import Limit
from harness_core.machine import ballast, processes
from harness_core.machine.files import write_whole
from harness_core.operator.bounds import SESSION
from harness_core.operator.steering import Steering
from harness_core.record import events as ev
from harness_core.record.history import History
from harness_core.record.shorten import shortened
from harness_core.run import Run
from harness_core.secrets.redact import credentials

CLAIM = "mcp__longwatch__claim_feature"
_PASS: dict[str, Any] = {}


@dataclass
class Running:
    """A tool call between its two hooks."""

    call: ToolCall
    since: float
    edit: ContractCall | None = None
    cwd: str | None = None
    """Where the session's shell stood when it began."""


@dataclass(frozen=True)
class Announced:
    """A tool call that has no result yet: since when, and whose it is."""

    since: float
    agent: str | None


@dataclass
class Gate:
    """The hooks of one session. `limit` is set when one has ended the turn."""

    run: Run
    ledger: Ledger
    steering: Steering
    history: History
    brake: Brake
    role: str
    sdk_session: str
    notes: evd.SessionEvidence
    notes_path: Path
    review: Path | None = None
    """Where an evaluator's shell stands: a clone that may be changed."""
    ports: Callable[[], Sequence[int]] = lambda: ()
    """The ports of this machine that a boxed shell is to reach."""
    aside: bool = False
    """Whether it is of a model that is only asked: no limit of the session beside it bounds that."""
    limit: Limit | None = None
    circles: Circles = field(init=False)
    closing: Closing = field(default_factory=Closing)
    last_call: str | None = None
    judged: set[str] = field(default_factory=set)
    announced: dict[str, Announced] = field(default_factory=dict)
    subagents: Subagents = field(default_factory=Subagents)
    running: dict[str, Running] = field(default_factory=dict)
    _evidence: folder.Listed = field(init=False)
    _cli: list[processes.Found] = field(default_factory=list)
    _left_out: str = ""
    """What a commit of the command at work will pass over, in words."""
    _before: tuple[str | None, float] | None = None
    """The newest commit, and the time, before the command at work that may commit."""

    def __post_init__(self) -> None:
        self._evidence = folder.listed(self.run.dir)
        self.circles = Circles(self.run)

    # --- Hooks --------------------------------------------------------------------------------------

    async def pre_tool(self, payload: Any, tool_use_id: str | None, _: Any) -> dict[str, Any]:
        call = _call(payload, tool_use_id)
        if call.agent is not None:
            self.subagents.hook_says(call.tool_use_id, call.agent)
        self.announce(call)
        denial, edit = self.judge(call, payload.get("cwd"))
        self.judged.add(call.tool_use_id)
        if call.agent is None:
            self.last_call = call.tool_use_id
        if denial is None:
            self.running[call.tool_use_id] = Running(call, time.monotonic(), edit, payload.get("cwd"))
            return self._let_run(call, payload.get("cwd"))
        self.run.emit(
            ev.GuardDecision(
                tool_use_id=call.tool_use_id,
                tool=call.tool,
                guard=denial.guard,
                reason=denial.reason,
                agent=call.agent,
            )
        )
        return {
            "hookSpecificOutput": {
                "hookEventName": "PreToolUse",
                "permissionDecision": "deny",
                "permissionDecisionReason": denial.reason,
            }
        }

    def _let_run(self, call: ToolCall, cwd: str | None) -> dict[str, Any]:
        """The answer for a call that may run: a command's shell is without the user's credentials, and in a
        sandbox, which sees to that by itself, with what it needs around it."""
        if call.tool != "Bash":
            return _PASS
        asked = str(call.input.get("command", ""))
        if ballast.commits(asked) and self.review is None:
            self._left_out = self.run.leave_out()
            self._before = self._before or (self.run.git.head(), time.time())
        if self.run.sandbox.on:
            command = sandbox.linked(asked, self.ports(), self._reviewing_from(cwd))
        else:
            command = sandbox.bared(asked, credentials(os.environ, self.run.sandbox.table.keep))
        if command == asked:
            return _PASS
        changed = {**call.input, "command": command}
        return {"hookSpecificOutput": {"hookEventName": "PreToolUse", "updatedInput": changed}}

    def _reviewing_from(self, cwd: str | None) -> Path | None:
        """The clone, where the shell doesn't stand in it yet."""
        if self.review is None or (cwd is not None and Path(cwd).is_relative_to(self.review)):
            return None
        return self.review

    async def post_tool(self, payload: Any, tool_use_id: str | None, _: Any) -> dict[str, Any]:
        """A file tool has done its work: what it showed is noted, an edit of the contract is weighed."""
        call = _call(payload, tool_use_id)
        running = self.running.get(call.tool_use_id)
        if call.tool == "Read":
            self._note_read(call, payload.get("tool_response"))
        answer = None
        if running is not None and running.edit is not None:
            answer = self.ledger.settle_edit(running.edit, self.notes)
        self.finish(call.tool_use_id)
        if answer is not None:
            context = {"hookEventName": "PostToolUse", "additionalContext": answer.text}
            return {"hookSpecificOutput": context}
        return _PASS

    async def post_batch(self, payload: Any, _: str | None, __: Any) -> dict[str, Any]:
        """Last thing before the next request: limits and circles end the turn, steering joins it."""
        for call in payload["tool_calls"]:
            self.finish(call["tool_use_id"])
        if self.limit_now() is not None:
            return {"continue_": False, "stopReason": f"Longwatch: {self.limit}"}
        warned = await self.circles.warned(payload.get("agent_id"), payload["tool_calls"])
        if self.circles.closed is not None:
            return {"continue_": False, "stopReason": f"Longwatch: {self.circles.closed.what}"}
        said = closes = ""
        main = not payload.get("agent_id")
        if main and self.role != "evaluator":
            self.steering.collect()
            said = "" if self.brake.on else self.steering.hand_over(self.last_call)
        self.closing.look(self.run.state, steered=bool(said))
        if self.closing.over:
            return {"continue_": False, "stopReason": "Longwatch: every feature is claimed"}
        if main:
            closes = self.closing.words()
        left, self._left_out = self._left_out, ""
        if text := "\n\n".join(filter(None, (said, warned, left, self._committed_ballast(), closes))):
            return {"hookSpecificOutput": {"hookEventName": "PostToolBatch", "additionalContext": text}}
        return _PASS

    def _committed_ballast(self) -> str:
        """What is said of a commit that holds what it shouldn't: a command can make and commit at once."""
        before, self._before = self._before, None
        if before is None or not (found := self.run.git.ballast_since(*before)):
            return ""
        said = ballast.committed(found)
        self.run.emit(ev.Error(message=said, kind="ballast"))
        return said

    async def stop(self, payload: Any, _: str | None, __: Any) -> dict[str, Any]:
        """The agent wants to end: what the operator has said meanwhile is given to it first."""
        over = self.limit_now()
        if over is not None and over.scope == SESSION:
            # It ends by itself, with its work done.
            self.limit = None
        if over is not None or self.brake.on or self.role == "evaluator":
            return _PASS
        self.steering.collect()
        if text := self.steering.hand_over(None):
            # As context, not as the reason of a block: that one the CLI gives to the model twice.
            return {"hookSpecificOutput": {"hookEventName": "Stop", "additionalContext": text}}
        return _PASS

    # --- Judging ------------------------------------------------------------------------------------

    def judge(self, call: ToolCall, cwd: str | None = None) -> tuple[Denial | None, ContractCall | None]:
        """The verdict of all guards on a call made where the shell stands. A guard that fails, denies."""
        try:
            with guarded("context"):
                context = self._context(call, cwd)
            if (denial := judge(call, context)) is not None:
                return denial, None
            with guarded("contract"):
                return self._judge_contract(call)
        except GuardFailed as failed:
            self.run.emit(ev.Error(message=str(failed), kind="guard"))
            return failed.denial, None

    def _judge_contract(self, call: ToolCall) -> tuple[Denial | None, ContractCall | None]:
        if call.tool not in WRITERS:
            return None, None
        path = paths.resolve(self.run.dir.root, target(call.tool, call.input))
        if (denial := self.ledger.agreements.judge(path)) is not None:
            return denial, None
        if is_contract(path, self.ledger.path):
            return self.ledger.judge_edit(call, self.notes)
        return None, None

    def _context(self, call: ToolCall, cwd: str | None) -> GuardContext:
        settings = self.run.config.guards.shell
        root, shell = self.run.dir.root, Path(cwd) if cwd else None
        # An evaluator's shell is judged by its clone: there it may write, and nowhere else.
        reviews = self.review is not None and call.tool == "Bash"
        if reviews:
            root, shell = self.review or root, self._reviewing_from(cwd) or shell
        return GuardContext(
            root=root,
            cwd=shell,
            stopping=self.brake.on,
            read_only=self.role == "evaluator" and not reviews,
            profile=settings.profile,
            allow=frozenset(settings.allow),
            deny=frozenset(settings.deny),
            remotes=self.run.git.remotes,
            own_processes=self._own_processes,
            all_processes=lambda: _processes(processes.everyone()),
        )

    def _own_processes(self) -> list[Process]:
        marks = (
            (processes.SESSION_MARK, self.sdk_session),
            (processes.APP_MARK, self.run.mark),
        )
        cli = self.cli_pids()
        found = [item for name, value in marks for item in processes.marked(name, value)]
        return _processes([item for item in found if item.pid not in cli])

    def cli_pids(self) -> set[int]:
        """The pids of the CLI itself, which no agent may signal."""
        if not any(item.alive for item in self._cli):
            # Every process of the machine is looked at, so only once for a CLI.
            marked = processes.marked(processes.SESSION_MARK, self.sdk_session)
            self._cli = [child for child in marked if processes.parent(child.pid) == os.getpid()]
        return {item.pid for item in self._cli}

    def claim_under_way(self, feature: str) -> str:
        """The id of the running call that claims `feature`; several calls may run at once."""
        for tool_use_id, item in self.running.items():
            if item.call.tool == CLAIM and str(item.call.input.get("feature")) == feature:
                return tool_use_id
        return ""

    # --- Taking note --------------------------------------------------------------------------------

    def announce(self, call: ToolCall) -> None:
        """Journal a call once, whether its hook or its message comes first."""
        if call.tool_use_id in self.announced:
            return
        self.announced[call.tool_use_id] = Announced(time.monotonic(), call.agent)
        self.run.emit(
            ev.ToolUse(
                tool_use_id=call.tool_use_id,
                tool=call.tool,
                input=shortened(call.input, self.run.redact.text),
                agent=call.agent,
            )
        )

    def finish(self, tool_use_id: str) -> None:
        """A call has ended, well or not: note what it typed, and what it changed behind everybody's back.

        Its hook, its result and its batch each tell of that; the first one counts.
        """
        running = self.running.pop(tool_use_id, None)
        if running is None:
            return
        self._note_typed(running)
        self.ledger.inspect(tool_use_id)
        self.history.note(self.role)
        self._note_evidence()

    def _note_read(self, call: ToolCall, response: object) -> None:
        path = evd.relative_to(self.run.dir.root, str(call.input.get("file_path", "")))
        if path is None or evd.evidence_kind(path) is None:
            return
        content = evd.fingerprint(self.run.dir.root / path)
        if content is None:
            return
        self.notes.note_read(path, content.sha256, response)
        self._save_notes()
        self.run.emit(ev.EvidenceRead(path=path, sha256=content.sha256, tool_use_id=call.tool_use_id))

    def _note_typed(self, running: Running) -> None:
        cwd = Path(running.cwd) if running.cwd else None
        if note_written(running.call, self.run.dir.root, cwd, self.notes):
            self._save_notes()

    def _save_notes(self) -> None:
        write_whole(self.notes_path, msgspec.json.encode(self.notes), durable=False)

    def _note_evidence(self) -> None:
        for path, sha256, size in folder.new_since(self.run.dir, self._evidence):
            self.run.emit(ev.EvidenceCaptured(path=path, sha256=sha256, size=size))

    def limit_now(self) -> Limit | None:
        """The limit that leaves no room for another request; `limit` keeps it."""
        self.brake.warn()
        hit = self.brake.limit(new_session=False)
        self.limit = None if self.aside and hit is not None and hit.scope == SESSION else hit
        return self.limit


def blob(run: Run, data: bytes) -> str:
    """Keep `data` under its hash, which is returned."""
    digest = hashlib.sha256(data).hexdigest()
    path = run.dir.blobs / digest
    if not path.exists():
        write_whole(path, data, durable=False)
    return digest


def _call(payload: Mapping[str, Any], tool_use_id: str | None) -> ToolCall:
    return ToolCall(
        tool=str(payload["tool_name"]),
        input=payload.get("tool_input") or {},
        tool_use_id=str(payload.get("tool_use_id") or tool_use_id or ""),
        agent=payload.get("agent_id"),
    )


def _processes(found: list[processes.Found]) -> list[Process]:
    return [Process(item.pid, item.command) for item in found]

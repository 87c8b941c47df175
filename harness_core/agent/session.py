"""One session with an agent: the CLI behind it, the conversation, its timers, its end.

A task of its own reads the SDK's messages at all times: where nobody reads, the SDK's buffer fills and
hooks and interrupts hang.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from harness_core.agent import connections, sdk, tools
from harness_core.agent.clocks import Clocks, Overdue
from harness_core.agent.gate import CLAIM, Gate
from harness_core.agent.transcriber import Bystander, Transcriber, is_progress
from harness_core.answer import Answer
from harness_core.box import reviews, sandbox
from harness_core.brake import Brake
from harness_core.config import Timeouts
from harness_core.contract.ledger import Ledger
from harness_core.evidence import claim as evd
from harness_core.limits import Limit
from harness_core.machine import processes
from harness_core.machine.app import App
from harness_core.machine.files import read_bounded
from harness_core.operator.bounds import SESSION
from harness_core.operator.steering import Steering
from harness_core.prompting import boxed_in, not_there, page_text, system_prompt
from harness_core.record import events as ev
from harness_core.record.history import History
from harness_core.record.state import OpenSession
from harness_core.run import Run

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeSDKClient, Message, ResultMessage

TICK = 0.25
"""Seconds between two looks at the timers."""
SUBAGENTS = frozenset({"Agent", "Task"})
"""The tool that starts a subagent, by both its names."""
ABSENT = 5.0
"""Seconds between two such looks from which on this process must have been stopped."""
RESULT_WITHIN = 1.5
"""Seconds that an interrupted session has to come to rest before its processes are ended."""


class End(StrEnum):
    """Why a turn, and with it mostly the session, came to its end."""

    DONE = "done"
    STOPPED = "stopped"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    """Nothing came for too long, while no tool ran: the API or the CLI, not the agent."""
    LOOP = "loop"
    LIMIT = "limit"
    SESSION_LIMIT = "session_limit"
    """A limit of its own: the run goes on with a fresh one."""
    UNGUARDED = "unguarded"
    API_ERROR = "api_error"
    REFUSED = "refused"
    CRASHED = "crashed"
    TOO_LONG = "too_long"
    """The conversation no longer fits the model or the API, though it was compacted; a fresh one will."""


OVERGROWN = frozenset({400, 413})
"""What the API answers to a conversation of too many tokens, bytes or pictures. In a fresh one it means that
the request itself is wrong."""
CUT_SHORT = frozenset({End.TIMEOUT, End.LOOP, End.SESSION_LIMIT, End.TOO_LONG})
"""Ends that came before the agent's own, though nothing else is wrong: a fresh session may get further."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a turn ended. `detail` says it in words; `answer` the structured output, if one was asked."""

    end: End
    detail: str = ""
    answer: Mapping[str, Any] | None = None
    status: int | None = None
    survivors: tuple[str, ...] = ()
    inside: bool = False
    """Whether it was a subagent of whom nothing was heard any more."""


@dataclasses.dataclass(frozen=True)
class _Unanswered:
    """Stands in the queue of messages where an interrupted session's result should have come."""

    end: End


@dataclasses.dataclass(frozen=True)
class Parts:
    """What an engine lends to its sessions."""

    run: Run
    ledger: Ledger
    steering: Steering
    history: History
    app: App
    brake: Brake


@dataclasses.dataclass(frozen=True)
class Casting:
    """What a session's CLI has to be started with."""

    role: str
    page: str
    """The name of the role's page in `prompts/`: one for each role and way of working."""
    schema: Mapping[str, Any] | None = None
    """JSON schema of the answer, where one is asked for."""
    aside: bool = False
    """Whether it is a model that is only asked, without tools, beside the session under way."""


class Session:
    """Connect it early, `begin` it when its time has come, `converse`, `close`."""

    def __init__(self, parts: Parts, casting: Casting, resume: str | None = None) -> None:
        self._parts = parts
        self._run = parts.run
        self.casting = casting
        self.role = casting.role
        self.sdk_session = resume or str(uuid.uuid4())
        self.resumed = resume is not None
        """Whether it goes on with a conversation that was there before."""
        self._schema = casting.schema
        self._client: ClaudeSDKClient | None = None
        self._reader: asyncio.Task[None] | None = None
        self._messages: asyncio.Queue[Message | Exception | _Unanswered] = asyncio.Queue()
        self._gate: Gate | None = None
        self._transcriber: Transcriber | None = None
        self._stderr: list[str] = []
        self._ending: End | None = None
        self._overdue: Overdue | None = None
        self._inside = False
        """Whether a subagent was at work when that was found."""
        self._servers_settled = False
        self._seen: dict[int, processes.Found] = {}
        """Processes that were seen below the CLI, by pid."""
        self._clocks = Clocks(self._timeouts(), time.monotonic())

    @property
    def gate(self) -> Gate:
        """The gate of a session that has begun."""
        assert self._gate is not None
        return self._gate

    @property
    def model(self) -> str:
        return self._run.config.model_for(self.role)

    @property
    def review(self) -> Path | None:
        """The clone in which an evaluator's shell stands; it has one in a sandbox alone."""
        if self.role != "evaluator" or not self._run.sandbox.on:
            return None
        return reviews.place(sandbox.scratch(self._run.id), self.sdk_session)

    @property
    def _boxed(self) -> bool:
        """Whether it has a shell, in a sandbox."""
        return self._run.sandbox.on and (self.role not in sdk.ROLE_TOOLS or self.review is not None)

    def _timeouts(self) -> Timeouts:
        """A continuous build is bounded by its run's limits, not by a session's time."""
        config = self._run.config
        if config.switches.context == "continuous" and self.role == "generator":
            return msgspec.structs.replace(config.timeouts, session=math.inf)
        return config.timeouts

    # --- Life ---------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Start the CLI. Raises the SDK's errors when it can't be started or the session can't be resumed:
        then nothing is left of it."""
        try:
            await self._connect()
        except Exception:
            await self.close()
            raise

    async def _connect(self) -> None:
        sdk.load()
        from claude_agent_sdk import ClaudeSDKClient  # noqa: PLC0415

        if self.review is not None:
            self.review.mkdir(parents=True, exist_ok=True)
        setup = sdk.Setup(
            role=self.role,
            model=self.model,
            system_prompt=self._system_prompt(),
            sdk_session=self.sdk_session,
            resume=self.resumed,
            schema=self._schema,
            review=self.review,
        )
        if self.casting.aside:
            options = sdk.bare_options(self._run, setup, self._note_stderr)
        else:
            server = tools.server(self._handlers())
            options = sdk.options(self._run, setup, self._hooks(), server, self._note_stderr)
        client = ClaudeSDKClient(options)
        await client.connect()
        self._client = client
        self._reader = asyncio.create_task(self._read(client))

    def _system_prompt(self) -> str:
        if self.casting.aside:
            return page_text(self._run.dir, self.role, self.casting.page)
        told = self._run.servers.as_told(self._run.config, self.role)
        page = system_prompt(self._run.dir, self.role, self.casting.page, told)
        return page + boxed_in(self._boxed, self.review)

    def _hooks(self) -> sdk.Hooks:
        return sdk.Hooks(
            pre_tool=self._hook("pre_tool"),
            post_tool=self._hook("post_tool"),
            post_batch=self._hook("post_batch"),
            stop=self._hook("stop"),
        )

    def _hook(self, name: str) -> Any:
        # The gate is made when the session begins, which may be long after it was connected.
        async def call(payload: Any, tool_use_id: str | None, context: Any) -> Any:
            assert self._gate is not None
            self._clocks.sign(time.monotonic())
            return await getattr(self._gate, name)(payload, tool_use_id, context)

        return call

    def _handlers(self) -> tools.Handlers:
        if self.role in ("evaluator", "planner"):
            return tools.Handlers(app=self._parts.app.act)
        return tools.Handlers(app=self._parts.app.act, claim=self._claim, regression=self._regression)

    def _claim(self, feature: str, evidence: Any, note: str, also_for: Any) -> Answer:
        assert self._gate is not None
        answer = self._parts.ledger.claim(feature, evidence, note, also_for, self._gate.notes)
        if not answer.ok:
            self._run.emit(
                ev.GuardDecision(
                    tool_use_id=self._gate.claim_under_way(feature),
                    tool=CLAIM,
                    guard="evidence",
                    reason=answer.text,
                )
            )
        return answer

    def _regression(self, feature: str, note: str) -> Answer:
        return self._parts.ledger.report_regression(feature, note)

    def _note_stderr(self, line: str) -> None:
        self._stderr = [*self._stderr[-20:], line]

    async def _read(self, client: ClaudeSDKClient) -> None:
        try:
            async for message in client.receive_messages():
                self._messages.put_nowait(message)
        except Exception as error:
            self._messages.put_nowait(error)
        else:
            self._messages.put_nowait(ConnectionError("the CLI has ended"))

    def begin(self, number: int, phase: str, features: Sequence[str], turn: int = 1) -> None:
        """Journal the session's start; from here on its tool calls are judged and its words kept."""
        self._run.emit(
            ev.SessionStarted(
                session=number,
                role=self.role,
                sdk_session=self.sdk_session,
                model=self.model,
                phase=phase,
                feature=features[0] if len(features) == 1 else None,
                features=list(features),
                round=turn,
                resumed=self.resumed,
            )
        )
        self._listen(number, phase)

    def begin_aside(self, phase: str) -> None:
        """From here on, what it costs and meets is journaled as a part of the session under way."""
        self._listen(self._run.state.sessions, phase)

    def _listen(self, number: int, phase: str) -> None:
        base = self._run.dir.sessions / f"{number:03d}-{self.role}"
        base.parent.mkdir(parents=True, exist_ok=True)
        notes_path = base.with_suffix(".evidence.json")
        self._gate = Gate(
            self._run,
            self._parts.ledger,
            self._parts.steering,
            self._parts.history,
            self._parts.brake,
            self.role,
            self.sdk_session,
            _load_notes(notes_path) if self.resumed else evd.SessionEvidence.of_now(),
            notes_path,
            self.review,
            self._ports,
            self.casting.aside,
        )
        trace = base.with_suffix(".jsonl")
        if self.casting.aside:
            self._transcriber = Bystander(self._run, self._gate, phase, trace, self.role)
        else:
            self._transcriber = Transcriber(self._run, self._gate, phase, trace)
        own = self._own
        self._clocks = Clocks(self._timeouts(), time.monotonic(), own.active_ms / 1000 if own else 0.0)

    @property
    def _own(self) -> OpenSession | None:
        """What the journal knows of it; of one that is held aside, nothing."""
        return None if self.casting.aside else self._run.state.open_session

    def _ports(self) -> list[int]:
        return sorted({*self._parts.app.ports(), *self._run.sandbox.table.ports})

    async def close(self) -> list[str]:
        """End the CLI and everything that the session has started; returns what survived even that."""
        if self._client is not None:
            with contextlib.suppress(Exception):
                await self._client.disconnect()
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        if self._transcriber is not None:
            self._transcriber.close()
        left = await self.end_processes()
        if self.review is not None:
            await asyncio.to_thread(reviews.clear, self.review)
        return left

    async def end_tools(self) -> list[str]:
        """End what the session has started, but not its CLI; returns what survived."""
        cli = self.gate.cli_pids()
        return await _terminated([item for item in self._started() if item.pid not in cli])

    async def end_processes(self) -> list[str]:
        """End, pid by pid, the CLI and all that the session has started; returns what survived."""
        return await _terminated(self._started())

    def _started(self) -> list[processes.Found]:
        """What carries this session's mark, and what has shed it but was seen below the CLI."""
        marked = processes.marked(processes.SESSION_MARK, self.sdk_session)
        return list({item.pid: item for item in (*self._seen.values(), *marked) if item.alive}.values())

    def _look_below(self) -> None:
        """Remember what hangs on the CLI now: a process that leaves it later may have shed its mark."""
        below = processes.descendants(self.gate.cli_pids())
        self._seen = {item.pid: item for item in (*self._seen.values(), *below) if item.alive}

    # --- Talk ---------------------------------------------------------------------------------------

    async def converse(self, prompt: str) -> Outcome:
        """Send `prompt` and go on until the agent is done or something ends the turn."""
        assert self._client is not None
        if self.review is not None and not (self.review / ".git").exists():
            await asyncio.to_thread(reviews.lay_out, self._run.dir.root, self.review)
        try:
            absent = await self._absent_servers(self._client)
        except Exception as error:
            return Outcome(End.CRASHED, str(error))
        if self._parts.brake.on:
            return Outcome(End.STOPPED)
        self._ending, self._overdue, self._inside = None, None, False
        # Between two turns others are at work, a judge for one.
        self._clocks.absent(time.monotonic())
        self._clocks.sign(time.monotonic())
        try:
            await self._client.query("\n\n".join([prompt, *absent]))
        except Exception as error:
            return Outcome(End.CRASHED, str(error))
        supervisor = asyncio.create_task(self._supervise())
        try:
            return await self._follow()
        finally:
            supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await supervisor

    async def _absent_servers(self, client: ClaudeSDKClient) -> list[str]:
        """Wait until each server has answered or run out of time; tells, once, of those that aren't there."""
        if self._servers_settled:
            return []
        self._servers_settled = True
        servers = self._run.servers
        absent = servers.absent_for(self.role)
        if asked := servers.of(self.role):
            absent |= await connections.failed(client, asked, servers.within, lambda: self._parts.brake.on)
        if self._parts.brake.on:
            return []
        for name in absent.keys() - servers.told:
            servers.told.add(name)
            self._run.emit(ev.ServerMissing(name=name, why=self._run.redact.text(absent[name])[:500]))
        return [not_there(name, self._run.redact.text(why)) for name, why in absent.items()]

    async def _follow(self) -> Outcome:
        from claude_agent_sdk import ResultMessage  # noqa: PLC0415

        assert self._gate is not None and self._transcriber is not None
        while True:
            message = await self._messages.get()
            if isinstance(message, _Unanswered):
                if self._ending is None:
                    continue  # It came after all, in the turn before.
                survivors = await self.end_processes()
                said = str(self._overdue or "ended by force")
                return Outcome(message.end, said, survivors=tuple(survivors), inside=self._inside)
            if isinstance(message, Exception):
                return Outcome(self._ending or End.CRASHED, self._last_words(message))
            wait = self._transcriber.take(message)
            if wait or is_progress(message):
                self._clocks.sign(time.monotonic(), wait)
            if self._transcriber.unguarded:
                await self.halt(End.UNGUARDED)
            if self._transcriber.refused is not None:
                await self.halt(End.API_ERROR)
            if self._transcriber.tries_again and (hit := self._gate.limit_now()) is not None:
                await self.halt(limited_by(hit))
            if isinstance(message, ResultMessage):
                self._transcriber.settle(message)
                return self._outcome(message)

    def _last_words(self, error: Exception) -> str:
        said = " ".join(line.strip() for line in self._stderr[-3:] if line.strip())
        return f"{error}{f' ({said})' if said else ''}"

    def _outcome(self, result: ResultMessage) -> Outcome:
        assert self._gate is not None and self._transcriber is not None
        if self._ending is End.API_ERROR and (refused := self._transcriber.refused) is not None:
            return self._refused(str(refused), refused.status, refused.error)
        if self._ending is not None:
            return Outcome(self._ending, str(self._gate.limit or self._overdue or ""), inside=self._inside)
        answer = result.structured_output
        judged = self._schema is not None and isinstance(answer, dict) and not result.is_error
        if self._gate.limit is not None and not judged:
            return Outcome(limited_by(self._gate.limit), str(self._gate.limit))
        if (circle := self._gate.circles.closed) is not None and not judged:
            return Outcome(End.LOOP, circle.what)
        if self._gate.closing.over:
            return Outcome(End.DONE, "every feature is claimed")
        if result.terminal_reason == "prompt_too_long":
            return Outcome(End.TOO_LONG, "the conversation is too long for the model")
        if result.is_error:
            said = result.result or "; ".join(result.errors or []) or result.subtype
            return self._refused(said, result.api_error_status, self._transcriber.error)
        if self._schema is not None and not isinstance(answer, dict):
            return Outcome(End.REFUSED, "the agent gave no structured answer")
        return Outcome(End.DONE, result.result or "", answer=answer if isinstance(answer, dict) else None)

    def _refused(self, said: str, status: int | None, kind: str) -> Outcome:
        """What the API doesn't take: of a conversation that has grown, mostly its size."""
        grown = self._own is not None and self._own.turns > 0
        overgrown = grown and status in OVERGROWN and kind == "invalid_request"
        return Outcome(End.TOO_LONG if overgrown else End.API_ERROR, said, status=status)

    async def halt(self, end: End) -> None:
        """Interrupt what runs, for the reason given; `converse` returns with it."""
        if self._ending is None:
            self._ending = end
            self._look_below()
            # Only then: a CLI that sees its command die would take that for the call's outcome.
            await self.interrupt()
            if end is End.STOPPED:
                await self.end_tools()

    async def interrupt(self) -> None:
        if self._client is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._client.interrupt(), RESULT_WITHIN)

    def _out_of_time(self) -> Limit | None:
        """The limit of hours that is reached, which no message says; other limits wait for a call's end."""
        hit = self.gate.limit_now()
        return hit if hit is not None and hit.name == "max_hours" else None

    async def _supervise(self) -> None:
        """Ends the turn when the operator says so or a timer has run out, whether messages arrive or not, and
        gives up on a session that doesn't come to rest."""
        assert self._gate is not None
        looked = time.monotonic()
        while self._ending is None:
            before, looked = looked, time.monotonic()
            if looked - before > ABSENT:
                self._clocks.absent(looked)
            # A subagent gives signs of life of its own.
            running = (item.since for item in self._gate.running.values() if item.call.tool not in SUBAGENTS)
            if self._parts.brake.on:
                await self.halt(End.STOPPED)
            elif (hit := self._out_of_time()) is not None:
                await self.halt(limited_by(hit))
            elif (overdue := self._clocks.overdue(time.monotonic(), running)) is not None:
                self._overdue, self._inside = overdue, bool(self._gate.running)
                try:
                    self._run.emit(ev.StallDetected(what=overdue.what, seconds=round(overdue.seconds, 1)))
                finally:
                    await self.halt(End.STALLED if overdue.clock == "stall" else End.TIMEOUT)
            if self._gate.running:
                self._look_below()
            await asyncio.sleep(TICK)
        await asyncio.sleep(RESULT_WITHIN)
        self._messages.put_nowait(_Unanswered(self._ending))


def limited_by(hit: Limit) -> End:
    """How a session ends that reaches this limit."""
    return End.SESSION_LIMIT if hit.scope == SESSION else End.LIMIT


async def _terminated(targets: list[processes.Found]) -> list[str]:
    left = await asyncio.to_thread(processes.terminate, targets) if targets else []
    return [processes.told(item) for item in left]


def _load_notes(path: Path) -> evd.SessionEvidence:
    data = read_bounded(path)
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode(data or b"", type=evd.SessionEvidence)
    return evd.SessionEvidence.of_now()

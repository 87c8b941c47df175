"""Holds sessions: opens or resumes one, keeps it through pauses and failures, and leaves a clean handover.

The next session's CLI starts while the present one wraps up, since that takes a third of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from harness_core import tasks
from harness_core.agent import sdk
from harness_core.agent.session import CUT_SHORT, Casting, End, Outcome, Parts, Session, limited_by
from harness_core.agent.transcriber import FATAL_STATUS
from harness_core.brake import EndOfRun
from harness_core.contract.record import Status
from harness_core.errors import Exit
from harness_core.layout import CONFIG_NAME, RunDir
from harness_core.machine.ballast import told
from harness_core.machine.files import read_bounded
from harness_core.machine.gitfiles import OWN
from harness_core.machine.gitrepo import GitRepo
from harness_core.operator.bounds import SESSION
from harness_core.patience import TRIES, Failures, backoff, until
from harness_core.record import events as ev
from harness_core.record.history import OUTSIDE
from harness_core.record.reduce import USAGE_LIMIT_STATUS
from harness_core.record.state import OpenSession
from harness_core.run import Run
from harness_core.steps import handoff

SENT_BACK_AT_MOST = 3
MAY_PASS = frozenset({End.API_ERROR, End.STALLED, End.CRASHED})
"""Ends that are the fault of nobody who works in the session: it goes on."""
CLOSE_WITHIN = 10.0
"""Seconds that all CLIs have to go at the run's end; what is left then is ended by its marks."""
STARTS = 3
"""How often a CLI is started that ends on the way, before the run gives up."""


async def accept(outcome: Outcome) -> str | None:
    """Whatever came out is right."""
    return None


@dataclass(frozen=True)
class Assignment:
    """What a session is for."""

    casting: Casting
    phase: str
    task: Callable[[int], str]
    """The first message, given the session's number."""
    features: Sequence[str] = ()
    round: int = 1
    check: Callable[[Outcome], Awaitable[str | Outcome | None]] = accept
    """Looks at what came out and says what is wrong with it, in words for the agent; or how the session ends,
    where the look was cut short."""
    sends_back: int = SENT_BACK_AT_MOST
    """How often a session may be sent back by that."""


class Sessions:
    """At most one session is under way. `next_casting` says who would come after it."""

    def __init__(self, run: Run, parts: Parts, next_casting: Callable[[], Casting | None]) -> None:
        self._run = run
        self._parts = parts
        self._steering = parts.steering
        self._brake = parts.brake
        self._next_casting = next_casting
        self._session: Session | None = None
        self._spare: tuple[Casting, asyncio.Task[Session]] | None = None
        self._closing: set[asyncio.Task[object]] = set()
        self._told_of: set[str] = set()
        """Credentials in uncommitted files, as they were told."""
        self._settings = read_bounded(run.dir.config_file)
        run.listeners.append(self._hear)

    # --- Holding ------------------------------------------------------------------------------------

    async def hold(self, assignment: Assignment) -> Outcome:
        """One session from its first message to its end, over pauses, resumptions and failures of the API.

        Raises EndOfRun for what ends the whole run with it.
        """
        failures = Failures()
        async with self._phase(assignment):
            while True:
                await self._brake.hold()
                if (over := self._over()) is not None:
                    return over
                session, words = await self._open(assignment)
                outcome = await self._converse(session, assignment, words)
                if outcome.end is End.STOPPED:
                    await self._pause(session, outcome)
                elif outcome.end in MAY_PASS and outcome.status not in FATAL_STATUS:
                    await self._after_failure(session, outcome, failures)
                else:
                    await self._wrap_up(session, outcome)
                    return outcome

    async def hold_until(self, done: Callable[[], bool], assignment: Assignment) -> Outcome:
        """A session that has something to bring; a fresh one follows each that was cut short, as often as a
        feature may be tried."""
        for _ in range(self._run.config.max_retries):
            outcome = await self.hold(assignment)
            if done() or outcome.end not in CUT_SHORT:
                break
        return outcome

    def _over(self) -> Outcome | None:
        """The end of a session that was cut off where its own limit lets it not go on."""
        hit = self._brake.limit(new_session=False) if self._run.state.open_session is not None else None
        if hit is None or hit.scope != SESSION:
            return None
        self._brake.note_reached(hit)
        self.end(End.SESSION_LIMIT.value)
        return Outcome(End.SESSION_LIMIT, str(hit))

    async def _converse(self, session: Session, assignment: Assignment, words: str) -> Outcome:
        """The session's turns: its task, and one more each time that what came out is sent back."""
        # An evaluator's conversation doesn't go on: what it is told, no builder would hear.
        told = words if session.role == "evaluator" else self._with_steering(words, session)
        outcome = await session.converse(told)
        sent_back = 0
        while outcome.end is End.DONE and (wrong := await assignment.check(outcome)) is not None:
            if isinstance(wrong, Outcome):
                return wrong
            if sent_back == assignment.sends_back:
                return Outcome(End.REFUSED, wrong)
            if (hit := session.gate.limit_now()) is not None:
                return Outcome(limited_by(hit), f"{hit}, and {wrong}")
            sent_back += 1
            outcome = await session.converse(tasks.sent_back(wrong))
        return outcome

    async def ask(self, casting: Casting, phase: str, words: str) -> Outcome:
        """What a model answers that is asked beside the session under way, over failures of the API; or that
        the operator has stopped it.

        Raises EndOfRun for what ends the whole run with it.
        """
        failures = Failures()
        while True:
            session = await self._connected(casting)
            try:
                session.begin_aside(phase)
                outcome = await session.converse(words)
            finally:
                await session.close()
            if outcome.end is End.LIMIT and session.gate.limit is not None:
                self._brake.end_at(session.gate.limit)
            if outcome.end not in {*MAY_PASS, End.TIMEOUT}:
                return outcome
            if outcome.status in FATAL_STATUS:
                raise EndOfRun(Exit.FAILED, f"the API refused: {outcome.detail}")
            await self._wait_out(outcome, failures)

    def _with_steering(self, text: str, session: Session) -> str:
        self._steering.collect()
        said = self._steering.hand_over(None, session_start=not session.resumed, room=math.inf)
        return f"{said}\n\n{text}" if said else text

    @contextlib.asynccontextmanager
    async def _phase(self, assignment: Assignment) -> AsyncIterator[None]:
        started = time.monotonic()
        name, number, role = assignment.phase, assignment.round, assignment.casting.role
        self._run.emit(ev.PhaseStarted(phase=name, round=number, role=role))
        try:
            yield
        finally:
            took = round((time.monotonic() - started) * 1000)
            self._run.emit(ev.PhaseEnded(phase=name, round=number, role=role, ms=took))

    # --- Opening ------------------------------------------------------------------------------------

    async def _open(self, assignment: Assignment) -> tuple[Session, str]:
        """A connected session that has begun, and its first words: the open one resumed, or a fresh one."""
        unfinished = self._run.state.open_session
        record = sdk.transcript(unfinished.sdk_session) if unfinished else None
        if (hit := self._brake.limit(new_session=record is None)) is not None:
            self._brake.end_at(hit)
        if unfinished is not None and record is not None:
            with record.open("rb") as lines:
                self._steering.check_arrival(lines)
            session = await self._connected(assignment.casting, resume=unfinished.sdk_session)
            number, words = unfinished.number, tasks.CONTINUE
        else:
            session = await self._fresh(assignment.casting)
            number = unfinished.number if unfinished else self._run.state.sessions + 1
            self._steering.return_to_queue()
            words = assignment.task(number)
        self._session = session
        session.begin(number, assignment.phase, assignment.features, assignment.round)
        self._run.leave_out()
        return session, words

    async def _fresh(self, casting: Casting) -> Session:
        """A connected session: the one made ready meanwhile, or a new one."""
        if self._spare is not None and self._spare[0] == casting:
            connected, self._spare = self._spare[1], None
            with contextlib.suppress(Exception):
                return await connected
        self._drop_spare()
        return await self._connected(casting)

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._in_background(_dispose(self._spare[1]))
            self._spare = None

    async def _connected(self, casting: Casting, resume: str | None = None) -> Session:
        """A session whose CLI has started; one that was killed on the way there is started again."""
        failed = 0
        while True:
            session = Session(self._parts, casting, resume=resume)
            try:
                await session.connect()
            except Exception as error:
                failed += 1
                if failed == STARTS:
                    raise EndOfRun(Exit.FAILED, f"the agent's CLI can't be started: {error}") from error
                said = self._run.redact.text(str(error))[:2000]
                self._run.emit(ev.Retry(attempt=failed, max=STARTS - 1, delay_ms=0, error=said))
                await self._brake.hold()
            else:
                return session

    def _hear(self, event: ev.Event) -> None:
        # After its claim a session has little left to do.
        if isinstance(event, ev.FeatureChanged) and event.to is Status.CLAIMED and self._session is not None:
            self._prepare_next()

    def _prepare_next(self) -> None:
        """Have the CLI of the session that will probably come next started already."""
        casting = self._next_casting()
        if self._spare is not None or casting is None:
            return

        async def connect() -> Session:
            session = Session(self._parts, casting)
            await session.connect()
            return session

        self._spare = (casting, asyncio.create_task(connect()))

    # --- Ending -------------------------------------------------------------------------------------

    def interrupt(self, end: End) -> None:
        """Interrupt the session under way, where there is one."""
        if self._session is not None:
            self._in_background(self._session.halt(end))

    async def _pause(self, session: Session, outcome: Outcome) -> None:
        """The operator interrupted it: end its processes, confirm, and wait until it may go on."""
        self._session = None
        self._drop_spare()
        survivors = list(outcome.survivors) or await session.end_tools()
        self._brake.confirm(survivors)
        await session.close()
        await self._brake.hold()

    async def _after_failure(self, session: Session, outcome: Outcome, failures: Failures) -> None:
        """The API or the CLI failed or fell silent, which may pass: wait, then go on in the same session."""
        self._session = None
        await session.close()
        await self._wait_out(outcome, failures)

    async def _wait_out(self, outcome: Outcome, failures: Failures) -> None:
        # A usage limit has its time, and the CLI doesn't always wait for it; being told is no failure.
        wait = until(self._run.state.waiting_until) if outcome.status == USAGE_LIMIT_STATUS else 0.0
        said = self._run.redact.text(outcome.detail)[:2000]
        silent = outcome.end is End.STALLED
        if not silent:  # Which was told when it was noticed.
            self._run.emit(ev.Error(message=said, kind=outcome.end.value))
        count = 0 if wait else failures.count(self._run.state.turns, inside=outcome.inside)
        if count > TRIES:
            raise EndOfRun(Exit.FAILED, f"the session failed {count} times in a row: {outcome.detail}")
        if count and outcome.end is not End.CRASHED:
            wait = backoff(count)
        self._run.emit(
            ev.Retry(
                attempt=count,
                max=TRIES,
                delay_ms=round(wait * 1000),
                status=outcome.status,
                error=ev.SILENCE if silent else "",
            )
        )
        await self._brake.sleep(wait)

    async def _wrap_up(self, session: Session, outcome: Outcome) -> None:
        """End a session: the next one's CLI starts, what was left uncommitted is committed, the old goes."""
        self._session = None
        if outcome.end is End.DONE:
            self._prepare_next()
        if outcome.end is End.SESSION_LIMIT and session.gate.limit is not None:
            self._brake.note_reached(session.gate.limit)
        self.end(outcome.end.value)
        self._in_background(session.close())
        if outcome.end is End.LIMIT and session.gate.limit is not None:
            self._brake.end_at(session.gate.limit)
        if outcome.end is End.API_ERROR:
            raise EndOfRun(Exit.FAILED, f"the API refused: {outcome.detail}")
        if outcome.end is End.UNGUARDED:
            raise EndOfRun(Exit.FAILED, "a tool ran without its guard: the session was ended, see its trace")

    def end(self, reason: str) -> None:
        """Journal that the open session has ended, after what it has left is safe."""
        ended = self._run.state.open_session
        assert ended is not None
        self._parts.ledger.inspect(None)
        self._tell_new_settings()
        self._commit_rest(ended)
        self._keep_notes_short()
        counts = self._run.state.counts
        worked = self._run.state.active_at(self._brake.now()) - ended.began_ms
        self._run.emit(
            ev.SessionEnded(
                reason=reason,
                ms=worked,
                turns=ended.turns,
                usd=round(ended.usd, 6),
                passing=counts["passing"],
                total=counts["total"],
            )
        )

    def _tell_new_settings(self) -> None:
        """Tell when longwatch.toml is another: the next start obeys it, and not only the operator can have
        written it, since no guard sees what a program does."""
        found = read_bounded(self._run.dir.config_file)
        if found != self._settings:
            self._settings = found
            what = f"{CONFIG_NAME} is not as it was before this session: look at it, the next start obeys it"
            self._run.emit(ev.Error(message=what, kind="settings"))

    def _commit_rest(self, session: OpenSession) -> None:
        """The backstop of the handover: uncommitted work is committed by the engine, and says so."""
        self._parts.history.note(session.role)
        if not self._run.config.switches.commit_on_stop:
            return
        self._commit(f"uncommitted work of session {session.number} ({session.role})")

    def commit_own(self, what: str, *paths: str) -> None:
        """Commit what the engine itself has written at these paths; `what` is the subject."""
        session = self._run.state.open_session
        self._parts.history.note(session.role if session else OUTSIDE)
        self._commit(what, *paths)

    def _commit(self, what: str, *paths: str) -> None:
        try:
            self._run.git.commit_all(OWN + what, *paths)
        except OSError as error:
            self._run.emit(ev.Error(message=str(error), kind="git"))
        self._tell_left_out()
        self._parts.history.note("engine")

    def _tell_left_out(self) -> None:
        left, self._run.git.left_out = self._run.git.left_out, []
        if left:
            self._run.emit(ev.Error(message=told(left), kind="left_out"))
        held = dict.fromkeys(str(finding) for finding in self._run.git.withheld)
        if fresh := [place for place in held if place not in self._told_of]:
            self._told_of.update(fresh)
            places = "; ".join(fresh[:5]) + (f"; and {len(fresh) - 5} more" if len(fresh) > 5 else "")
            said = f"left uncommitted, since it holds what looks like a credential: {places}"
            self._run.emit(ev.Error(message=said, kind="secret"))

    def mend(self) -> None:
        """Bring to its end what a killed engine had begun between two sessions."""
        self._of_notes(handoff.finish)

    def _keep_notes_short(self) -> None:
        if self._run.config.switches.handoff_notes:
            self._of_notes(handoff.keep_short)

    def _of_notes(self, do: Callable[[RunDir, GitRepo], None]) -> None:
        try:
            do(self._run.dir, self._run.git)
        except OSError as error:
            self._run.emit(ev.Error(message=f"the notes can't be shortened: {error}", kind="handoff"))
        self._parts.history.note("engine")

    async def close(self) -> None:
        """Leave no CLI behind."""
        self._drop_spare()
        if self._session is not None:
            # Closed in the middle of a turn, a CLI leaves pipes that complain when the loop is gone.
            await self._session.interrupt()
            self._in_background(self._session.close())
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_WITHIN)

    def _in_background(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _dispose(spare: asyncio.Task[Session]) -> None:
    with contextlib.suppress(Exception):
        await (await spare).close()

"""The engine's control flow: initializer, then build and evaluate until there is nothing left to do.

Where a run stands is in its journal, so this is the same flow for a fresh start and for going on after a
crash: each step first looks at what is there. What ends a run early is an exception (the idea is
mini-swe-agent's), so that the flow reads as what happens when nothing goes wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from harness_core import checkpoints, control, processes, prompting
from harness_core import events as ev
from harness_core.agent import sdk
from harness_core.agent.session import FATAL_STATUS, End, Outcome, Parts, Session, can_resume
from harness_core.app import App
from harness_core.contract import Feature, Status
from harness_core.control import DecisionFile
from harness_core.errors import Exit, LongwatchError
from harness_core.evaluation import VERDICT_SCHEMA, read_verdict
from harness_core.files import read_text, write_whole
from harness_core.ledger import Ledger
from harness_core.limits import LimitHit, reached
from harness_core.run import Run
from harness_core.state import PASSING
from harness_core.steering import Steering
from harness_core.watch import watch

SENT_BACK_AT_MOST = 3
EVALUATORS_AT_MOST = 3
API_RETRIES = 5
API_BACKOFF = 5.0
"""Seconds before a session whose API failed is gone on with; doubled each time."""


class EndOfRun(Exception):
    """The run ends here: the exit code, and why in words."""

    def __init__(self, code: Exit, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Engine:
    """Drives one run to its end. Hold the run's lock."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ledger = Ledger(run)
        self.steering = Steering(run)
        self.app = App(run)
        self._parts = Parts(run, self.ledger, self.steering, self.app, self.stopping)
        self._session: Session | None = None
        self._spare: tuple[str, asyncio.Task[Session]] | None = None
        self._closing: set[asyncio.Task[Any]] = set()
        self.ending: Exit | None = None
        self._counted_head: str | None = None
        self._work_head: str | None = None

    def stopping(self) -> bool:
        """Whether anything may run."""
        return self.ending is not None or control.stop_mode(self.run.dir) is not None

    # --- The flow -----------------------------------------------------------------------------------

    async def drive(self) -> Exit:
        """Run until an end; journals it and returns the exit code."""
        watcher = asyncio.create_task(watch(self.run.dir, self._look))
        try:
            reason, code = await self._to_the_end()
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
            await self._clean_up()
        self.run.emit(ev.RunEnded(reason=reason, exit=int(code)))
        return code

    async def _to_the_end(self) -> tuple[str, Exit]:
        try:
            self.ledger.load()
            await self._hold_while_stopped()
            await self._initialize()
            while True:
                await self._build_and_evaluate()
                if await self._accepted():
                    return "all features pass", Exit.DONE
        except EndOfRun as end:
            return end.reason, end.code

    async def _initialize(self) -> None:
        """Have a frozen contract: an earlier one, one from outside, or one that an initializer writes."""
        if self.ledger.frozen:
            left = self.run.state.open_session
            if left is not None and left.role == "initializer":
                self._end_leftover()
            return
        unfinished = self.run.state.open_session is not None
        if self.run.dir.contract.exists() and not unfinished:
            if (wrong := self.ledger.freeze(None)) is not None:
                raise EndOfRun(Exit.FAILED, wrong)
            return
        expected = self.run.config.features
        async with self._phase("initialize"):
            outcome = await self._hold_session(
                "initializer",
                "initialize",
                None,
                lambda _: prompting.initializer_task(self.run.dir, expected),
                check=lambda: self.ledger.freeze(expected),
            )
        if not self.ledger.frozen:
            raise EndOfRun(
                Exit.FAILED, f"the initializer left no contract that can be frozen: {outcome.detail}"
            )

    async def _build_and_evaluate(self) -> None:
        """One feature after the other, until none is left to build."""
        await self._checkpoint_after_verdict()
        while (feature := self._next_feature()) is not None or self._unverified():
            before = self._progress_mark()
            if feature is not None:
                await self._build(feature)
            await self._evaluate()
            await self._checkpoint_after_verdict()
            self._skip_if_hopeless(feature)
            self._stop_after_finish()
            if self._progress_mark() == before:
                on = f" on {feature.id}" if feature else ""
                raise EndOfRun(
                    Exit.FAILED, f"a whole cycle{on} changed nothing, {self._left()} features are left"
                )
        if self._left():
            raise EndOfRun(Exit.FAILED, f"{self._left()} features are left, given up after several attempts")

    async def _build(self, feature: Feature | None) -> None:
        async with self._phase("build"):
            await self._hold_session(
                "generator",
                "build",
                feature.id if feature else None,
                lambda number: self._generator_task(number, feature),
            )

    async def _evaluate(self) -> None:
        """A fresh evaluator for each claimed feature, where the switch says so."""
        for feature_id in self._unverified():
            known = self.run.state.verdict
            if (
                known is not None
                and feature_id in known.scope
                and known.seq > self.run.state.features[feature_id].seq
            ):
                self._apply_verdict(known)
                continue
            feature = self.ledger.feature(feature_id)
            assert feature is not None
            evidence = [piece.path for piece in self.run.state.features[feature_id].evidence]
            commit = self.run.git.head()
            answer = await self._judgement(feature, commit, evidence)
            verdict = self.run.emit(read_verdict(answer, [feature_id], commit))
            self._apply_verdict(verdict)

    async def _judgement(
        self, feature: Feature, commit: str | None, evidence: list[str]
    ) -> Mapping[str, Any]:
        """A verdict by a fresh evaluator; one that gives none is followed by another."""
        for _ in range(EVALUATORS_AT_MOST):
            async with self._phase("evaluate"):
                outcome = await self._hold_session(
                    "evaluator",
                    "evaluate",
                    feature.id,
                    lambda _: prompting.evaluator_task(self.run.dir, [feature], commit, evidence),
                )
            if outcome.end is End.DONE and outcome.answer is not None:
                return outcome.answer
        raise EndOfRun(Exit.FAILED, f"no evaluator gave a verdict on {feature.id}: {outcome.detail}")

    def _apply_verdict(self, verdict: ev.Verdict) -> None:
        named = {finding.feature for finding in verdict.findings}
        for feature_id in verdict.scope:
            if verdict.verdict == "PASS" and feature_id not in named:
                self.ledger.change(feature_id, Status.VERIFIED, by="evaluator")
            elif self.ledger.status(feature_id) in PASSING:
                note = "; ".join(item.where for item in verdict.findings if item.feature == feature_id)
                self.ledger.change(feature_id, Status.FAILING, by="evaluator", note=note or "needs work")
        for other in named - set(verdict.scope):
            if other is not None and self.ledger.feature(other) is not None:
                self.ledger.report_regression(other, "named in the evaluator's findings", by="evaluator")
        self._write_findings(verdict)

    def _write_findings(self, verdict: ev.Verdict) -> None:
        listed = [msgspec.structs.astuple(finding) for finding in verdict.findings]
        page = prompting.findings_page(listed) if listed else "# Findings\n\nNone are open.\n"
        if listed or self.run.dir.findings.exists():
            write_whole(self.run.dir.findings, page.encode())

    async def _accepted(self) -> bool:
        """The operator's last word, where the policy asks for it."""
        policy = self._checkpoint_policy()
        if "end" not in policy:
            return True
        if self.run.state.checkpoint is None and self._all_approved():
            return True
        passing = [
            feature_id for feature_id in self.run.state.features if self.ledger.status(feature_id) in PASSING
        ]
        return await self._ask(
            "end", passing, f"All {len(passing)} features pass: is the work as it should be?"
        )

    def _all_approved(self) -> bool:
        return all(item.status is Status.APPROVED for item in self.run.state.features.values())

    # --- Choosing -----------------------------------------------------------------------------------

    def _next_feature(self) -> Feature | None:
        """The feature in hand of a cut-off session; else regressed ones, then the rest in their order."""
        session = self.run.state.open_session
        if session is not None and session.role == "generator" and session.feature:
            return self.ledger.feature(session.feature)
        if session is not None and session.role == "evaluator":
            return None
        for wanted in (Status.REGRESSED, Status.FAILING):
            for feature in self.ledger.features:
                if self.ledger.status(feature.id) is wanted:
                    return feature
        return None

    def _unverified(self) -> list[str]:
        if self.run.config.switches.evaluator != "feature":
            return []
        return [item.id for item in self.ledger.features if self.ledger.status(item.id) is Status.CLAIMED]

    def _left(self) -> int:
        counts = self.run.state.counts
        return counts["total"] - counts["passing"]

    def _skip_if_hopeless(self, feature: Feature | None) -> None:
        if feature is None or self.ledger.status(feature.id) in PASSING:
            return
        attempts = self.run.state.features[feature.id].attempts
        if attempts >= self.run.config.max_retries:
            self.ledger.change(
                feature.id, Status.SKIPPED, by="engine", note=f"no accepted claim in {attempts} attempts"
            )

    def _progress_mark(self) -> object:
        """What has to differ after a cycle that did anything: statuses, and commits beyond notes."""
        statuses = tuple(item.status for item in self.run.state.features.values())
        return statuses, self._work_commits()

    def _work_commits(self) -> str | None:
        notes = {self.run.dir.notes.name, self.run.dir.findings.name}
        head = self.run.git.head()
        if head != self._counted_head:
            changed = set(self.run.git.changed_since(self._counted_head)) if head else set()
            if changed - notes:
                self._work_head = head
            self._counted_head = head
        return self._work_head

    def _generator_task(self, number: int, feature: Feature | None) -> str:
        skipped = [key for key, item in self.run.state.features.items() if item.status is Status.SKIPPED]
        attempts = self.run.state.features[feature.id].attempts if feature else 0
        return prompting.generator_task(
            self.run.dir, number, feature, self._open_findings(feature), attempts, skipped
        )

    def _open_findings(self, feature: Feature | None) -> str:
        verdict = self.run.state.verdict
        about = feature is None or (verdict is not None and feature.id in verdict.scope)
        if verdict is None or verdict.verdict != "NEEDS_WORK" or not about:
            return ""
        return (read_text(self.run.dir.findings) or "").strip()

    # --- Sessions -----------------------------------------------------------------------------------

    async def _hold_session(
        self,
        role: str,
        phase: str,
        feature: str | None,
        task: Callable[[int], str],
        check: Callable[[], str | None] | None = None,
    ) -> Outcome:
        """One session from its first message to its end, over pauses, resumptions and failures of the API.

        `check` looks at what the session made and returns what is wrong, which the agent is told.
        """
        sent_back = api_failures = 0
        while True:
            await self._hold_while_stopped()
            session, words = await self._open(role, phase, feature, task)
            outcome = await session.converse(self._with_steering(words))
            while outcome.end is End.DONE and check is not None and (wrong := check()) is not None:
                outcome = Outcome(End.REFUSED, wrong)
                sent_back += 1
                if sent_back > SENT_BACK_AT_MOST:
                    break
                outcome = await session.converse(prompting.sent_back(self.run.dir.contract.name, wrong))
            if outcome.end is End.STOPPED:
                await self._pause(session, outcome)
            elif outcome.end in (End.API_ERROR, End.CRASHED) and outcome.status not in FATAL_STATUS:
                api_failures += 1
                await self._after_failure(session, outcome, api_failures)
            else:
                await self._wrap_up(session, outcome)
                return outcome

    def _with_steering(self, text: str) -> str:
        self.steering.collect()
        said = self.steering.hand_over(None, session_start=True)
        return f"{said}\n\n{text}" if said else text

    async def _open(
        self, role: str, phase: str, feature: str | None, task: Callable[[int], str]
    ) -> tuple[Session, str]:
        """A connected session that has begun, and its first words: the open one resumed, or a fresh one."""
        unfinished = self.run.state.open_session
        if unfinished is not None and unfinished.role != role:
            self._end_leftover()
            unfinished = None
        if unfinished is not None and can_resume(unfinished.sdk_session):
            session = Session(self._parts, role, self._schema(role), resume=unfinished.sdk_session)
            path = sdk.transcript(unfinished.sdk_session)
            if path is not None:
                with path.open("rb") as lines:
                    self.steering.check_arrival(lines)
            await self._connect(session)
            number, words = unfinished.number, prompting.CONTINUE
        else:
            self._check_limits()
            session = await self._fresh(role)
            number = unfinished.number if unfinished else self.run.state.sessions + 1
            self.steering.return_to_queue()
            words = task(number)
        self._session = session
        session.begin(number, phase, feature)
        return session, words

    def _end_leftover(self) -> None:
        """A crash came between the end of a session's work and the word about it."""
        left = self.run.state.open_session
        if left is not None:
            self.run.emit(ev.SessionEnded(reason="cut_off", ms=0, turns=left.turns, usd=round(left.usd, 6)))

    async def _fresh(self, role: str) -> Session:
        """A connected session: the one made ready meanwhile, or a new one."""
        if self._spare is not None:
            spare_role, task = self._spare
            self._spare = None
            if spare_role == role:
                with contextlib.suppress(Exception):
                    return await task
            else:
                self._dispose(task)
        session = Session(self._parts, role, self._schema(role))
        await self._connect(session)
        return session

    async def _connect(self, session: Session) -> None:
        try:
            await session.connect()
        except Exception as error:
            await session.close()
            raise EndOfRun(Exit.FAILED, f"the agent's CLI can't be started: {error}") from error

    def _schema(self, role: str) -> Mapping[str, Any] | None:
        return VERDICT_SCHEMA if role == "evaluator" else None

    def prepare_next(self) -> None:
        """Connect the next session's CLI while the present session wraps up (it takes 0.3 s)."""
        if self._spare is not None or not self._goes_on():
            return
        role = "evaluator" if self._unverified() else "generator"

        async def connect() -> Session:
            session = Session(self._parts, role, self._schema(role))
            await session.connect()
            return session

        self._spare = (role, asyncio.create_task(connect()))

    def _goes_on(self) -> bool:
        limits = reached(self.run.config.limits, self.run.state, new_session=True)
        stopping = self.stopping() or self.run.dir.finish_file.exists()
        return limits is None and not stopping and self._work_left()

    def _work_left(self) -> bool:
        waiting = any(
            item.status in (Status.REGRESSED, Status.FAILING) for item in self.run.state.features.values()
        )
        return waiting or bool(self._unverified())

    def _dispose(self, task: asyncio.Task[Session]) -> None:
        async def close() -> None:
            with contextlib.suppress(Exception):
                await (await task).close()

        self._in_background(close())

    def _in_background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _wrap_up(self, session: Session, outcome: Outcome) -> None:
        """End a session: the next one's CLI starts, what was left uncommitted is committed, the old goes."""
        if outcome.end is End.DONE:
            self.prepare_next()
        self.ledger.inspect(None)
        self._commit_rest(session)
        open_session = self.run.state.open_session
        assert open_session is not None
        self._session = None
        self._in_background(session.close())
        self.run.emit(
            ev.SessionEnded(
                reason=outcome.end.value,
                ms=round(_since(open_session.started) * 1000),
                turns=open_session.turns,
                usd=round(open_session.usd, 6),
            )
        )
        if outcome.end is End.LIMIT:
            self._raise_limit()
        if outcome.end is End.API_ERROR:
            raise EndOfRun(Exit.FAILED, f"the API refused: {outcome.detail}")
        if outcome.end is End.UNGUARDED:
            raise EndOfRun(
                Exit.FAILED, "a tool ran without its guard: the session was ended, look at its trace"
            )

    def _commit_rest(self, session: Session) -> None:
        """The backstop of the handoff: uncommitted work is committed by the engine, and says so."""
        gate = session.gate
        gate.note_commits()
        if not self.run.config.switches.commit_on_stop:
            return
        number = self.run.state.sessions
        try:
            self.run.git.commit_all(f"longwatch: uncommitted work of session {number} ({session.role})")
        except OSError as error:
            self.run.emit(ev.Error(message=str(error), kind="git"))
        gate.note_commits(by="engine")

    async def _after_failure(self, session: Session, outcome: Outcome, failures: int) -> None:
        """The API or the CLI failed in a way that may pass: wait, then go on in the same session."""
        self._session = None
        await session.close()
        self.run.emit(ev.Error(message=outcome.detail[:2000], kind=outcome.end.value))
        if failures > API_RETRIES:
            raise EndOfRun(Exit.FAILED, f"the session failed {failures} times in a row: {outcome.detail}")
        delay = API_BACKOFF * 2 ** (failures - 1) if outcome.end is End.API_ERROR else 0.0
        self.run.emit(
            ev.Retry(attempt=failures, max=API_RETRIES, delay_ms=round(delay * 1000), status=outcome.status)
        )
        await self._sleep(delay)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not past a stop."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.stopping():
            await asyncio.sleep(0.1)
        await self._hold_while_stopped()

    # --- Stop, limits, checkpoints ------------------------------------------------------------------

    def _look(self) -> None:
        """Take notice of the operator's files."""
        try:
            self.steering.collect()
            state = self.run.state
            if control.stop_mode(self.run.dir) is not None:
                if state.stop_requested not in ("pause", "now"):
                    self.run.emit(ev.StopRequested(mode="pause"))
                    self._interrupt(End.STOPPED)
            elif self.run.dir.finish_file.exists() and state.stop_requested is None:
                self.run.emit(ev.StopRequested(mode="finish"))
        except (OSError, LongwatchError) as error:
            self.run.emit(ev.Error(message=f"the operator's files can't be read: {error}", kind="control"))

    def _interrupt(self, end: End) -> None:
        if self._session is not None:
            self._in_background(self._session.halt(end))

    def end_now(self, code: Exit, mode: str) -> None:
        """Interrupt what runs and end the run with `code`. `mode` is `pause` or `now`."""
        first = self.ending is None
        self.ending = code
        if first:
            self.run.emit(ev.StopRequested(mode=mode))
            self._interrupt(End.STOPPED)

    async def _pause(self, session: Session, outcome: Outcome) -> None:
        """The turn was interrupted by the operator: end its processes, confirm, wait for the file to go."""
        self._session = None
        left = list(outcome.survivors) or await session.end_tools()
        self._confirm_stop(left)
        await session.close()
        await self._hold_while_stopped()

    def _confirm_stop(self, survivors: list[str]) -> None:
        mode = self.run.state.stop_requested or "pause"
        if self.run.state.stop_requested is None:
            self.run.emit(ev.StopRequested(mode=mode))
        self.run.emit(ev.StopConfirmed(mode=mode, survivors=survivors))

    async def _hold_while_stopped(self) -> None:
        """Return when nothing holds the run; end it where nobody waits at a console."""
        if self.ending is not None:
            if self.run.state.stop_confirmed is None:
                self._confirm_stop([])
            raise EndOfRun(self.ending, "stopped by the operator")
        if control.stop_mode(self.run.dir) is None:
            if self.run.state.stop_requested == "pause":
                self.run.emit(ev.StopCleared())
            return
        if self.run.state.stop_confirmed is None:
            self._confirm_stop([])
        if not self.run.console:
            raise EndOfRun(Exit.STOPPED, "AGENT_STOP is there")
        while control.stop_mode(self.run.dir) is not None and self.ending is None:
            await asyncio.sleep(0.1)
        await self._hold_while_stopped()

    def _stop_after_finish(self) -> None:
        if not self.run.dir.finish_file.exists():
            return
        self.run.dir.finish_file.unlink(missing_ok=True)
        if self.run.state.stop_requested is None:
            self.run.emit(ev.StopRequested(mode="finish"))
        self.run.emit(ev.StopConfirmed(mode="finish"))
        raise EndOfRun(Exit.STOPPED, "the feature in hand is finished, as asked by AGENT_FINISH")

    def _check_limits(self) -> None:
        if (hit := reached(self.run.config.limits, self.run.state, new_session=True)) is not None:
            self._raise_limit(hit)

    def _raise_limit(self, hit: LimitHit | None = None) -> None:
        hit = hit or reached(self.run.config.limits, self.run.state, new_session=True)
        assert hit is not None
        self.run.emit(ev.LimitReached(limit=hit.name, value=hit.value, cap=hit.cap))
        raise EndOfRun(Exit.LIMIT, str(hit))

    def _checkpoint_policy(self) -> frozenset[str]:
        chosen = self.run.config.switches.checkpoints
        if chosen is None:
            return frozenset({"on-needs-work", "end"} if self.run.console else ())
        return frozenset({chosen} - {"never"})

    async def _checkpoint_after_verdict(self) -> None:
        """Take up an open checkpoint, or ask about a verdict that the operator wants to see."""
        state, policy = self.run.state, self._checkpoint_policy()
        if (asked := state.checkpoint) is not None and asked.kind != "end":
            await self._ask(asked.kind, asked.features, asked.summary)
            return
        verdict = state.verdict
        if verdict is None or verdict.seq < state.asked_seq:
            return
        names = ", ".join(verdict.scope)
        if verdict.verdict == "NEEDS_WORK" and "on-needs-work" in policy:
            await self._ask("needs-work", verdict.scope, f"The evaluator wants more work on {names}.")
        elif verdict.verdict == "PASS" and "on-pass" in policy:
            await self._ask("pass", verdict.scope, f"The evaluator is satisfied with {names}.")

    async def _ask(self, kind: str, features: list[str], summary: str) -> bool:
        """Open a checkpoint, or take up the open one, and wait for the answer; True when approved."""
        if self.run.state.checkpoint is None:
            checkpoints.open_checkpoint(self.run, kind, features, summary)
        while (answer := checkpoints.take_decision(self.run)) is None:
            asked = self.run.state.checkpoint
            if not self.run.console and asked is not None:
                raise EndOfRun(Exit.WAITING, f"checkpoint {asked.id} waits for the operator: {asked.summary}")
            if self.stopping():
                await self._hold_while_stopped()
            await asyncio.sleep(0.1)
        await self._follow_decision(kind, features, answer)
        return answer.decision == "approve"

    async def _follow_decision(self, kind: str, features: list[str], answer: DecisionFile) -> None:
        """Approving agrees with what was shown: good work is approved, findings go to the builder.
        Sending back opens what was asked about again, with the operator's words."""
        if answer.note and answer.decision != "skip":
            control.steer(
                self.run.dir, f"The operator on {', '.join(features)}: {answer.note}", "next", answer.by
            )
        if answer.decision == "approve" and kind == "needs-work":
            return
        if answer.decision == "reject" and kind == "end":
            await self._build(None)
            return
        to = {"approve": Status.APPROVED, "skip": Status.SKIPPED, "reject": Status.REGRESSED}[answer.decision]
        for feature_id in features:
            if to is not Status.REGRESSED or self.ledger.status(feature_id) in PASSING:
                self.ledger.change(feature_id, to, by="operator", note=answer.note)

    # --- Phases and the end -------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _phase(self, name: str) -> AsyncIterator[None]:
        started = time.monotonic()
        self.run.emit(ev.PhaseStarted(phase=name))
        try:
            yield
        finally:
            self.run.emit(ev.PhaseEnded(phase=name, ms=round((time.monotonic() - started) * 1000)))

    async def _clean_up(self) -> None:
        """Nothing of the run stays alive, whatever ended it."""
        if self._spare is not None:
            self._dispose(self._spare[1])
        if self._session is not None:
            await self._session.close()
        if self._closing:
            await asyncio.wait(self._closing, timeout=10)
        await self.app.stop()
        left = processes.marked(processes.RUN_MARK, self.run.mark)
        survivors = await asyncio.to_thread(processes.terminate, left) if left else []
        for item in survivors:
            self.run.emit(ev.Error(message=f"a process of the run is still alive: {item}", kind="process"))


def _since(started: str) -> float:
    from datetime import UTC, datetime  # noqa: PLC0415

    try:
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds())
    except ValueError:
        return 0.0

"""The engine: asks what is next, does it, and asks again, until the run ends."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from harness_core import checkpoints, processes, prompting
from harness_core import events as ev
from harness_core.agent.session import End, Outcome, Parts
from harness_core.app import App
from harness_core.brake import POLL, Brake, EndOfRun
from harness_core.contract import Feature, Status
from harness_core.errors import Exit, LongwatchError
from harness_core.evaluation import read_verdict
from harness_core.files import read_text
from harness_core.flow import (
    Apply,
    Ask,
    Build,
    Close,
    Evaluate,
    Finish,
    Initialize,
    Plan,
    Skip,
    next_step,
    refuted,
)
from harness_core.history import OUTSIDE, History
from harness_core.ledger import Ledger
from harness_core.run import Run
from harness_core.sessions import Assignment, Sessions
from harness_core.state import PASSING
from harness_core.steering import Steering
from harness_core.watch import watch

EVALUATORS_AT_MOST = 3
"""Evaluators in a row that may give no verdict on a feature."""


class Engine:
    """Drives one run to its end. Hold the run's lock."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ledger = Ledger(run)
        self.steering = Steering(run)
        self.history = History(run)
        self.brake = Brake(run)
        self.app = App(run)
        parts = Parts(run, self.ledger, self.steering, self.history, self.app, self.brake)
        self.sessions = Sessions(run, parts, self._next_role)
        self._idle = 0
        self._noted_head: str | None = None
        self._work_head: str | None = None
        self._trouble = ""

    async def drive(self) -> Exit:
        """Run until an end; journals it and returns the exit code."""
        watcher = asyncio.create_task(watch(self.run.dir, self._look))
        try:
            end = await self._to_the_end()
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            await self._clean_up()
        self.run.emit(ev.RunEnded(reason=end.reason, exit=int(end.code)))
        return end.code

    def end_now(self, code: Exit, mode: str) -> None:
        """Interrupt what runs and end the run with `code`. `mode` is `pause` or `now`."""
        if self.brake.end(code, mode):
            self.sessions.interrupt(End.STOPPED)

    def _look(self) -> None:
        """Take notice of the operator's files."""
        trouble = ""
        try:
            self.steering.collect()
            if self.brake.note_requests():
                self.sessions.interrupt(End.STOPPED)
        except (OSError, LongwatchError) as error:
            trouble = f"the operator's files can't be read: {error}"
        if trouble and trouble != self._trouble:
            # Where not even this can be written, the flow meets the same and ends with a sentence.
            with contextlib.suppress(OSError, LongwatchError):
                self.run.emit(ev.Error(message=trouble, kind="control"))
        self._trouble = trouble

    # --- The flow -----------------------------------------------------------------------------------

    async def _to_the_end(self) -> EndOfRun:
        open_session = self.run.state.open_session
        try:
            self.ledger.load()
            self.history.note(open_session.role if open_session else OUTSIDE)
            while True:
                await self.brake.hold()
                await self._step()
        except EndOfRun as end:
            return end

    def _plan(self) -> Plan:
        config = self.run.config
        chosen = config.switches.checkpoints
        if chosen is None:
            asks = frozenset({"on-needs-work", "end"} if self.run.console else ())
        else:
            asks = frozenset({chosen} - {"never"})
        return Plan(config.switches.evaluator == "feature", asks, config.max_retries)

    async def _step(self) -> None:
        """Do the next thing. Raises EndOfRun when that is the end."""
        match next_step(self.run.state, self._plan()):
            case Initialize():
                await self._initialize()
            case Close():
                self.sessions.end("cut_off")
            case Build(feature):
                await self._build(feature)
            case Evaluate(feature):
                await self._evaluate(feature)
            case Apply(verdict):
                self._apply(verdict)
            case Ask() as question:
                await self._ask(question)
            case Skip(feature, attempts):
                note = f"no accepted claim in {attempts} attempts"
                self.ledger.change(feature, Status.SKIPPED, by="engine", note=note)
            case Finish(code, reason):
                raise EndOfRun(code, reason)

    async def _initialize(self) -> None:
        """Have a frozen contract: one from outside, or one that an initializer writes."""
        if self.run.dir.contract.exists() and not self.run.state.sessions:
            if (wrong := self.ledger.freeze(None)) is not None:
                raise EndOfRun(Exit.FAILED, wrong)
            return
        expected = self.run.config.features
        outcome = await self.sessions.hold(
            Assignment(
                role="initializer",
                phase="initialize",
                feature=None,
                task=lambda _: prompting.initializer_task(self.run.dir, expected),
                check=lambda _: self.ledger.freeze(expected),
            )
        )
        if not self.ledger.frozen:
            raise EndOfRun(Exit.FAILED, f"the initializer left no contract to build from: {outcome.detail}")

    async def _build(self, feature_id: str | None) -> None:
        """A session of the generator; several in a row that change nothing are the end."""
        if self.run.state.open_session is None:
            self.brake.stop_if_finished()
        feature = self.ledger.feature(feature_id) if feature_id else None
        before = self._progress()
        await self.sessions.hold(
            Assignment(
                role="generator",
                phase="build",
                feature=feature_id,
                task=lambda number: self._generator_task(number, feature),
            )
        )
        self._idle = self._idle + 1 if self._progress() == before else 0
        if self._idle >= self.run.config.max_retries:
            counts = self.run.state.counts
            left = counts["total"] - counts["passing"]
            raise EndOfRun(
                Exit.FAILED, f"{self._idle} sessions in a row changed nothing, {left} features left"
            )

    async def _evaluate(self, feature_id: str) -> None:
        """A verdict by a fresh evaluator; one that gives none is followed by another."""
        feature = self.ledger.feature(feature_id)
        assert feature is not None
        commit = self.run.git.head()
        evidence = [piece.path for piece in self.run.state.features[feature_id].evidence]

        def take(outcome: Outcome) -> None:
            if outcome.answer is not None:
                self.run.emit(read_verdict(outcome.answer, [feature_id], commit))

        assignment = Assignment(
            role="evaluator",
            phase="evaluate",
            feature=feature_id,
            task=lambda _: prompting.evaluator_task(self.run.dir, [feature], commit, evidence),
            check=take,
        )
        for _ in range(EVALUATORS_AT_MOST):
            outcome = await self.sessions.hold(assignment)
            if outcome.answer is not None:
                return
        raise EndOfRun(Exit.FAILED, f"no evaluator gave a verdict on {feature_id}: {outcome.detail}")

    def _apply(self, verdict: ev.Verdict) -> None:
        """What a verdict means for the features. Those in its scope come last: they show that it is done."""
        checkpoints.write_findings(self.run, verdict)
        named = {finding.feature for finding in verdict.findings}
        for other in named - set(verdict.scope):
            if other is not None and self.ledger.feature(other) is not None:
                self.ledger.report_regression(other, "named in the evaluator's findings", by="evaluator")
        for feature_id in verdict.scope:
            if verdict.verdict == "PASS" and feature_id not in named:
                self.ledger.change(feature_id, Status.VERIFIED, by="evaluator")
            elif self.ledger.status(feature_id) in PASSING:
                note = "; ".join(item.where for item in verdict.findings if item.feature == feature_id)
                self.ledger.change(feature_id, Status.FAILING, by="evaluator", note=note or "needs work")

    async def _ask(self, question: Ask) -> None:
        """Open a checkpoint, or take up the open one, and wait for the answer that counts."""
        if self.run.state.checkpoint is None:
            checkpoints.open_checkpoint(self.run, question.kind, question.features, question.summary)
        while not checkpoints.follow_decision(self.run, self.ledger):
            asked = self.run.state.checkpoint
            if not self.run.console and asked is not None:
                raise EndOfRun(Exit.WAITING, f"checkpoint {asked.id} waits for the operator: {asked.summary}")
            await self.brake.hold()
            await asyncio.sleep(POLL)

    # --- What sessions are told ---------------------------------------------------------------------

    def _generator_task(self, number: int, feature: Feature | None) -> str:
        state = self.run.state
        attempts = state.features[feature.id].attempts if feature else 0
        skipped = state.with_status(Status.SKIPPED)
        return prompting.generator_task(number, feature, self._open_findings(feature), attempts, skipped)

    def _open_findings(self, feature: Feature | None) -> str:
        verdict = self.run.state.verdict
        if verdict is None or (feature is not None and feature.id not in refuted(verdict)):
            return ""
        return (read_text(self.run.dir.findings) or "").strip()

    # --- Looking ahead and back ---------------------------------------------------------------------

    def _next_role(self) -> str | None:
        """Who will probably work after the session that wraps up now; None when nobody may."""
        if self.brake.on or self.brake.finishing or self.brake.limit() is not None:
            return None
        state = msgspec.structs.replace(self.run.state, open_session=None)
        match next_step(state, self._plan()):
            case Build():
                return "generator"
            case Evaluate():
                return "evaluator"
        return None

    def _progress(self) -> object:
        """What differs after a session that did anything: statuses, and commits of more than bookkeeping."""
        run = self.run.dir
        bookkeeping = {path.name for path in (run.spec, run.notes, run.findings, self.ledger.path)}
        head = self.run.git.head()
        if head != self._noted_head:
            if head and set(self.run.git.changed_since(self._noted_head)) - bookkeeping:
                self._work_head = head
            self._noted_head = head
        return tuple(item.status for item in self.run.state.features.values()), self._work_head

    async def _clean_up(self) -> None:
        """Nothing of the run stays alive, whatever ended it, and whether or not that can be journaled."""
        await self.sessions.close()
        with contextlib.suppress(OSError, LongwatchError):
            await self.app.stop()
        left = processes.marked(processes.RUN_MARK, self.run.mark)
        survivors = await asyncio.to_thread(processes.terminate, left) if left else []
        for item in survivors:
            with contextlib.suppress(OSError, LongwatchError):
                self.run.emit(
                    ev.Error(message=f"a process of the run is still alive: {item}", kind="process")
                )

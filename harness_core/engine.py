"""The engine: asks what is next, does it, and asks again, until the run ends."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from harness_core.agent.session import Casting, End, Parts
from harness_core.brake import POLL, Brake, EndOfRun
from harness_core.contract.ledger import Ledger
from harness_core.contract.record import Status
from harness_core.errors import Exit, LongwatchError
from harness_core.machine import processes
from harness_core.machine.app import App
from harness_core.machine.gitfiles import OWN
from harness_core.operator import checkpoints, rewordings, skips
from harness_core.operator.steering import Steering
from harness_core.operator.watch import watch
from harness_core.record import events as ev
from harness_core.record.history import OUTSIDE, History
from harness_core.run import Run
from harness_core.sessions import Sessions
from harness_core.steps import goal, handoff
from harness_core.steps.attempts import Attempts
from harness_core.steps.building import Building
from harness_core.steps.flow import (
    Agree,
    Apply,
    Ask,
    Build,
    Choose,
    Close,
    EndSprint,
    Evaluate,
    Finish,
    Initialize,
    Plan,
    Propose,
    Review,
    Revisit,
    Skip,
    Specify,
    StartSprint,
    next_step,
)
from harness_core.steps.groundwork import Groundwork, digest
from harness_core.steps.judgement import Judgement
from harness_core.steps.negotiation import PROPOSER, REVIEWER, Negotiation

UNTOUCHED = 5
"""Features in a row on all whose attempts nothing was changed, after which no other is tried."""


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
        self.sessions = Sessions(run, parts, self._next_casting)
        self.groundwork = Groundwork(run, self.ledger, self.sessions)
        self.negotiation = Negotiation(run, self.ledger, self.sessions)
        self.building = Building(run, self.ledger, goal.Goal(run, self.brake, self.sessions))
        self.judgement = Judgement(run, self.ledger, self.sessions)
        self.attempts = Attempts(run)
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
        reason = end.reason + goal.told(self.run.state)
        self.run.emit(ev.RunEnded(reason=reason, exit=int(end.code)))
        return end.code

    def end_now(self, code: Exit, mode: str) -> None:
        """Interrupt what runs and end the run with `code`. `mode` is `pause` or `now`."""
        if self.brake.end(code, mode):
            self.sessions.interrupt(End.STOPPED)

    def _look(self) -> None:
        """Take notice of the operator's files."""
        trouble = ""
        try:
            self._take_up()
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

    def _take_up(self) -> None:
        """Do what the operator asks for about features."""
        skips.take_up(self.run, self.ledger)
        rewordings.take_up(self.run, self.ledger)

    # --- The flow -----------------------------------------------------------------------------------

    async def _to_the_end(self) -> EndOfRun:
        open_session = self.run.state.open_session
        try:
            self.ledger.load()
            self.attempts.listen()
            self.history.note(open_session.role if open_session else OUTSIDE)
            self.sessions.mend()
            while True:
                await self.brake.hold()
                self._take_up()
                await self._step()
        except EndOfRun as end:
            return end

    def _plan(self) -> Plan:
        config, switches = self.run.config, self.run.config.switches
        asked = switches.checkpoints
        if asked is None:
            words = {"on-needs-work", "end"} if self.run.console else set()
        else:
            words = {word.strip() for word in asked.split(",")} - {"never"}
        clock = next((word for word in words if word.startswith("every ")), None)
        plans = switches.planner and config.mode == "build" and bool(config.prompt)
        return Plan(
            max_retries=config.max_retries,
            checkpoints=frozenset(words - {clock}),
            every_hours=float(clock.removeprefix("every ").removesuffix("h")) if clock else None,
            asks_on_contract=self.run.console and bool(words),
            planner=plans,
            contract=self._has_contract(),
            request="" if config.mode == "build" else digest(config.prompt),
            negotiates=switches.sprint_contracts,
            continuous=switches.context == "continuous",
            cadence=switches.evaluator,
            rounds=switches.rounds,
            contract_rounds=switches.contract_rounds,
            sprint_features=switches.sprint_features,
            min_iterations=min(switches.min_iterations, switches.max_iterations),
            max_iterations=switches.max_iterations,
        )

    def _has_contract(self) -> bool:
        found = self.ledger.frozen or (not self.run.state.sessions and self.run.dir.contract.exists())
        return found or self.run.config.switches.initializer

    async def _step(self) -> None:
        """Do the next thing. Raises EndOfRun when that is the end."""
        match next_step(self.run.state, self._plan()):
            case Specify():
                await self.groundwork.specify()
            case Initialize():
                await self.groundwork.initialize()
            case StartSprint(number, features):
                self.negotiation.start(number, features)
            case Propose(sprint):
                await self.negotiation.propose(sprint)
            case Review(sprint):
                await self.negotiation.review(sprint)
            case Agree(sprint, by):
                self.negotiation.agree(sprint, by)
            case EndSprint(number):
                self.run.emit(ev.SprintEnded(sprint=number))
            case Close():
                self.sessions.end("cut_off")
            case Build() as build:
                await self._build(build)
            case Evaluate(scope):
                await self.judgement.evaluate(scope, self._round())
            case Apply(verdict):
                self.judgement.apply(verdict)
            case Choose(number, by):
                self._choose(number, by)
            case Ask() as question:
                await self._ask(question)
            case Skip(feature, why):
                self._skip(feature, why)
            case Revisit(feature):
                why = "all else is done: tried once more"
                self.ledger.change(feature, Status.FAILING, by="engine", note=why)
            case Finish(code, reason):
                own = (self.ledger.path.name, self.run.dir.findings.name)
                self.sessions.commit_own("the contract and the findings as the run leaves them", *own)
                idle = self._idle_told if code is Exit.FAILED else ""
                raise EndOfRun(code, f"{reason}; {idle}" if idle else reason)

    async def _build(self, build: Build) -> None:
        """A session of the generator. Several in a row that change nothing are named; where no feature is at
        stake, whose attempts run out, or one after the other is given up so, they are the end."""
        if self.run.state.open_session is None:
            self.brake.stop_if_finished()
        before = self._progress()
        await self.sessions.hold(self.building.assignment(build, self._round()))
        self._idle = self._idle + 1 if self._progress() == before else 0
        if self._idle and self._idle % self.run.config.max_retries == 0:
            self.run.emit(ev.LoopDetected(what="sessions in a row that changed nothing", times=self._idle))
            if not build.features or self._idle >= UNTOUCHED * self.run.config.max_retries:
                raise EndOfRun(Exit.FAILED, self._idle_told)

    @property
    def _idle_told(self) -> str:
        """How many sessions before now changed nothing, where that is worth a word."""
        if self._idle < self.run.config.max_retries:
            return ""
        return f"the last {f'{self._idle} sessions' if self._idle > 1 else 'session'} changed nothing"

    def _skip(self, feature: str, why: str) -> None:
        """Give a feature up for now, which is a loop of its own kind where it was tried more than once."""
        times = self.run.state.features[feature].attempts
        if times > 1:
            self.run.emit(ev.LoopDetected(what=f"{feature} failed again and again", times=times))
        self.ledger.change(feature, Status.SKIPPED, by="engine", note=why)

    def _round(self) -> int:
        """Which time round this is, for the costs: of a sprint, of a design, or of mending at the end."""
        state, plan = self.run.state, self._plan()
        if plan.sprints:
            return max(state.sprints, 1)
        if plan.max_iterations:
            return len(state.iterations) + 1
        return state.needs_work + 1 if plan.cadence == "end" else 1

    def _choose(self, number: int, by: str) -> None:
        """Put an iteration's files back where another is the newest, as a commit of its own."""
        chosen = next(one for one in self.run.state.iterations if one.number == number)
        # Iterations that share a commit can't be told apart by git: the files stay as they are.
        if chosen.commit and chosen.commit != self.run.state.iterations[-1].commit:
            self.run.git.bring_back(chosen.commit, f"{OWN}iteration {number} stands")
            self.history.note("engine")
        self.run.emit(ev.IterationChosen(iteration=number, by=by, commit=self.run.git.head()))

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

    # --- Looking ahead and back ---------------------------------------------------------------------

    def _next_casting(self) -> Casting | None:
        """Who will probably work after the session that wraps up now; None when nobody may."""
        if self.brake.on or self.brake.finishing or self.brake.limit() is not None:
            return None
        state = msgspec.structs.replace(self.run.state, open_session=None)
        match next_step(state, self._plan()):
            case Build() as build:
                return self.building.casting(build)
            case Evaluate():
                return self.judgement.casting()
            case Propose():
                return PROPOSER
            case Review():
                return REVIEWER
        return None

    def _progress(self) -> object:
        """What differs after a session that did anything: statuses, and commits of more than bookkeeping."""
        run = self.run.dir
        kept = (run.spec, run.notes, handoff.archive_of(run.notes), run.findings, self.ledger.path)
        bookkeeping = {path.name for path in kept}
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

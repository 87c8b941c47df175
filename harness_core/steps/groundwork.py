"""Groundwork: the specification and the contract that a build stands on."""

from __future__ import annotations

import hashlib

from harness_core import prompting, tasks
from harness_core.agent.session import Casting, Outcome
from harness_core.brake import EndOfRun
from harness_core.contract.ledger import Ledger
from harness_core.errors import Exit
from harness_core.layout import ADDED_NAME, PLANNED_NAME
from harness_core.machine.files import MAX_TEXT, read_bounded
from harness_core.record import events as ev
from harness_core.run import Run
from harness_core.sessions import Assignment, Sessions


class Groundwork:
    """Has a planner specify and an initializer make a contract, where that isn't there already."""

    def __init__(self, run: Run, ledger: Ledger, sessions: Sessions) -> None:
        self._run = run
        self._ledger = ledger
        self._sessions = sessions

    async def specify(self) -> None:
        """Have a specification: the one that is there, or one that a planner writes."""
        run = self._run
        by = "planner" if run.state.sessions else "operator"
        if run.state.open_session is not None or not run.dir.spec.exists():
            by = "planner"
            outcome = await self._sessions.hold_until(
                run.dir.spec.exists,
                Assignment(
                    casting=Casting("planner", "planner"),
                    phase="plan",
                    task=lambda _: tasks.planner_task(run.config.prompt, PLANNED_NAME),
                    check=self._specified,
                ),
            )
            if not run.dir.spec.exists():
                raise EndOfRun(Exit.FAILED, f"the planner left no specification: {outcome.detail}")
        data = read_bounded(run.dir.spec, MAX_TEXT) or b""
        run.emit(ev.SpecWritten(name=run.dir.spec.name, sha256=hashlib.sha256(data).hexdigest(), by=by))

    async def _specified(self, outcome: Outcome) -> str | None:
        if (read_bounded(self._run.dir.spec, MAX_TEXT) or b"").strip():
            return None
        return f"{PLANNED_NAME} isn't there: write the specification to exactly that file."

    async def initialize(self) -> None:
        """Have a frozen contract: one from outside, or one that an initializer writes; with what is asked for
        added to it, where the run is about something that exists."""
        run = self._run
        if not self._ledger.frozen:
            if run.dir.contract.exists() and not run.state.sessions:
                if (wrong := self._ledger.freeze(None)) is not None:
                    raise EndOfRun(Exit.FAILED, wrong)
            else:
                await self._write_contract()
        elif self._written_now:
            # A crash came between the contract and the note that it holds what was asked for.
            self._note_request()
        else:
            await self._add_features()

    @property
    def _request(self) -> str:
        return digest(self._run.config.prompt)

    @property
    def _written_now(self) -> bool:
        """Whether the session under way wrote the contract itself."""
        session, features = self._run.state.open_session, self._run.state.features
        return session is not None and all(item.since >= session.started for item in features.values())

    def _note_request(self) -> None:
        if self._run.config.mode != "build":
            sha256 = self._run.state.contract_sha
            self._run.emit(ev.FeaturesAdded(features=[], sha256=sha256, request=self._request))

    async def _write_contract(self) -> None:
        run = self._run
        expected = run.config.features if run.config.mode == "build" else None

        async def freeze(outcome: Outcome) -> str | None:
            if (wrong := self._ledger.freeze(expected, fresh=True)) is None:
                self._note_request()
            return wrong

        outcome = await self._sessions.hold_until(
            lambda: self._ledger.frozen,
            Assignment(
                casting=self._casting(),
                phase="initialize",
                task=lambda _: self._task(run.dir.contract.name),
                check=freeze,
            ),
        )
        if not self._ledger.frozen:
            raise EndOfRun(Exit.FAILED, f"the initializer left no contract to build from: {outcome.detail}")

    async def _add_features(self) -> None:
        run = self._run
        path = run.dir.root / ADDED_NAME

        async def extend(outcome: Outcome) -> str | None:
            return self._ledger.extend(path, self._request)

        outcome = await self._sessions.hold_until(
            lambda: run.state.enhanced == self._request,
            Assignment(
                casting=self._casting(),
                phase="initialize",
                task=lambda _: self._task(ADDED_NAME),
                check=extend,
            ),
        )
        if run.state.enhanced != self._request:
            raise EndOfRun(Exit.FAILED, f"the initializer added no features: {outcome.detail}")

    def _task(self, name: str) -> str:
        """What an initializer is told that writes features to that file."""
        return tasks.groundwork_task(self._run.dir, self._run.config, name)

    def _casting(self) -> Casting:
        return Casting("initializer", prompting.initializer_page(self._run.config))


def digest(request: str) -> str:
    """By which a request is known."""
    return hashlib.sha256(request.encode()).hexdigest()[:16]

"""Groundwork: the specification and the contract that a build stands on."""

from __future__ import annotations

import hashlib

from harness_core import events as ev
from harness_core import prompting
from harness_core.agent.session import Casting, Outcome
from harness_core.brake import EndOfRun
from harness_core.errors import Exit
from harness_core.files import MAX_TEXT, read_bounded
from harness_core.layout import ADDED_NAME, PLANNED_NAME
from harness_core.ledger import Ledger
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
        by = "planner"
        if run.state.open_session is None and run.dir.spec.exists():
            by = "operator"
        else:
            outcome = await self._sessions.hold(
                Assignment(
                    casting=Casting("planner", "planner"),
                    phase="plan",
                    task=lambda _: prompting.planner_task(run.config.prompt, PLANNED_NAME),
                    check=self._specified,
                )
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
        added to it, where the run is an enhancement."""
        run = self._run
        enhances = run.config.mode == "enhancement"
        if not self._ledger.frozen:
            if run.dir.contract.exists() and not run.state.sessions:
                if (wrong := self._ledger.freeze(None)) is not None:
                    raise EndOfRun(Exit.FAILED, wrong)
            else:
                await self._write_contract()
                if enhances:
                    run.emit(
                        ev.FeaturesAdded(features=[], sha256=run.state.contract_sha, request=self._request)
                    )
        elif enhances:
            await self._add_features()

    @property
    def _request(self) -> str:
        return digest(self._run.config.prompt)

    async def _write_contract(self) -> None:
        run, mode = self._run, self._run.config.mode
        expected = run.config.features if mode == "build" else None
        tasks = {
            "build": prompting.initializer_task(run.dir, run.config.features),
            "bugfix": prompting.bugfix_task(run.dir, run.config.prompt),
            "enhancement": prompting.added_task(run.config.prompt, run.dir.contract.name),
        }

        async def freeze(outcome: Outcome) -> str | None:
            return self._ledger.freeze(expected, fresh=True)

        outcome = await self._sessions.hold(
            Assignment(casting=self._casting(), phase="initialize", task=lambda _: tasks[mode], check=freeze)
        )
        if not self._ledger.frozen:
            raise EndOfRun(Exit.FAILED, f"the initializer left no contract to build from: {outcome.detail}")

    async def _add_features(self) -> None:
        run = self._run
        path = run.dir.root / ADDED_NAME

        async def extend(outcome: Outcome) -> str | None:
            return self._ledger.extend(path, self._request)

        outcome = await self._sessions.hold(
            Assignment(
                casting=self._casting(),
                phase="initialize",
                task=lambda _: prompting.added_task(run.config.prompt, ADDED_NAME),
                check=extend,
            )
        )
        if run.state.enhanced != self._request:
            raise EndOfRun(Exit.FAILED, f"the initializer added no features: {outcome.detail}")

    def _casting(self) -> Casting:
        mode = self._run.config.mode
        return Casting("initializer", "initializer" if mode == "build" else f"initializer-{mode}")


def digest(request: str) -> str:
    """By which a request is known."""
    return hashlib.sha256(request.encode()).hexdigest()[:16]

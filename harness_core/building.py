"""Building: what a generator session is for, and what it is told."""

from __future__ import annotations

import msgspec

from harness_core import attempts, prompting, rubric
from harness_core.agent.session import Casting
from harness_core.checkpoints import write_findings
from harness_core.contract import Status
from harness_core.flow import Build
from harness_core.goal import TURNS, Goal
from harness_core.ledger import Ledger
from harness_core.prompting import Hints
from harness_core.run import Run
from harness_core.sessions import Assignment, accept
from harness_core.state import RunState
from harness_core.verdicts import refuted


class Building:
    """Makes a generator's assignment of the step that the flow asks for."""

    def __init__(self, run: Run, ledger: Ledger, goal: Goal) -> None:
        self._run = run
        self._ledger = ledger
        self._goal = goal

    def casting(self, build: Build) -> Casting:
        return Casting("generator", self._page(build))

    def _page(self, build: Build) -> str:
        config = self._run.config
        if not self._ledger.frozen:
            return "generator-design" if config.switches.max_iterations else "generator-solo"
        if config.mode == "bugfix":
            return "generator-bugfix"
        return "generator-continuous" if config.switches.context == "continuous" else "generator"

    def assignment(self, build: Build, number: int) -> Assignment:
        """The session that does this, in the given round."""
        verdict = self._run.state.verdict
        if verdict is not None and verdict.findings:
            write_findings(self._run, verdict)
        goal = bool(self._run.config.goal) and not self._ledger.frozen
        return Assignment(
            casting=self.casting(build),
            phase="build",
            features=list(build.features),
            round=number,
            task=lambda session: self._task(session, build),
            check=self._goal.check if goal else accept,
            sends_back=TURNS if goal else 0,
        )

    def _task(self, session: int, build: Build) -> str:
        run, state = self._run, self._run.state
        hints = self._hints(build)
        if not self._ledger.frozen and build.decision is not None:
            scores = [(one.number, one.total) for one in state.iterations]
            graded = prompting.measured_by(rubric.load(run.dir, run.config.switches.rubric))
            return prompting.iteration_task(
                session, run.dir, run.config.prompt, build.decision, scores, hints, graded
            )
        if not self._ledger.frozen:
            return prompting.whole_task(session, run.dir, run.config.prompt or run.config.goal, hints)
        features = [found for name in build.features if (found := self._ledger.feature(name)) is not None]
        attempts = state.features[features[0].id].attempts if len(features) == 1 else 0
        return prompting.generator_task(session, features, attempts, hints)

    def _hints(self, build: Build) -> Hints:
        state, crumbs = self._run.state, self._run.config.switches.breadcrumbs
        sprint = state.sprint
        return Hints(
            findings=open_findings(state, build),
            tried=attempts.told(self._run.dir, build.features) if crumbs else "",
            skipped=state.with_status(Status.SKIPPED),
            contract=sprint.path if sprint is not None and sprint.agreed else "",
        )


def open_findings(state: RunState, build: Build) -> str:
    """The newest verdict's findings, where they are about what is built now."""
    verdict = state.verdict
    if verdict is None or not verdict.findings:
        return ""
    about = refuted(verdict)
    if build.features and not about & {None, *build.features}:
        return ""
    return prompting.findings_page([msgspec.structs.astuple(item) for item in verdict.findings]).strip()

"""Building: what a generator session is for, and what it is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from harness_core import prompting, tasks
from harness_core.agent.session import Casting
from harness_core.config import RunConfig
from harness_core.contract.ledger import Ledger
from harness_core.contract.record import Feature, Status
from harness_core.grading import rubric
from harness_core.grading.verdicts import refuted
from harness_core.layout import RunDir
from harness_core.operator.checkpoints import findings_page, write_findings
from harness_core.record.state import RunState
from harness_core.run import Run
from harness_core.sessions import Assignment, accept
from harness_core.steps import attempts
from harness_core.steps.flow import Build
from harness_core.steps.goal import TURNS, Goal
from harness_core.tasks import Hints


class Building:
    """Makes a generator's assignment of the step that the flow asks for."""

    def __init__(self, run: Run, ledger: Ledger, goal: Goal) -> None:
        self._run = run
        self._ledger = ledger
        self._goal = goal

    def casting(self, build: Build) -> Casting:
        return Casting("generator", prompting.generator_page(self._run.config, frozen=self._ledger.frozen))

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
            task=lambda session: first_message(
                self._run.dir,
                self._run.config,
                self._run.state,
                self._ledger.features,
                session,
                build,
                [str(finding) for finding in self._run.git.withheld],
            ),
            check=self._goal.check if goal else accept,
            sends_back=TURNS if goal else 0,
        )


def first_message(
    run: RunDir,
    config: RunConfig,
    state: RunState,
    contract: Sequence[Feature],
    session: int,
    build: Build,
    withheld: Sequence[str] = (),
) -> str:
    """What a builder is told first; `contract` has all its features, none where it isn't frozen, and
    `withheld` says where credentials keep files uncommitted."""
    hints = dataclasses.replace(_hints(run, config, state, build), withheld=withheld)
    if not contract and build.decision is not None:
        scores = [(one.number, one.total) for one in state.iterations]
        graded = tasks.measured_by(rubric.load(run, config.switches.rubric))
        return tasks.iteration_task(session, run, config.prompt, build.decision, scores, hints, graded)
    if not contract:
        return tasks.whole_task(session, run, config.prompt or config.goal, hints)
    known = {feature.id: feature for feature in contract}
    features = [known[name] for name in build.features if name in known]
    attempts = state.features[features[0].id].attempts if len(features) == 1 else 0
    return tasks.generator_task(session, features, attempts, hints)


def _hints(run: RunDir, config: RunConfig, state: RunState, build: Build) -> Hints:
    sprint = state.sprint
    return Hints(
        findings=open_findings(state, build),
        tried=attempts.told(run, build.features) if config.switches.breadcrumbs else "",
        skipped=state.with_status(Status.SKIPPED),
        unverified=state.with_status(Status.CLAIMED) if config.switches.passes_from == "verified" else (),
        app_trouble=state.app_trouble,
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
    return findings_page(verdict).strip()

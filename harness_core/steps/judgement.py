"""Judging: an evaluator session over a scope that the engine sets, and what its verdict means."""

from __future__ import annotations

from collections.abc import Sequence

from harness_core import prompting, tasks
from harness_core.agent.session import Casting, Outcome
from harness_core.brake import EndOfRun
from harness_core.contract.ledger import Ledger
from harness_core.contract.record import Status
from harness_core.errors import Exit
from harness_core.grading import rubric
from harness_core.grading.evaluation import Measure, read_verdict, ungraded
from harness_core.grading.verdicts import refuted
from harness_core.operator import checkpoints
from harness_core.record import events as ev
from harness_core.record.state import PASSING, RunState
from harness_core.run import Run
from harness_core.sessions import Assignment, Sessions

EVALUATORS_AT_MOST = 3
"""Evaluators in a row that may give no verdict."""


class Judgement:
    """Holds evaluators and applies what they say."""

    def __init__(self, run: Run, ledger: Ledger, sessions: Sessions) -> None:
        self._run = run
        self._ledger = ledger
        self._sessions = sessions

    def measure(self) -> Measure:
        """By what work is judged now."""
        sprint = self._run.state.sprint
        chosen = rubric.load(self._run.dir, self._run.config.switches.rubric)
        return Measure(chosen, sprint.criteria if sprint is not None and sprint.agreed else ())

    def casting(self) -> Casting:
        return Casting("evaluator", prompting.evaluator_page(self._run.config), self.measure().schema)

    async def evaluate(self, scope: Sequence[str], number: int) -> None:
        """A verdict by a fresh evaluator; one that gives none is followed by another."""
        run, measure = self._run, self.measure()
        features = [found for name in scope if (found := self._ledger.feature(name)) is not None]
        commit = run.git.head()
        evidence = [piece.path for name in scope for piece in run.state.features[name].evidence]
        iterates = bool(run.config.switches.max_iterations)
        known = [] if iterates else found_before(run.state, scope)
        grading = tasks.measured_by(measure.rubric, examples=run.config.switches.calibration)

        asked = False

        async def take(outcome: Outcome) -> str | None:
            nonlocal asked
            if outcome.answer is None:
                return None
            if (missing := ungraded(outcome.answer, measure)) is not None:
                return missing
            trouble = self._app_trouble()
            if trouble and outcome.answer.get("verdict") == "PASS" and not asked:
                asked = True
                return tasks.NOT_TRIED
            verdict = read_verdict(
                outcome.answer,
                scope,
                commit,
                measure,
                iteration=len(run.state.iterations) + 1 if iterates else 0,
                app_trouble=trouble,
            )
            run.emit(verdict)
            return None

        assignment = Assignment(
            casting=self.casting(),
            phase="evaluate",
            features=scope,
            round=number,
            task=lambda _: tasks.evaluator_task(
                run.dir, features, commit, evidence, measure.contract, grading, known
            ),
            check=take,
        )
        before = run.state.verdict
        for _ in range(EVALUATORS_AT_MOST):
            asked = False
            outcome = await self._sessions.hold(assignment)
            if run.state.verdict is not before:
                return
        what = ", ".join(scope[:5]) or "the whole"
        raise EndOfRun(Exit.FAILED, f"no evaluator gave a verdict on {what}: {outcome.detail}")

    def _app_trouble(self) -> str:
        """How the app's last start failed, where there is still something to start."""
        return self._run.state.app_trouble if self._run.dir.init_script.is_file() else ""

    def apply(self, verdict: ev.Verdict) -> None:
        """What a verdict means for the features. Those in its scope come last: they show that it is done."""
        checkpoints.write_findings(self._run, verdict)
        wrong = refuted(verdict)
        for other in wrong - set(verdict.scope):
            if other is not None and self._ledger.feature(other) is not None:
                self._ledger.report_regression(other, "named in the evaluator's findings", by="evaluator")
        for feature_id in verdict.scope:
            if feature_id in wrong:
                if self._ledger.status(feature_id) in PASSING:
                    note = "; ".join(item.where for item in verdict.findings if item.feature == feature_id)
                    self._ledger.change(feature_id, Status.FAILING, by="evaluator", note=note or "needs work")
            elif verdict.verdict == "PASS" and self._ledger.status(feature_id) is Status.CLAIMED:
                self._ledger.change(feature_id, Status.VERIFIED, by="evaluator")


def found_before(state: RunState, scope: Sequence[str]) -> list[ev.Finding]:
    """What the newest verdict found in this scope, if it was about any of it."""
    verdict = state.verdict
    if verdict is None or (scope and not {*scope} & {*verdict.scope}):
        return []
    return [item for item in verdict.findings if item.feature is None or item.feature in scope]

"""What an evaluator answers, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from harness_core.grading.rubric import PLAIN, Rubric
from harness_core.record import events as ev

HOLDS = 7.0
"""The grade from which on a criterion of a sprint's contract counts as met."""
_TROUBLE = 400
"""Characters that a finding cites of why the app didn't start."""
_FINDING: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "feature": {"type": ["string", "null"]},
        "criterion": {"type": "string"},
        "where": {"type": "string"},
        "reproduce": {"type": "string"},
        "severity": {"type": "string", "enum": ["critical", "major", "minor"]},
    },
    "required": ["feature", "criterion", "where", "reproduce", "severity"],
}
_VERDICT = {"type": "string", "enum": ["PASS", "NEEDS_WORK"]}
REVIEW_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "verdict": _VERDICT,
        "criteria": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"criterion": {"type": "string"}, "check": {"type": "string"}},
                "required": ["criterion", "check"],
            },
            "description": "The contract as it should hold: each thing that must be true, and its test",
        },
        "findings": {"type": "array", "items": _FINDING},
    },
    "required": ["verdict", "criteria", "findings"],
}
"""JSON schema of the evaluator's answer to a proposed sprint contract. `PASS` agrees to it."""


@dataclass(frozen=True)
class Measure:
    """By what work is judged: a rubric, and a sprint contract's criteria where there is one."""

    rubric: Rubric = PLAIN
    contract: Sequence[ev.Agreed] = ()

    @property
    def names(self) -> list[str]:
        """All that is graded, by name: the rubric's criteria, then the contract's."""
        return [*self.rubric.names, *(item.id for item in self.contract)]

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON schema of the evaluator's structured answer."""
        score = {
            "type": "object",
            "properties": {
                "criterion": {"type": "string", "enum": self.names},
                "score": {"type": "number", "minimum": 0, "maximum": 10},
                "reason": {"type": "string"},
            },
            "required": ["criterion", "score", "reason"],
        }
        properties = {
            "verdict": _VERDICT,
            "scores": {"type": "array", "items": score},
            "findings": {"type": "array", "items": _FINDING},
        }
        return {"type": "object", "properties": properties, "required": list(properties)}


class _Answer(msgspec.Struct):
    verdict: str
    scores: list[ev.Score] = []
    findings: list[ev.Finding] = []


class _Wanted(msgspec.Struct):
    criterion: str
    check: str = ""


class Reviewed(msgspec.Struct):
    """An evaluator's answer to a proposed contract."""

    verdict: str
    criteria: list[_Wanted] = []
    findings: list[ev.Finding] = []


def ungraded(answer: Mapping[str, Any], measure: Measure) -> str | None:
    """What an answer leaves out that has to be graded, in a sentence for the evaluator; None when whole."""
    try:
        read = msgspec.convert(answer, _Answer)
    except msgspec.ValidationError:
        return None
    given = {score.criterion for score in read.scores}
    missing = [name for name in measure.names if name not in given]
    return f"grade these too: {', '.join(missing)}; then give the whole answer again." if missing else None


def read_verdict(
    answer: Mapping[str, Any],
    scope: Sequence[str],
    commit: str | None,
    measure: Measure | None = None,
    iteration: int = 0,
    app_trouble: str = "",
) -> ev.Verdict:
    """The verdict on `scope` in an answer, with the measure's thresholds applied. One that can't be read is
    NEEDS_WORK, and so is a PASS of an app of which this says how it failed to start."""
    measure = measure or Measure()
    try:
        read = msgspec.convert(answer, _Answer)
    except msgspec.ValidationError as error:
        unread = ev.Finding(None, "verdict", f"the evaluator's answer can't be read: {error}", "", "major")
        return ev.Verdict(verdict="NEEDS_WORK", scope=list(scope), findings=[unread], commit=commit)
    about = scope[0] if len(scope) == 1 else None
    short = [*_below(read, measure.rubric, about), *_broken(read, measure.contract, about)]
    if app_trouble and read.verdict == "PASS":
        where = f"the app doesn't start, so nothing of it could be tried: {app_trouble.strip()[:_TROUBLE]}"
        short.append(ev.Finding(about, "functionality", where, "start the app", "critical"))
    findings = [*read.findings, *short]
    passed = read.verdict == "PASS" and not short
    if not passed and not findings:
        # The next build needs something to go by.
        weak = min(read.scores, key=lambda score: score.score, default=None)
        why = weak.reason if weak is not None else "the evaluator gave no reason; go through every step again"
        findings = [ev.Finding(about, weak.criterion if weak is not None else "verdict", why, "", "major")]
    return ev.Verdict(
        verdict="PASS" if passed else "NEEDS_WORK",
        scope=list(scope),
        scores=read.scores,
        findings=findings,
        commit=commit,
        total=measure.rubric.total(read.scores),
        iteration=iteration,
    )


def _below(read: _Answer, rubric: Rubric, about: str | None) -> list[ev.Finding]:
    """A finding for each grade below its threshold, but where the evaluator has one of that criterion."""
    told = {finding.criterion for finding in read.findings}
    return [
        ev.Finding(
            about,
            criterion.name,
            f"{score.reason} (graded {score.score:g}, at least {criterion.threshold:g} is asked)",
            "",
            "major",
        )
        for criterion, score in rubric.missed(read.scores)
        if criterion.name not in told or read.verdict == "PASS"
    ]


def _broken(read: _Answer, contract: Sequence[ev.Agreed], about: str | None) -> list[ev.Finding]:
    """A finding for each criterion of the sprint's contract that doesn't hold or wasn't judged."""
    given = {score.criterion: score for score in read.scores}
    told = {finding.criterion for finding in read.findings} if read.verdict != "PASS" else set()
    found = []
    for item in contract:
        score = given.get(item.id)
        if score is None or (score.score < HOLDS and item.id not in told):
            reason = score.reason if score is not None else "it wasn't judged"
            found.append(ev.Finding(about, item.id, f"{item.text}: {reason}", item.check, "major"))
    return found

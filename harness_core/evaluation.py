"""What an evaluator answers, and how it is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from harness_core import events as ev

CRITERIA = ("functionality", "completeness", "craft")
VERDICT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "verdict": {"type": "string", "enum": ["PASS", "NEEDS_WORK"]},
        "scores": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "criterion": {"type": "string", "enum": list(CRITERIA)},
                    "score": {"type": "number", "minimum": 0, "maximum": 10},
                    "reason": {"type": "string"},
                },
                "required": ["criterion", "score", "reason"],
            },
        },
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "feature": {"type": ["string", "null"]},
                    "criterion": {"type": "string"},
                    "where": {"type": "string"},
                    "reproduce": {"type": "string"},
                    "severity": {"type": "string", "enum": ["critical", "major", "minor"]},
                },
                "required": ["feature", "criterion", "where", "reproduce", "severity"],
            },
        },
    },
    "required": ["verdict", "scores", "findings"],
}
"""JSON schema of the evaluator's structured answer."""


class _Answer(msgspec.Struct):
    verdict: str
    scores: list[ev.Score] = []
    findings: list[ev.Finding] = []


def overruled(verdict: ev.Verdict, criteria: Collection[str]) -> ev.Verdict:
    """The verdict without what it found wrong by these criteria; with nothing left it passes."""
    left = [finding for finding in verdict.findings if finding.criterion not in criteria]
    return msgspec.structs.replace(verdict, verdict=verdict.verdict if left else "PASS", findings=left)


def read_verdict(answer: Mapping[str, Any], scope: Sequence[str], commit: str | None) -> ev.Verdict:
    """The verdict on `scope` in an answer. One that can't be read is NEEDS_WORK."""
    try:
        read = msgspec.convert(answer, _Answer)
    except msgspec.ValidationError as error:
        unread = ev.Finding(None, "verdict", f"the evaluator's answer can't be read: {error}", "", "major")
        return ev.Verdict(verdict="NEEDS_WORK", scope=list(scope), findings=[unread], commit=commit)
    passed = read.verdict == "PASS"
    if not passed and not read.findings:
        # The next build needs something to go by.
        weak = min(read.scores, key=lambda score: score.score, default=None)
        why = weak.reason if weak is not None else "the evaluator gave no reason; go through every step again"
        criterion = weak.criterion if weak is not None else "verdict"
        read.findings = [ev.Finding(feature, criterion, why, "", "major") for feature in scope]
    return ev.Verdict(
        verdict="PASS" if passed else "NEEDS_WORK",
        scope=list(scope),
        scores=read.scores,
        findings=read.findings,
        commit=commit,
    )

"""What a verdict means for the features that it is about."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from harness_core.record import events as ev


def refuted(verdict: ev.Verdict) -> frozenset[str | None]:
    """The features that a verdict doesn't let pass.

    One that wants more work on several features at once refutes those that it names; the others stay
    claimed until they are judged again.
    """
    named = {finding.feature for finding in verdict.findings}
    if verdict.verdict == "PASS" or len(verdict.scope) != 1:
        return frozenset(named)
    return frozenset({*verdict.scope, *named})


def overruled(verdict: ev.Verdict, criteria: Collection[str]) -> ev.Verdict:
    """The verdict without what it found wrong by these criteria; with nothing left it passes."""
    left = [finding for finding in verdict.findings if finding.criterion not in criteria]
    return msgspec.structs.replace(verdict, verdict=verdict.verdict if left else "PASS", findings=left)

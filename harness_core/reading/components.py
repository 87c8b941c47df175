"""What each part of the harness cost and what it caught: by this one sees which of them can go."""

from __future__ import annotations

import msgspec

from harness_core.record.state import RunState

_PHASES = {
    "planner": "plan",
    "initializer": "initialize",
    "sprint_contracts": "negotiate",
    "generator": "build",
    "evaluator": "evaluate",
    "goal": "goal",
}
"""The phase that a component's sessions make up."""


class Component(msgspec.Struct):
    """One piece of scaffolding: its sums over all rounds, and how often it found something to object to."""

    name: str
    ms: int = 0
    turns: int = 0
    tokens: int = 0
    usd: float = 0.0
    caught: int | None = None
    """None for what isn't there to catch anything."""


def components(state: RunState) -> list[Component]:
    """The parts of this run that did or caught anything, in the order of the work."""
    caught = {
        "sprint_contracts": state.objections,
        "evaluator": state.refusals,
        "evidence_gate": state.refused_claims,
        "regression_checks": state.regressions,
        "guards": state.denials - state.refused_claims,
    }
    found = []
    for name in dict.fromkeys([*_PHASES, *caught]):
        phases = [phase for phase in state.phases if phase.name == _PHASES.get(name)]
        if not phases and not caught.get(name):
            continue
        found.append(
            Component(
                name,
                ms=sum(phase.ms for phase in phases),
                turns=sum(phase.turns for phase in phases),
                tokens=sum(phase.tokens for phase in phases),
                usd=round(sum(phase.usd for phase in phases), 6),
                caught=caught.get(name),
            )
        )
    return found

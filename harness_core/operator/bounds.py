"""What may be used, in dollars, tokens, replies, sessions and hours: by a run, by each phase or one of them,
by each session.

A scope is written `run`, `phase`, `phase:build` or `session`. One limit of it has a key as in
`longwatch.toml`: `max_usd`, `phase.max_usd`, `phase.build.max_usd`, `session.max_usd`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from harness_core.config_errors import advice
from harness_core.errors import Mistake

RUN = "run"
PHASE = "phase"
SESSION = "session"
_PART_OF = {"goal": "build"}
"""Costs that are told apart, by the phase in the midst of which they arise."""

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e12)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10**12)]


class SessionLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of each session; None is no bound. Money is US dollars."""

    max_usd: Positive | None = None
    max_tokens: Count | None = None
    max_turns: Count | None = None
    max_hours: Positive | None = None


class PhaseLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of one phase, all its rounds together; None is no bound."""

    max_usd: Positive | None = None
    max_tokens: Count | None = None
    max_turns: Count | None = None
    max_sessions: Count | None = None
    max_hours: Positive | None = None


class PhasesLimits(PhaseLimits, frozen=True, forbid_unknown_fields=True):
    """Bounds of each phase; what one phase has of its own stands in place of that."""

    plan: PhaseLimits = PhaseLimits()
    initialize: PhaseLimits = PhaseLimits()
    negotiate: PhaseLimits = PhaseLimits()
    build: PhaseLimits = PhaseLimits()
    evaluate: PhaseLimits = PhaseLimits()


class Limits(PhaseLimits, frozen=True, forbid_unknown_fields=True):
    """Bounds of a whole run, and of its phases and sessions; None is no bound. Money is US dollars."""

    session: SessionLimits = SessionLimits()
    phase: PhasesLimits = PhasesLimits()

    def given(self) -> dict[str, float]:
        """The limits that are set, by key."""
        return dict(_flat(msgspec.to_builtins(self)))


NAMES = tuple(field.name for field in msgspec.structs.fields(PhaseLimits))
PHASES = tuple(field.name for field in msgspec.structs.fields(PhasesLimits) if field.name not in NAMES)


def limited(limits: Limits, asked: Mapping[str, float | None]) -> Limits:
    """`limits` with what the operator asks for, by key: None takes one away. Raises Mistake that names it."""
    for dotted, value in asked.items():
        scope, name = parted(dotted)
        tables = msgspec.to_builtins(limits)
        table = _table(tables, dotted.split(".")[:-1])
        if table is None or name not in table or name not in NAMES:
            known = ", ".join(tables if table is None else table)
            raise Mistake(f"{dotted}: there is no such limit; there are {known}")
        table[name] = number = counted(value)
        try:
            limits = msgspec.convert(tables, Limits)
        except msgspec.ValidationError as error:
            said = f"--{name.replace('_', '-')}" if scope == RUN else f"limits.{dotted}"
            raise Mistake(f"{said} {number}: {advice(error, Limits)}") from None
    return limits


def counted(value: float | None) -> float | None:
    """A number that was kept as JSON, which has one kind of it: a count comes back as 1000.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        elif value is not None:
            yield f"{above}{name}", value


def _table(tables: dict[str, Any], place: Sequence[str]) -> dict[str, Any] | None:
    """The table at `place`; None where there is none."""
    found: Any = tables
    for name in place:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


# --- Scopes -------------------------------------------------------------------------------------------


def of_phase(phase: str) -> str:
    """The scope of one phase."""
    return f"{PHASE}:{phase}"


def phase_of(scope: str) -> str:
    """The phase that a scope is about; "" for any other."""
    return scope.partition(":")[2]


def counts_as(cost: str) -> str:
    """The phase whose limits bound a cost."""
    return _PART_OF.get(cost, cost)


def key(scope: str, name: str) -> str:
    """By which a limit is known in a configuration."""
    return name if scope == RUN else f"{scope.replace(':', '.')}.{name}"


def parted(dotted: str) -> tuple[str, str]:
    """The scope and the name of a limit, from its key."""
    place, _, name = dotted.rpartition(".")
    return place.replace(".", ":") or RUN, name


def cap_of(limits: Mapping[str, float], scope: str, name: str) -> float | None:
    """What holds for a limit: a phase without one of its own has that of every phase."""
    own = limits.get(key(scope, name))
    return limits.get(key(PHASE, name)) if own is None and phase_of(scope) else own


def whose(scope: str) -> str:
    """What follows a limit that isn't the run's: ` of a session`, ` of a phase`, ` of the phase build`."""
    if scope == RUN:
        return ""
    return f" of the phase {phase_of(scope)}" if phase_of(scope) else f" of a {scope}"


def named(scope: str, name: str) -> str:
    """A limit as it is spoken of: `max-usd`, `max-usd of a session`."""
    return f"{name.replace('_', '-')}{whose(scope)}"

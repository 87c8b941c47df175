"""Limits are hard: asked before every session and after every batch of tool calls.

A limit that is reached ends what it bounds: the run, the run in that phase, the session.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from harness_core.errors import Mistake
from harness_core.operator.bounds import (
    NAMES,
    PHASE,
    PHASES,
    RUN,
    SESSION,
    Limits,
    cap_of,
    counts_as,
    key,
    limited,
    of_phase,
    parted,
    phase_of,
    whose,
)
from harness_core.record.state import RunState

NEAR = 0.8
"""The part of a limit from which on it is told that it comes near."""
NONE = "none"
"""The word that takes a limit away."""


@dataclass(frozen=True)
class Limit:
    """What bounds something, by its scope (`run`, `phase:build`, `session`) and name (`max_usd`), what is
    allowed, and what is used."""

    scope: str
    name: str
    cap: float
    value: float

    def __str__(self) -> str:
        option = self.name.replace("_", "-")
        return f"{option} {self.cap:g}{whose(self.scope)} is reached ({self.value:.4g} used)"


def used(state: RunState, scope: str = RUN, at: str = "") -> dict[str, float]:
    """What a run, one of its phases, or the session under way has used, by the name of what bounds it.

    `at` is the present time, for a run that works without an event to show for it; without it the newest
    event's time counts.
    """
    since = state.active_at(at) - state.active_ms
    if scope == SESSION:
        found = state.open_session
        if found is None:
            return dict.fromkeys(NAMES, 0)
        working = 0 if state.waits_for_api else since
        return _sums(found.usd, found.tokens, found.turns, 1, found.active_ms + working)
    if scope == RUN:
        return _sums(state.usd, state.tokens, state.turns, state.sessions, state.active_ms + since)
    parts = [part for part in state.phases if counts_as(part.name) == phase_of(scope)]
    return _sums(
        sum(part.usd for part in parts),
        sum(part.tokens for part in parts),
        sum(part.turns for part in parts),
        sum(part.sessions for part in parts),
        sum(part.ms for part in parts) + (since if state.phase == phase_of(scope) else 0),
    )


def _sums(usd: float, tokens: int, turns: int, sessions: int, ms: int) -> dict[str, float]:
    hours = ms / 3_600_000
    return {
        "max_usd": usd,
        "max_tokens": tokens,
        "max_turns": turns,
        "max_sessions": sessions,
        "max_hours": hours,
    }


def standing(limits: Limits, state: RunState, at: str = "") -> list[Limit]:
    """The limits that bear on what a run is doing now, those first whose end is the end of more."""
    given = limits.given()
    scopes = [RUN, *([of_phase(state.phase)] if state.phase else []), SESSION]
    found = []
    for scope in scopes:
        caps = {name: cap for name in NAMES if (cap := cap_of(given, scope, name)) is not None}
        taken = used(state, scope, at) if caps else {}
        found += [Limit(scope, name, cap, taken[name]) for name, cap in caps.items()]
    return found


def reached(limits: Limits, state: RunState, *, new_session: bool = False, at: str = "") -> Limit | None:
    """The first limit that leaves no room for another request in what is under way, or else for a session
    after it."""
    passed_over = SESSION if new_session else ""
    for limit in standing(limits, state, at):
        counts = limit.name != "max_sessions" or new_session
        if limit.value >= limit.cap and counts and limit.scope != passed_over:
            return limit
    return None


def near(limits: Limits, state: RunState, at: str = "") -> list[Limit]:
    """The limits of which most is used, and of which that hasn't been said yet."""
    return [
        limit
        for limit in standing(limits, state, at)
        if limit.value >= NEAR * limit.cap and key(limit.scope, limit.name) not in state.limits_near
    ]


# --- Shown --------------------------------------------------------------------------------------------


class Usage(msgspec.Struct, frozen=True):
    """One limit, set or not, and how much of what it bounds is used."""

    scope: str
    name: str
    used: float
    cap: float | None


def usage(caps: Mapping[str, float], state: RunState) -> list[Usage]:
    """The run's limits, set or not, and all others that are set, with what is used as the journal has it.

    Of a limit for every phase it is what the phase has used that has used most.
    """
    others = [parted(dotted) for dotted in caps if parted(dotted)[0] != RUN]
    return [
        Usage(scope, name, _used_most(caps, state, scope)[name], caps.get(key(scope, name)))
        for scope, name in [*((RUN, name) for name in NAMES), *others]
    ]


def _used_most(caps: Mapping[str, float], state: RunState, scope: str) -> dict[str, float]:
    if scope != PHASE:
        return used(state, scope)
    each = {phase: used(state, of_phase(phase)) for phase in PHASES}
    return {
        name: max(
            (taken[name] for phase, taken in each.items() if key(of_phase(phase), name) not in caps),
            default=0,
        )
        for name in NAMES
    }


def lines(shown: Sequence[Usage]) -> Iterator[str]:
    """Limits as columns: the scope where there is more than one, the name, what is used, what is allowed."""
    scopes = {one.scope for one in shown}
    widest = max(map(len, scopes)) + 2 if len(scopes) > 1 else 0
    for one in shown:
        yield (f"{one.scope:{widest}}" if widest else "") + _columns(one)


def _columns(one: Usage) -> str:
    name = one.name.replace("_", "-")
    much = f"{one.used:,.2f}" if one.name in ("max_usd", "max_hours") else f"{one.used:,.0f}"
    if one.cap is None:
        return f"{name:13} {much:>14} used   no limit"
    over = " · reached" if one.used >= one.cap else ""
    return f"{name:13} {much:>14} used   of {one.cap:,.15g} ({one.used / one.cap:.0%}){over}"


# --- Asked --------------------------------------------------------------------------------------------


def scope_in(word: str) -> str:
    """The scope that a word means: one of them, or the name of a phase. Raises Mistake."""
    scope = of_phase(word.lower()) if word.lower() in PHASES else word.lower()
    each = (RUN, SESSION, PHASE, *map(of_phase, PHASES))
    if scope not in each:
        raise Mistake(f"{word}: nothing of that name has limits; choose {', '.join(each)}")
    return scope


def changes(given: Mapping[str, str | None], scope: str = RUN) -> dict[str, float | None]:
    """What the operator's words ask for, by the limit's key; a name without words asks for nothing.

    Raises Mistake for what is no limit.
    """
    asked: dict[str, float | None] = {}
    for name, word in given.items():
        if word is None:
            continue
        dotted = key(scope, name)
        try:
            asked[dotted] = None if word.lower() == NONE else float(word)
        except ValueError:
            option = f"--{name.replace('_', '-')}" if scope == RUN else f"limits.{dotted}"
            raise Mistake(f"{option} {word}: give a number, or {NONE}") from None
    limited(Limits(), asked)
    return asked


def spoken(text: str) -> dict[str, float | None]:
    """What a line such as `usd 50, session usd 2, build hours none` asks for. Raises Mistake."""
    asked: dict[str, float | None] = {}
    for part in text.split(","):
        words = part.split()
        if len(words) not in (2, 3):
            raise Mistake("name a limit and what it should be, as in: usd 50, session usd 2, hours none")
        *whose, limit, word = words
        name = "max_" + limit.lower().replace("-", "_").removeprefix("max_")
        if name not in NAMES:
            known = ", ".join(one.removeprefix("max_") for one in NAMES)
            raise Mistake(f"{limit} is no limit: there are {known}")
        asked |= changes({name: word}, scope_in(whose[0]) if whose else RUN)
    return asked


def among(sets: Sequence[str]) -> tuple[list[str], dict[str, float | None]]:
    """Of what is set by `NAME=VALUE`, what is no limit, and what is, as in `limits.session.max_usd=2`.

    Raises Mistake.
    """
    others: list[str] = []
    asked: dict[str, float | None] = {}
    for item in sets:
        name, joint, word = item.partition("=")
        if joint and name.startswith(_TABLE):
            scope, limit = parted(name.removeprefix(_TABLE))
            asked |= changes({limit: word}, scope)
        else:
            others.append(item)
    return others, asked


_TABLE = "limits."

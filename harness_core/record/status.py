"""The answer to "what is happening": a run's fold with the few facts that only the outside knows."""

from __future__ import annotations

import os
import stat
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness_core.contract import record as ct
from harness_core.errors import ContractError, ContractMissing
from harness_core.hooks.shelf import last_call
from harness_core.layout import RunDir
from harness_core.machine.files import read_bounded
from harness_core.machine.lock import owner_of
from harness_core.reading.components import Component, components
from harness_core.record.fold import fold
from harness_core.record.state import PhaseCost, RunState
from harness_core.steps.iterations import Iteration


class Stop(msgspec.Struct):
    requested: str | None
    confirmed: str | None
    survivors: list[str]


class SteeringCounts(msgspec.Struct):
    queued: int
    delivered: int
    acknowledged: int


class CheckpointShown(msgspec.Struct):
    id: str
    kind: str
    opened: str
    summary: str


class Written(msgspec.Struct, frozen=True):
    """How far an agent is with the contract that it is writing: features, and how many were asked for."""

    written: int
    of: int


class EngineFacts(msgspec.Struct):
    pid: int | None
    alive: bool


class Report(msgspec.Struct):
    """What `status --json` prints. Money is US dollars, `ms` milliseconds, `elapsed_s` seconds of work."""

    run_id: str
    preset: str
    lifecycle: str
    reason: str
    phase: str
    role: str
    session: int
    features: dict[str, int]
    contract_error: str
    """Why a contract that no engine has frozen can't be counted; "" when nothing is wrong."""
    writing: Written | None
    stop: Stop
    steering: SteeringCounts
    checkpoint: CheckpointShown | None
    cost_usd: float
    tokens: int
    turns: int
    sessions: int
    context: int
    elapsed_s: float
    limits: dict[str, float]
    phases: list[PhaseCost]
    iterations: list[Iteration]
    """Of a design: how each was judged."""
    chosen: int | None
    """The one of them that stands at the end."""
    components: list[Component]
    """What each part of the harness cost and caught."""
    waiting_until: str | None
    tampered: int
    denials: int
    errors: int
    damaged: int
    last_seq: int
    engine: EngineFacts
    hooked_ago_s: float | None
    """Seconds since the last hook of plain Claude Code was called, where there are hooks and no engine."""


def status(run: RunDir) -> Report:
    """Where a run stands now. Raises LongwatchError for one that can't be read."""
    return report(run, fold(run))


def report(run: RunDir, state: RunState) -> Report:
    """`state` as a report, with what the outside adds: the engine, the stop file, a foreign contract."""
    owner = owner_of(run)
    alive = owner is not None and owner.alive
    works = alive and not state.waits_for_operator
    stopping = run.stopping
    asked = state.checkpoint
    features, contract_error = _features(run, state, alive)
    return Report(
        run_id=state.run_id,
        preset=state.preset,
        lifecycle=state.lifecycle(alive=alive, stop_file=stopping).value,
        reason=state.reason,
        phase=state.phase,
        role=state.role,
        session=state.open_session.number if state.open_session else state.sessions,
        features=features,
        contract_error=contract_error,
        writing=being_written(run) if alive else None,
        stop=stop_of(state, alive=alive, stop_file=stopping),
        steering=SteeringCounts(state.steer_queued, state.steer_delivered, state.steer_acknowledged),
        checkpoint=CheckpointShown(asked.id, asked.kind, asked.opened, asked.summary) if asked else None,
        cost_usd=round(state.usd, 6),
        tokens=state.tokens,
        turns=state.turns,
        sessions=state.sessions,
        context=state.context,
        elapsed_s=round(state.active_ms / 1000 + (_since(state.last_ts) if works else 0.0), 1),
        limits=state.limits,
        phases=state.phases,
        iterations=state.iterations,
        chosen=state.chosen,
        components=components(state),
        waiting_until=state.waiting_until,
        tampered=state.tampered,
        denials=state.denials,
        errors=state.errors,
        damaged=state.damaged,
        last_seq=state.last_seq,
        engine=EngineFacts(owner.pid if owner else None, alive),
        hooked_ago_s=None if alive else _hooked_ago(run),
    )


def _hooked_ago(run: RunDir) -> float | None:
    called = last_call(run)
    return None if called is None else round(max(0.0, time.time() - called), 1)


def stop_of(state: RunState, *, alive: bool, stop_file: bool = False) -> Stop:
    """What was asked of a run's brake, and what is so.

    Where the engine is gone nothing of the run is left, and so a stop holds; only a feature in hand isn't
    finished by that, unless the run had come to its end.
    """
    requested = state.stop_requested or ("pause" if stop_file else None)
    over = bool(state.started) and not alive and (state.ended or requested != "finish")
    return Stop(requested, state.stop_confirmed or (requested if over else None), state.survivors)


def being_written(run: RunDir) -> Written | None:
    """How far a contract is that an agent is writing right now."""
    try:
        return msgspec.json.decode(read_bounded(run.live) or b"", type=Written)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


class _Counted(NamedTuple):
    """What a contract file says of itself."""

    passing: int = 0
    total: int = 0
    error: str = ""


def _features(run: RunDir, state: RunState, alive: bool) -> tuple[dict[str, int], str]:
    """Features by status, and what is wrong with the agents' file where no engine looks after it."""
    counts = state.counts
    found = None if alive else _counted(run.contract)
    if found is None or found.error:
        return counts, found.error if found else ""
    if state.started:
        return counts, ""
    passing, total, _ = found
    return {**counts, "total": total, "passing": passing, "claimed": passing, "failing": total - passing}, ""


def _counted(path: Path) -> _Counted | None:
    """The file at `path`, None where there is no such file. Whoever watches asks many times a second, so one
    that hasn't changed is read once."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    mark = (found.st_ino, found.st_size, found.st_mtime_ns)
    return _read(path, mark) if stat.S_ISREG(found.st_mode) else None


@lru_cache(16)
def _read(path: Path, _mark: tuple[int, int, int]) -> _Counted | None:
    # Never waited for: what is half written now is whole at the next look.
    try:
        found = ct.read(path, delays=())
    except ContractMissing:
        return None
    except ContractError as error:
        return _Counted(error=str(error))
    return _Counted(len(ct.passing_ids(found)), len(found.features))


def _since(ts: str) -> float:
    try:
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(ts)).total_seconds())
    except ValueError:
        return 0.0

"""What a run is right now, as far as its journal tells."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from harness_core.contract.record import Status
from harness_core.record import events as ev
from harness_core.steps.iterations import Iteration

PASSING = frozenset((Status.CLAIMED, Status.VERIFIED, Status.APPROVED))
"""The states in which `passes` is true in the agents' file."""


class Lifecycle(StrEnum):
    """The one word for what a run is doing."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING_APPROVAL = "waiting_approval"
    WAITING_LIMIT = "waiting_limit"
    STOPPING = "stopping"
    STOPPED = "stopped"
    COMPLETE = "complete"
    FAILED = "failed"
    IDLE = "idle"
    LOST = "lost"


class PhaseCost(msgspec.Struct):
    """What one phase took, in one round and by one role: milliseconds, turns, tokens, US dollars."""

    name: str
    round: int = 1
    role: str = ""
    ms: int = 0
    """How long an engine was alive in it and didn't wait for the operator."""
    turns: int = 0
    tokens: int = 0
    usd: float = 0.0
    sessions: int = 0


class FeatureState(msgspec.Struct):
    """Where a feature stands, and what its present status rests on."""

    status: Status = Status.FAILING
    evidence: list[ev.BoundPiece] = []
    attempts: int = 0
    """Sessions that ended without an accepted claim for it, and claims that an evaluator refuted."""
    since: str = ""
    seq: int = 0
    """The event that gave it its present status."""
    note: str = ""
    trouble: str = ""
    """What stood in the way of the last attempt: a refusal, a finding, a loop, a clock."""
    given_up: int = 0
    """How often the engine gave it up: once more it is taken up again, when all else is done."""
    reworded: int = 0
    """The event that gave it its present text; 0 where that is the one that was first frozen."""


class OpenCheckpoint(msgspec.Struct):
    """A question that waits for the operator."""

    id: str
    kind: str
    opened: str
    summary: str
    subject_hash: str
    features: list[str] = []


class SprintState(msgspec.Struct):
    """The sprint under way, and how often its contract was proposed and reviewed."""

    number: int
    features: list[str]
    path: str = ""
    seq: int = 0
    proposed: int = 0
    reviewed: int = 0
    accepted: str = ""
    """Who accepted the newest proposal: `both` where the evaluator did, `operator`, or "" for nobody."""
    agreed: bool = False
    rounds_granted: int = 0
    """Rounds that were over when the operator sent the contract back for more."""
    criteria: list[ev.Agreed] = []
    """As the evaluator last put them; once it is agreed on, those that hold."""
    objections: list[ev.Finding] = []
    """What the evaluator last held against the proposal."""
    sha256: str = ""


class OpenSession(msgspec.Struct):
    """A session that has started and not ended."""

    number: int
    sdk_session: str
    role: str
    model: str
    phase: str
    feature: str | None = None
    features: list[str] = []
    started: str = ""
    seq: int = 0
    usd: float = 0.0
    tokens: int = 0
    turns: int = 0
    active_ms: int = 0
    """How long an engine was alive in it, and waited for neither the operator nor the API."""
    began_ms: int = 0
    """The run's `active_ms` when it started."""


class RunState(msgspec.Struct):
    """The fold. Only `apply` changes it."""

    format: int = 0
    run_id: str = ""
    preset: str = ""
    limits: dict[str, float] = {}
    """By key: of the run, of its phases, of its sessions."""
    limits_near: list[str] = []
    """The keys of those of which it was said that most is used; a session's are forgotten with it."""
    limits_newest: int = 0
    """The highest number of a change of limits that was taken up."""
    last_seq: int = 0
    damaged: int = 0
    started: str = ""
    last_ts: str = ""
    active_ms: int = 0
    """How long an engine was alive and didn't wait for the operator."""
    ended: bool = False
    exit: int | None = None
    reason: str = ""
    phase: str = ""
    phase_role: str = ""
    role: str = ""
    sessions: int = 0
    open_session: OpenSession | None = None
    phases: list[PhaseCost] = []
    head: str = ""
    """The newest commit that the journal knows of."""
    spec_sha: str = ""
    contract_sha: str = ""
    enhanced: str = ""
    """The request by which features were last added to the contract."""
    sprint: SprintState | None = None
    sprints: int = 0
    agreements: dict[str, str] = {}
    """The hash of each file of a sprint's contract that was agreed on, by its path below the run."""
    built_seq: int = 0
    """The event that ended the newest generator session that came to its own end."""
    needs_work: int = 0
    """Verdicts in a row that wanted more work on several features or on the whole."""
    iterations: list[Iteration] = []
    choice: int | None = None
    """The iteration that the operator wants to stand; None leaves it to the score."""
    chosen: int | None = None
    """The iteration that stands at the end."""
    goal: ev.GoalJudged | None = None
    """What the judge of the goal said last."""
    features: dict[str, FeatureState] = {}
    stop_requested: str | None = None
    stop_confirmed: str | None = None
    survivors: list[str] = []
    steering: dict[str, bool] = {}
    """The messages that aren't acknowledged, by id: whether they were delivered."""
    steer_queued: int = 0
    steer_newest: int = 0
    """The highest number of a message that was queued."""
    steer_delivered: int = 0
    steer_acknowledged: int = 0
    checkpoint: OpenCheckpoint | None = None
    checkpoints: int = 0
    asked_seq: int = 0
    """The event that opened the newest checkpoint."""
    asked_ms: int = 0
    """`active_ms` when it was decided."""
    sent_back: bool = False
    """The operator sent the whole back, and no session has begun to work on that."""
    usd: float = 0.0
    tokens: int = 0
    turns: int = 0
    context: int = 0
    waiting_until: str | None = None
    out_of_reach: bool = False
    """Whether the API has refused or was silent, and no reply has come since."""
    unanswered_since: int | None = None
    """While it is out of reach: the `active_ms` of its first refusal; None once that was told."""
    tampered: int = 0
    denials: int = 0
    stalls: int = 0
    """Silences and loops that were noticed."""
    errors: int = 0
    last_error: str = ""
    app_trouble: str = ""
    """How the last start of the app under work failed; "" where it didn't."""
    verdict: ev.Verdict | None = None
    refused_claims: int = 0
    refusals: int = 0
    """Verdicts that wanted more work."""
    objections: int = 0
    """Proposed contracts that the evaluator didn't agree to."""
    regressions: int = 0
    """Features that a generator itself found broken."""

    @property
    def waits_for_operator(self) -> bool:
        """Whether nothing goes on until the operator says so: at a checkpoint, or stopped."""
        return self.checkpoint is not None or self.stop_confirmed is not None

    @property
    def waits_for_api(self) -> bool:
        """Whether the session under way can do nothing: its hours stand still."""
        return self.out_of_reach or bool(self.waiting_until)

    def active_at(self, ts: str) -> int:
        """`active_ms` at a time later than the newest event's, of a run that is working."""
        return self.active_ms + elapsed_ms(self.last_ts, ts)

    @property
    def counts(self) -> dict[str, int]:
        """Features by status, with `total` and `passing`."""
        found = {status.value: 0 for status in Status}
        for feature in self.features.values():
            found[feature.status.value] += 1
        passing = sum(found[status.value] for status in PASSING)
        return {"total": len(self.features), **found, "passing": passing}

    def with_status(self, status: Status) -> list[str]:
        """The features that have this status, in the contract's order."""
        return [name for name, feature in self.features.items() if feature.status is status]

    def phase_cost(self, name: str, number: int | None = None, role: str | None = None) -> PhaseCost:
        """The phase of that name, round and role, by default its newest; added when there is none."""
        for phase in reversed(self.phases):
            if (
                phase.name == name
                and number in (None, phase.round)
                and (not role or phase.role in ("", role))
            ):
                phase.role = role or phase.role
                return phase
        self.phases.append(PhaseCost(name, number or 1, role or ""))
        return self.phases[-1]

    @property
    def complete(self) -> bool:
        """Whether the run has come to its end with all that was asked for."""
        return self.ended and self.exit == 0

    def lifecycle(self, *, alive: bool, stop_file: bool = False) -> Lifecycle:
        """The derived word, from the fold and two facts of the outside: is an engine alive, is
        AGENT_STOP there."""
        if not self.started and self.open_session is not None:
            # Another harness's session, as its transcript tells.
            return Lifecycle.STOPPING if stop_file else Lifecycle.RUNNING
        if not self.started:
            return Lifecycle.STARTING if alive else Lifecycle.IDLE
        if self.complete:
            return Lifecycle.COMPLETE
        if self.checkpoint is not None and self.stop_requested not in ("pause", "now"):
            return Lifecycle.WAITING_APPROVAL
        if self.stop_confirmed:
            return Lifecycle.STOPPED
        if self.ended:
            return Lifecycle.FAILED if self.exit == 1 else Lifecycle.STOPPED
        if not alive:
            return Lifecycle.LOST
        if stop_file or self.stop_requested in ("pause", "now"):
            return Lifecycle.STOPPING
        if self.waiting_until:
            return Lifecycle.WAITING_LIMIT
        return Lifecycle.RUNNING if self.sessions else Lifecycle.STARTING


def elapsed_ms(before: str, after: str, jump: int = 0) -> int:
    """Milliseconds between two times of events, when the clock jumped by `jump` of them meanwhile; 0 where it
    went back without a word, or one is missing."""
    if not before or not after:
        return 0
    try:
        span = datetime.fromisoformat(after) - datetime.fromisoformat(before)
    except ValueError:
        return 0
    return max(0, round(span.total_seconds() * 1000) - jump)


def schema_path(path: str) -> str:
    """Where the criteria of the sprint contract at `path` lie in a schema."""
    return f"{path.removesuffix('.md')}.json"

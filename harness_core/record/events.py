"""What can happen in a run: one small frozen type a fact, as it stands in the journal.

A line of the journal is one event as a JSON object: `type`, `seq`, `ts`, `session`, `role`, then the
type's own fields. `session` is the harness's own number, from 1. Money is US dollars, durations are
milliseconds unless the name says otherwise, times are UTC in ISO 8601 with milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from harness_core.contract.record import Status
from harness_core.evidence.claim import Piece
from harness_core.steps.iterations import Iteration


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all events have. The journal sets `seq` and `ts` when it appends."""

    seq: int = 0
    ts: str = ""
    session: int | None = None
    role: str | None = None


class RunStarted(Event, frozen=True, kw_only=True, tag="run_started"):
    format: int
    preset: str
    run_id: str
    limits: dict[str, float] = {}
    head: str | None = None
    """The commit that the run found."""
    sandbox: str = ""
    """In words whether agents work in one."""


class RunResumed(Event, frozen=True, kw_only=True, tag="run_resumed"):
    pid: int
    ended: list[str] = []
    """What the last engine had left alive and this one ended: `pid command`."""
    limits: dict[str, float] | None = None
    sandbox: str = ""


class RunEnded(Event, frozen=True, kw_only=True, tag="run_ended"):
    reason: str
    exit: int


class PhaseStarted(Event, frozen=True, kw_only=True, tag="phase_started"):
    phase: str
    round: int = 1


class PhaseEnded(Event, frozen=True, kw_only=True, tag="phase_ended"):
    phase: str
    round: int = 1
    ms: int = 0


class SessionStarted(Event, frozen=True, kw_only=True, tag="session_started"):
    sdk_session: str
    model: str
    phase: str = ""
    feature: str | None = None
    features: list[str] = []
    """What the session is about; `feature` is the only one, where it is one."""
    round: int = 1
    resumed: bool = False


class SessionEnded(Event, frozen=True, kw_only=True, tag="session_ended"):
    reason: str
    ms: int
    """How long an engine was alive in it and didn't wait for the operator."""
    turns: int
    usd: float
    passing: int = 0
    """Features that pass now, and of how many."""
    total: int = 0


class Text(Event, frozen=True, kw_only=True, tag="text"):
    text: str
    agent: str | None = None


class Thinking(Event, frozen=True, kw_only=True, tag="thinking"):
    text: str
    agent: str | None = None


class ToolUse(Event, frozen=True, kw_only=True, tag="tool_use"):
    tool_use_id: str
    tool: str
    input: dict[str, Any]
    agent: str | None = None


class ToolResult(Event, frozen=True, kw_only=True, tag="tool_result"):
    tool_use_id: str
    ok: bool
    ms: int
    output: str = ""
    """At most 4 KB; the whole is the blob, where there is one."""
    blob: str | None = None
    agent: str | None = None


class GuardDecision(Event, frozen=True, kw_only=True, tag="guard_decision"):
    tool_use_id: str
    tool: str
    guard: str
    reason: str
    decision: str = "deny"
    agent: str | None = None


class ContractFrozen(Event, frozen=True, kw_only=True, tag="contract_frozen"):
    """From here on the contract's text is fixed. `adopted` passed when it was found."""

    features: list[str]
    sha256: str
    name: str
    adopted: list[str] = []


class BoundPiece(Piece, frozen=True, kw_only=True):
    """A piece of evidence as a claim binds it: to a commit, and to other features that it openly shows."""

    commit: str | None = None
    also_for: list[str] = msgspec.field(default_factory=list)


class FeatureChanged(Event, frozen=True, kw_only=True, tag="feature_changed"):
    feature: str
    from_: Status = msgspec.field(name="from")
    to: Status
    by: str
    """`generator`, `evaluator`, `operator` or `engine`."""
    evidence: list[BoundPiece] = []
    note: str = ""


class EvidenceCaptured(Event, frozen=True, kw_only=True, tag="evidence_captured"):
    path: str
    sha256: str
    size: int


class EvidenceRead(Event, frozen=True, kw_only=True, tag="evidence_read"):
    path: str
    sha256: str
    tool_use_id: str


class ContractTampered(Event, frozen=True, kw_only=True, tag="contract_tampered"):
    what: str
    tool_use_id: str | None = None
    restored: bool = True


class ContractChanged(Event, frozen=True, kw_only=True, tag="contract_changed"):
    """The operator has changed a feature's text, and the contract is frozen anew."""

    feature: str
    by: str
    what: str = ""
    sha256: str = ""


class Score(msgspec.Struct, frozen=True):
    criterion: str
    score: float
    reason: str = ""


class Finding(msgspec.Struct, frozen=True):
    """What an evaluator found wrong; `feature` is None when it belongs to no single one."""

    feature: str | None
    criterion: str
    where: str
    reproduce: str
    severity: str = "major"


class Agreed(msgspec.Struct, frozen=True):
    """One criterion of a sprint's contract: what must be true, and how it is tested."""

    id: str
    text: str
    check: str = ""


class SpecWritten(Event, frozen=True, kw_only=True, tag="spec_written"):
    """From here on there is a specification; `by` is `planner` or `operator`."""

    name: str
    sha256: str
    by: str


class FeaturesAdded(Event, frozen=True, kw_only=True, tag="features_added"):
    """Features were added to the frozen contract, at its end."""

    features: list[str]
    sha256: str
    request: str
    """The digest of what was asked for."""


class SprintStarted(Event, frozen=True, kw_only=True, tag="sprint_started"):
    sprint: int
    features: list[str]
    path: str = ""
    """Its contract, below the run; "" where none is negotiated."""


class ContractProposed(Event, frozen=True, kw_only=True, tag="contract_proposed"):
    sprint: int
    round: int
    path: str
    sha256: str


class ContractReviewed(Event, frozen=True, kw_only=True, tag="contract_reviewed"):
    """The evaluator's answer to a proposal, which the engine wrote under it."""

    sprint: int
    round: int
    verdict: str
    criteria: list[Agreed]
    findings: list[Finding] = []


class ContractAgreed(Event, frozen=True, kw_only=True, tag="contract_agreed"):
    """A sprint's contract is frozen. `by`: whose version holds, of `both evaluator generator operator`."""

    sprint: int
    path: str
    sha256: str
    criteria: list[Agreed]
    by: str
    schema_sha256: str = ""
    """Of the criteria in a schema, which lie next to the prose."""


class SprintEnded(Event, frozen=True, kw_only=True, tag="sprint_ended"):
    sprint: int


class IterationChosen(Event, frozen=True, kw_only=True, tag="iteration_chosen"):
    """The iteration that stands at the end, and the commit that holds it."""

    iteration: int
    by: str
    commit: str | None = None


class Compacted(Event, frozen=True, kw_only=True, tag="compacted"):
    """The CLI summarised the conversation; sizes are tokens."""

    trigger: str
    before: int = 0
    after: int = 0


class GoalJudged(Event, frozen=True, kw_only=True, tag="goal_judged"):
    """Whether the run's condition in words is met, after a turn; judging took `ms`."""

    met: bool
    reason: str
    ms: int = 0


class SteerQueued(Event, frozen=True, kw_only=True, tag="steer_queued"):
    id: str
    mode: str
    text: str


class SteerDelivered(Event, frozen=True, kw_only=True, tag="steer_delivered"):
    """`tool_use_id` is None when the message opened a session or followed its last word."""

    id: str
    tool_use_id: str | None = None
    sdk_session: str = ""


class SteerAcknowledged(Event, frozen=True, kw_only=True, tag="steer_acknowledged"):
    id: str


class StopRequested(Event, frozen=True, kw_only=True, tag="stop_requested"):
    mode: str
    """`pause`, `finish` or `now`."""


class StopConfirmed(Event, frozen=True, kw_only=True, tag="stop_confirmed"):
    mode: str
    survivors: list[str] = []


class StopCleared(Event, frozen=True, kw_only=True, tag="stop_cleared"):
    pass


class CheckpointOpened(Event, frozen=True, kw_only=True, tag="checkpoint_opened"):
    id: str
    kind: str
    subject_hash: str
    summary: str = ""
    features: list[str] = []


class CheckpointDecided(Event, frozen=True, kw_only=True, tag="checkpoint_decided"):
    id: str
    decision: str
    """`approve`, `reject`, or `stale` when what was shown has changed and it is asked again."""
    by: str
    note: str = ""
    overrides: list[str] = []
    """Criteria on which the operator disagrees with the evaluator: their findings count no more."""
    iterations: list[Iteration] = []
    """Of a design that was asked about: those that were shown."""
    choice: int | None = None
    """Which of them the operator chose; None leaves the best one."""


class Verdict(Event, frozen=True, kw_only=True, tag="verdict"):
    verdict: str
    """`PASS` or `NEEDS_WORK`."""
    scope: list[str]
    scores: list[Score] = []
    findings: list[Finding] = []
    commit: str | None = None
    total: float | None = None
    """The weighted score, out of 10."""
    iteration: int = 0
    """Which iteration of a design it judges; 0 where there are none."""


class Commit(Event, frozen=True, kw_only=True, tag="commit"):
    sha: str
    subject: str
    by: str


class Cost(Event, frozen=True, kw_only=True, tag="cost"):
    """What came on top since the last one; the sum over a run is what it cost.

    Replies are priced as they arrive; at a session's end one more event brings the sum to what the
    CLI itself reports, so `usd` may be negative there.
    """

    usd: float
    tokens: int
    phase: str
    turns: int = 0
    context: int = 0
    """Tokens in the conversation's context at this reply; 0 where unknown."""
    agent: str | None = None


class RateLimited(Event, frozen=True, kw_only=True, tag="rate_limited"):
    status: str
    window: str = ""
    resets_at: str | None = None
    utilization: float | None = None


class Retry(Event, frozen=True, kw_only=True, tag="retry"):
    attempt: int
    max: int
    delay_ms: int
    status: int | None = None
    error: str = ""


SILENCE = "silence"
NO_ANSWER = "no answer from the API"


class StallDetected(Event, frozen=True, kw_only=True, tag="stall_detected"):
    what: str
    """`SILENCE` of the API or the CLI, `NO_ANSWER`, or what took too long: the session, a tool call."""
    seconds: float


class LoopDetected(Event, frozen=True, kw_only=True, tag="loop_detected"):
    what: str
    times: int


class LimitReached(Event, frozen=True, kw_only=True, tag="limit_reached"):
    """A limit has ended what it bounds: the run, or a session."""

    limit: str
    value: float
    cap: float
    scope: str = "run"
    """`run`, `session`, or a phase (`phase:build`), which ends the run too."""


class LimitNear(Event, frozen=True, kw_only=True, tag="limit_near"):
    """Most of a limit is used: said once, until the limit is changed; of a session's, once in each."""

    limit: str
    value: float
    cap: float
    scope: str = "run"


class LimitsChanged(Event, frozen=True, kw_only=True, tag="limits_changed"):
    """The operator has changed limits while the run was under way."""

    id: str
    by: str
    changed: dict[str, float | None]
    """What was asked, by key: None took a limit away."""
    limits: dict[str, float]
    """All that hold from now on."""


class AppChanged(Event, frozen=True, kw_only=True, tag="app_changed"):
    """The app under work was started or stopped, or its start failed."""

    action: str
    ok: bool
    detail: str = ""


class ServerMissing(Event, frozen=True, kw_only=True, tag="server_missing"):
    """An MCP server that agents should have isn't there; told once for each engine."""

    name: str
    why: str


class ClockJumped(Event, frozen=True, kw_only=True, tag="clock_jumped"):
    """The clock of `ts` has jumped since the event before: it was set, or the machine slept meanwhile."""

    ms: int
    """By how much, negative where it went back: what of the time between those events wasn't there."""


class Error(Event, frozen=True, kw_only=True, tag="error"):
    message: str
    kind: str = ""


class Unknown(Event, frozen=True, kw_only=True, tag="unknown"):
    """An event of a type that this version doesn't know; passed through, never interpreted."""

    fields: dict[str, Any] = {}


AnyEvent = (
    RunStarted | RunResumed | RunEnded | PhaseStarted | PhaseEnded | SessionStarted | SessionEnded
    | Text | Thinking | ToolUse | ToolResult | GuardDecision | ContractFrozen | FeatureChanged
    | EvidenceCaptured | EvidenceRead | ContractTampered | ContractChanged
    | SteerQueued | SteerDelivered | SteerAcknowledged | StopRequested | StopConfirmed | StopCleared
    | CheckpointOpened | CheckpointDecided | Verdict | Commit | Cost | RateLimited | Retry
    | StallDetected | LoopDetected | LimitReached | LimitNear | LimitsChanged | AppChanged | Error
    | SpecWritten | FeaturesAdded | SprintStarted | ContractProposed | ContractReviewed | ContractAgreed
    | SprintEnded | IterationChosen | Compacted | GoalJudged | ServerMissing | ClockJumped
)  # fmt: skip

CONTROL: tuple[type[Event], ...] = (
    RunStarted, RunResumed, RunEnded, PhaseStarted, PhaseEnded, SessionStarted, SessionEnded,
    ContractFrozen, FeatureChanged, ContractChanged, SteerQueued, SteerDelivered, StopRequested,
    StopConfirmed, StopCleared, CheckpointOpened, CheckpointDecided, Verdict, LimitReached, LimitsChanged,
    SpecWritten, FeaturesAdded, SprintStarted, ContractProposed, ContractReviewed, ContractAgreed,
    SprintEnded, IterationChosen, GoalJudged,
)  # fmt: skip
"""Events that are on disk before anything is done about them."""

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(AnyEvent)
_raw_decoder = msgspec.json.Decoder(dict[str, Any])
_common = frozenset(("type", "seq", "ts", "session", "role"))
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
E = TypeVar("E", bound=Event)


class BadEvent(ValueError):
    """A line of a journal that is not an event."""


def encode(event: Event) -> bytes:
    """The event as one JSON line, newline included; one of an unknown type goes out as it came in."""
    event = sound(event)
    if not isinstance(event, Unknown):
        return _encoder.encode(event) + b"\n"
    common = {"seq": event.seq, "ts": event.ts, "session": event.session, "role": event.role}
    return _encoder.encode({"type": "unknown", **event.fields, **common}) + b"\n"


def sound(event: E) -> E:
    """The event as it can be written: half a surrogate pair, which no JSON can hold, becomes `?`."""
    try:
        _encoder.encode(event)
    except UnicodeEncodeError:
        return with_text(event, lambda text: text.encode("utf-8", "replace").decode())
    return event


def with_text(event: E, change: Callable[[str], str]) -> E:
    """The event with `change` applied to all its free text, keys of a tool's input included."""
    changed: E = _mapped(event, change)
    return changed


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    # The exact type: a member of an enumeration is a word of ours, not text.
    if type(value) is str:
        return change(value)
    if isinstance(value, msgspec.Struct):
        names = [field.name for field in msgspec.structs.fields(value)]
        changed = {name: _mapped(getattr(value, name), change) for name in names}
        return msgspec.structs.replace(value, **changed)
    if isinstance(value, dict):
        return {_mapped(key, change): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(item, change) for item in value)
    return value


def decode(line: bytes) -> Event:
    """The event of one line; a type or shape from another version comes back as `Unknown`.

    Raises BadEvent when the line is no JSON object with a `seq` from 1.
    """
    try:
        event = _decoder.decode(line)
    except msgspec.ValidationError:
        raw = _decode_raw(line)
    except _UNREADABLE as error:
        raise BadEvent(str(error)) from error
    else:
        if event.seq < 1:
            raise BadEvent("no seq")
        return event
    return Unknown(
        seq=raw["seq"],
        ts=str(raw.get("ts", "")),
        session=raw.get("session") if isinstance(raw.get("session"), int) else None,
        role=raw.get("role") if isinstance(raw.get("role"), str) else None,
        fields={key: value for key, value in raw.items() if key not in _common or key == "type"},
    )


def _decode_raw(line: bytes) -> Mapping[str, Any]:
    try:
        raw = _raw_decoder.decode(line)
    except _UNREADABLE as error:
        raise BadEvent(str(error)) from error
    if type(raw.get("seq")) is not int or raw["seq"] < 1:
        raise BadEvent("no seq")
    return raw

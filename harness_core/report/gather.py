"""Reads a run once, from its journal's first event to its last, and keeps what a report tells.

What is kept is bounded: by the contract, by how many sorts there are, or by a number. So a journal of a
million events takes time, but not memory.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field

import msgspec

from harness_core.layout import RunDir
from harness_core.operator.bounds import named
from harness_core.reading import contract_view, rows
from harness_core.reading.burnup import BurnUp
from harness_core.reading.contract_view import View
from harness_core.reading.evidence_journal import Chronicle
from harness_core.reading.feature_story import Story
from harness_core.record import events as ev
from harness_core.record import reduce
from harness_core.record.journal import Tail
from harness_core.record.state import RunState
from harness_core.record.status import Report, report

FIRST_MOMENTS = 60
LAST_MOMENTS = 240
"""Of a long timeline the middle is left out."""
EXAMPLES = 3
"""Of each guard, so many denials are shown."""
KEPT = 200
"""Of other things that are told one by one, so many of the newest."""
_SNAG = 400
"""Characters by which one is known and told."""
_CALLS = 256
"""Calls that are remembered until it is known what came of them."""


class RoleCost(msgspec.Struct):
    """What one role took: sessions, milliseconds, turns, tokens, US dollars."""

    sessions: int = 0
    ms: int = 0
    turns: int = 0
    tokens: int = 0
    usd: float = 0.0


class Moment(msgspec.Struct, frozen=True):
    """A line of the timeline."""

    ts: str
    text: str


class Denied(msgspec.Struct, frozen=True):
    """A call that a guard denied."""

    tool: str
    about: str
    reason: str
    session: int | None


class Snag(msgspec.Struct):
    """What held the work up or cut it short, and the newest session that it happened in."""

    times: int = 0
    session: int | None = None


@dataclass
class Denials:
    """What one guard denied."""

    count: int = 0
    examples: list[Denied] = field(default_factory=list)


class Message(msgspec.Struct):
    """A steering message and how far it came."""

    id: str
    mode: str
    text: str
    queued: str
    delivered: str = ""
    acknowledged: str = ""


class Sprint(msgspec.Struct):
    """A sprint, and the contract that was agreed for it."""

    features: list[str]
    criteria: int = 0
    by: str = ""
    """Whose version holds, "" where nothing is agreed."""
    over: bool = False


@dataclass
class Timeline:
    """The first and the newest moments."""

    first: list[Moment] = field(default_factory=list)
    last: deque[Moment] = field(default_factory=lambda: deque(maxlen=LAST_MOMENTS))
    left_out: int = 0

    def add(self, moment: Moment) -> None:
        if len(self.first) < FIRST_MOMENTS:
            self.first.append(moment)
            return
        self.left_out += len(self.last) == LAST_MOMENTS
        self.last.append(moment)


@dataclass
class Found:
    """All that a report is made from."""

    run: RunDir
    state: RunState
    report: Report
    view: View
    gathered: Gatherer


class Gatherer:
    """Takes in the events of a run, in order."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._story_at_work: Story | None = None
        self._calls: OrderedDict[str, tuple[str, str]] = OrderedDict()
        """By the call: what it was about, and the feature that it names."""
        self._feature: str | None = None
        self.stories: dict[str, Story] = {}
        self.evidence = Chronicle(run.journal)
        self.burn_up = BurnUp(run)
        self.roles: dict[str, RoleCost] = {}
        self.timeline = Timeline()
        self.denials: dict[str, Denials] = {}
        self.refused: Counter[str] = Counter()
        """By feature, "" where the call names none: claims that the evidence guard refused."""
        self.sprints: OrderedDict[int, Sprint] = OrderedDict()
        self.overridden: deque[ev.CheckpointDecided] = deque(maxlen=KEPT)
        self.decisions: deque[ev.CheckpointDecided] = deque(maxlen=KEPT)
        self.asked: dict[str, ev.CheckpointOpened] = {}
        self.messages: OrderedDict[str, Message] = OrderedDict()
        self.operator: deque[Moment] = deque(maxlen=KEPT)
        """Stops, and changes that the operator made."""
        self.snags: OrderedDict[str, Snag] = OrderedDict()
        """By what happened, the newest last."""
        self.tampered: deque[ev.ContractTampered] = deque(maxlen=KEPT)
        self.commits: deque[ev.Commit] = deque(maxlen=KEPT)
        self.commit_count = 0

    def take(self, event: ev.Event) -> None:
        """Take one event in."""
        self._keep_time(event)
        match event:
            case ev.ToolUse():
                self._called(event)
            case ev.GuardDecision():
                self._denied(event)
            case ev.Cost():
                role = self._role(event)
                role.turns += event.turns
                role.tokens += event.tokens
                role.usd += event.usd
            case ev.EvidenceCaptured() | ev.EvidenceRead():
                self.evidence.take(event)
            case ev.SprintStarted() | ev.ContractAgreed() | ev.SprintEnded():
                self._sprint(event)
            case ev.Commit():
                self.commit_count += 1
                self.commits.append(event)
            case ev.ContractFrozen() | ev.FeaturesAdded():
                self.burn_up.take(event)
                for feature in event.features:
                    self._story(feature)
            case ev.FeatureChanged():
                self.burn_up.take(event)
            case ev.ContractTampered():
                self.tampered.append(event)
            case ev.LimitReached() | ev.StallDetected() | ev.LoopDetected() | ev.ServerMissing():
                self._held_up(event)
            case _:
                self._operator(event)
        self._tell_stories(event)

    def _role(self, event: ev.Event) -> RoleCost:
        return self.roles.setdefault(event.role or "outside a session", RoleCost())

    def _called(self, event: ev.ToolUse) -> None:
        about = rows.short_input(event.input, str(self._run.root))
        self._calls[event.tool_use_id] = about, str(event.input.get("feature", ""))
        if len(self._calls) > _CALLS:
            self._calls.popitem(last=False)

    def _denied(self, event: ev.GuardDecision) -> None:
        about, feature = self._calls.get(event.tool_use_id, ("", ""))
        if event.guard == "evidence" and (feature in self.stories or not feature):
            # A claim by the tool names its feature; an edit of the contract doesn't.
            self.refused[feature] += 1
        kept = self.denials.setdefault(event.guard, Denials())
        kept.count += 1
        if len(kept.examples) < EXAMPLES and all(one.reason != event.reason for one in kept.examples):
            kept.examples.append(Denied(event.tool, about, event.reason, event.session))

    def _held_up(
        self, event: ev.LimitReached | ev.StallDetected | ev.LoopDetected | ev.ServerMissing
    ) -> None:
        match event:
            case ev.LimitReached():
                what = f"The limit {named(event.scope, event.limit)}, {event.cap:,.15g}, was reached"
            case ev.StallDetected():
                what = f"Work stood still: {event.what}"
            case ev.LoopDetected():
                what = f"Work went round in circles: {event.what}"
            case ev.ServerMissing():
                what = f"The MCP server {event.name} wasn't there: {event.why}"
        snag = self.snags.setdefault(what[:_SNAG], Snag())
        snag.times += 1
        snag.session = event.session
        self.snags.move_to_end(what[:_SNAG])
        if len(self.snags) > KEPT:
            self.snags.popitem(last=False)

    def _sprint(self, event: ev.SprintStarted | ev.ContractAgreed | ev.SprintEnded) -> None:
        if isinstance(event, ev.SprintStarted):
            self.sprints[event.sprint] = Sprint(event.features)
            if len(self.sprints) > KEPT:
                self.sprints.popitem(last=False)
        elif event.sprint not in self.sprints:
            return
        elif isinstance(event, ev.ContractAgreed):
            sprint = self.sprints[event.sprint]
            sprint.criteria, sprint.by = len(event.criteria), event.by
        else:
            self.sprints[event.sprint].over = True

    def _operator(self, event: ev.Event) -> None:
        match event:
            case ev.CheckpointOpened():
                self.asked[event.id] = event
                if len(self.asked) > KEPT:
                    del self.asked[next(iter(self.asked))]
            case ev.CheckpointDecided():
                self.decisions.append(event)
                if event.overrides:
                    self.overridden.append(event)
            case ev.SteerQueued():
                self.messages[event.id] = Message(event.id, event.mode, event.text, event.ts)
                if len(self.messages) > KEPT:
                    self.messages.popitem(last=False)
            case ev.SteerDelivered() if event.id in self.messages:
                self.messages[event.id].delivered = event.ts
            case ev.SteerAcknowledged() if event.id in self.messages:
                self.messages[event.id].acknowledged = event.ts
            case (
                ev.StopRequested()
                | ev.StopConfirmed()
                | ev.StopCleared()
                | ev.ContractChanged()
                | ev.LimitsChanged()
            ):
                self.operator.append(Moment(event.ts, _told(event)))

    # --- Features -------------------------------------------------------------------------------------

    def _tell_stories(self, event: ev.Event) -> None:
        """Give the event to the stories that it belongs to, and to no other: there may be many."""
        match event:
            case ev.SessionStarted():
                before, self._feature = self._story_at_work, event.feature
                self._story_at_work = self._story(event.feature) if event.feature else None
                for story in {id(story): story for story in (before, self._story_at_work) if story}.values():
                    story.take(event)
            case ev.SessionEnded() | ev.GuardDecision() | ev.Commit() if self._story_at_work:
                self._story_at_work.take(event)
            case ev.Verdict():
                named = [finding.feature or "" for finding in event.findings]
                for feature in dict.fromkeys([*event.scope, *named]):
                    if feature in self.stories:
                        self.stories[feature].take(event)
            case ev.FeatureChanged():
                also = [feature for piece in event.evidence for feature in piece.also_for]
                for feature in dict.fromkeys([event.feature, *also]):
                    self._story(feature).take(event)

    def _story(self, feature: str) -> Story:
        if feature not in self.stories:
            self.stories[feature] = Story(self._run, feature)
        return self.stories[feature]

    # --- Time -----------------------------------------------------------------------------------------

    def _keep_time(self, event: ev.Event) -> None:
        if isinstance(event, ev.SessionEnded):
            role = self._role(event)
            role.sessions += 1
            role.ms += event.ms
            feature = f" · {self._feature}" if self._feature else ""
            head = f"session {event.session} · {event.role or 'agent'}{feature}"
            self.timeline.add(Moment(event.ts, f"{head} · {_told(event)}"))
        elif isinstance(event, _TOLD):
            self.timeline.add(Moment(event.ts, _told(event)))


_TOLD = (
    ev.RunStarted, ev.RunResumed, ev.RunEnded, ev.PhaseStarted, ev.ContractFrozen, ev.ContractTampered,
    ev.ContractChanged, ev.FeatureChanged, ev.Verdict, ev.CheckpointOpened, ev.CheckpointDecided,
    ev.StopRequested, ev.StopConfirmed, ev.StopCleared, ev.LimitReached, ev.LimitNear, ev.LimitsChanged,
    ev.StallDetected, ev.LoopDetected, ev.Error, ev.SpecWritten, ev.FeaturesAdded, ev.SprintStarted,
    ev.ContractAgreed, ev.SprintEnded, ev.IterationChosen, ev.GoalJudged,
)  # fmt: skip


def _told(event: ev.Event) -> str:
    """An event in the words of the stream, on one line."""
    said = [text.strip(" ━") for _, text in rows.lines(event, 300)]
    return next((text for text in said if text), "")


def gather(run: RunDir) -> Found:
    """Read a run. Raises LongwatchError for one that a newer Longwatch wrote, OSError for a journal that
    can't be read."""
    state, gatherer = RunState(), Gatherer(run)
    tail = Tail(run.journal)
    for event in tail.read_all():
        reduce.apply(state, event)
        gatherer.take(event)
    state.damaged = tail.damaged
    return Found(run, state, report(run, state), contract_view.read(run), gatherer)

"""A scenario, and the player that says what a scripted agent does next.

`next_reply` is a function of the scenario and the request alone: it plays the role's script from its
beginning, hands each step the outcome that the conversation shows, and stops at the first step without
one. So a server, an engine or a CLI may die at any instant and nothing is lost or done twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from harness_core.rehearsal.conversation import (
    ACKNOWLEDGED,
    SUBAGENT,
    Conversation,
    gather,
    remember,
    understand,
)
from harness_core.rehearsal.faults import WireFault
from harness_core.rehearsal.words import (
    Block,
    Brief,
    Call,
    Outcome,
    Say,
    Script,
    Step,
    Think,
    blocks_of,
    calls_of,
)

NOTHING_LEFT = "I have nothing left to do in this session."
STOPPING = "The operator has stopped the run. I'll go on from here when it continues."


@dataclass(frozen=True)
class Scenario:
    """Scripts by role, and what goes wrong on the way."""

    name: str
    title: str
    """One sentence for people who choose a scenario."""
    scripts: Mapping[str, Script]
    faults: tuple[WireFault, ...] = ()
    """What the server does wrong."""
    think_ms: int = 0
    """The model's latency: a wait before the first byte of each reply, at every pace."""
    mischief: tuple[Callable[[Script], Script], ...] = field(default=())
    """What the agents do wrong: each wraps every role's script."""

    def script(self, role: str) -> Script:
        script = self.scripts.get(role, _explorer if role == SUBAGENT else _bystander)
        for wrap in self.mischief:
            script = wrap(script)
        return script


@dataclass(frozen=True)
class PlacedCall:
    """A tool call with its place in the script."""

    step: int
    place: int
    call: Call


@dataclass(frozen=True)
class Reply:
    """One message of a scripted agent."""

    role: str
    blocks: tuple[Say | Think | PlacedCall, ...]

    @property
    def ends_turn(self) -> bool:
        return not any(isinstance(block, PlacedCall) for block in self.blocks)


def next_reply(scenario: Scenario, request: Mapping[str, object]) -> Reply:
    """What the agent of this `/v1/messages` request says and does next."""
    return reply_to(scenario, understand(request))


def reply_to(scenario: Scenario, talk: Conversation) -> Reply:
    outcomes, step = _replay(scenario.script(talk.brief.role), talk)
    if talk.wants_summary:
        return Reply(talk.brief.role, (Say(_summary(talk.brief, outcomes)),))
    if talk.stopped:
        return Reply(talk.brief.role, (Say(STOPPING),))
    blocks = _placed(step or NOTHING_LEFT, len(outcomes), talk)
    if talk.steering is not None:
        thoughts = tuple(block for block in blocks if isinstance(block, Think))
        rest = tuple(block for block in blocks if not isinstance(block, Think))
        blocks = (*thoughts, Say(f"{ACKNOWLEDGED}: “{talk.steering}” I'll keep to that from here on."), *rest)
    return Reply(talk.brief.role, blocks)


def _replay(script: Script, talk: Conversation) -> tuple[list[Outcome], Step | None]:
    """The outcomes of all finished steps, and the first step without one (None: the script is over)."""
    outcomes: list[Outcome] = []
    turns = iter(talk.turns)
    play = script(talk.brief)
    try:
        step = next(play)
        while True:
            place = len(outcomes)
            if place < len(talk.remembered):
                outcome: Outcome | None = talk.remembered[place]
            elif calls := calls_of(step):
                done = [talk.results.get((place, call)) for call in range(len(calls))]
                finished = [part for part in done if part is not None]
                outcome = gather(finished) if len(finished) == len(calls) else None
            else:
                said = " ".join(block.text for block in blocks_of(step) if isinstance(block, Say))
                answer = next((turn.answer for turn in turns if said in turn.text), None)
                outcome = None if answer is None else Outcome(answer)
            if outcome is None:
                return outcomes, step
            outcomes.append(outcome)
            step = play.send(outcome)
    except StopIteration:
        return outcomes, None


def _placed(step: Step, number: int, talk: Conversation) -> tuple[Say | Think | PlacedCall, ...]:
    """The blocks of a step that are still to be played."""
    placed: list[Say | Think | PlacedCall] = []
    call = 0
    for block in blocks_of(step):
        if isinstance(block, Call):
            if (number, call) not in talk.results:
                placed.append(PlacedCall(number, call, _absolute(block, talk.brief.root)))
            call += 1
        elif isinstance(block, Say) or talk.thinking:
            placed.append(block)
    return tuple(placed)


def _absolute(call: Call, root: str) -> Call:
    """The call with its paths below `root`, as Claude Code's file tools ask for them."""
    if not root or call.tool not in ("Read", "Write", "Edit", "Grep", "Glob"):
        return call
    paths = {
        name: str(PurePosixPath(root) / value)
        for name, value in call.input.items()
        if name in ("file_path", "path") and isinstance(value, str)
    }
    return Call(call.tool, {**call.input, **paths})


def _summary(brief: Brief, outcomes: list[Outcome]) -> str:
    return (
        f"<summary>\n# Role: {brief.role}\n{len(outcomes)} steps of the task are done; "
        f"their outcomes are kept below. The work goes on with the next one.\n\n"
        f"{remember(brief, outcomes)}\n</summary>"
    )


def _bystander(brief: Brief) -> Generator[Step, Outcome, None]:
    yield f"This scenario has no script for the role {brief.role}; there is nothing for me to do."


def _explorer(brief: Brief) -> Generator[Step, Outcome, None]:
    """A subagent: looks around once, or as often as it is told, and reports."""
    if brief.offers("Bash"):
        seen = yield Call("Bash", {"command": "ls"})
        more = re.search(r"(\d+) times", brief.prompt)
        for number in range(1, int(more[1]) if more else 1):
            yield f"Look {number} of the rest.", Call("Bash", {"command": f"ls | head -n {number}"})
        yield f"I looked around as asked. At the top there are {len(seen.text.split())} entries."
    else:
        yield "I have no shell here, so there is nothing to report."


__all__ = ["NOTHING_LEFT", "Block", "PlacedCall", "Reply", "Scenario", "next_reply", "reply_to"]

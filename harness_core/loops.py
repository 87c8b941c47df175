"""Notices an agent that goes round in circles: the same calls, the same outcomes, and nothing comes of them.

Pure: fed with what has ended, it says what it sees. Waiting for something outside of the project looks the
same for a while and is right, so calls that ask how that stands may be made more often.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SAME_CALL = 5
"""How often one call may have the same outcome in a row."""
SAME_CYCLE = 4
"""How often a row of several calls may."""
LONGEST = 4
"""Calls in a cycle at most."""
WAITING = 20
"""How often, where a call asks for what others do: a server that comes up, a page that changes."""
SAME_CLAIM = 3
"""How often claims may come to the same, whatever is done in between."""
BACK_AND_FORTH = 3
"""How often a file may come back to what it was."""
WARNINGS = 3
"""Different circles that a session is told of before the next one ends it."""
_FILES = 64
_CLAIMS = 64
_ASKS = re.compile(
    r"\b(sleep|wait|timeout|curl|wget|http|nc|ss|lsof|netstat|ping|ps|pgrep|jobs|tail|journalctl|docker|kubectl"
    r"|pg_isready|redis-cli|mysqladmin)\b"
)
_TIMES = re.compile(r"\b\d+(?:[.,]\d+)?\s?(?:ms|s|sec|seconds?)\b|\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b")
_CLAIM = "mcp__longwatch__claim_feature"
_TELLING = ("command", "file_path", "notebook_path", "pattern", "action", "feature", "url", "description")
"""The argument that says the most of a call."""
_WORDS = 120


@dataclass(frozen=True)
class Ended:
    """A tool call that has ended: by what two calls and two outcomes are the same, and how it is named."""

    call: str
    outcome: str
    words: str
    asks: bool = False
    """Whether it asks for what happens outside of the project."""
    tree: str | None = None
    """What the project's files then held; None where nobody has looked."""
    claims: bool = False
    """Whether it claims a feature."""

    def same_as(self, other: Ended) -> bool:
        blind = self.tree is None or other.tree is None
        return (self.call, self.outcome) == (other.call, other.outcome) and (blind or self.tree == other.tree)


@dataclass(frozen=True)
class Circle:
    """What goes round, in an operator's words, how often it did, and by what it is known again."""

    what: str
    times: int
    key: frozenset[str]


class Loops:
    """Keeps what one agent did last. What is found is forgotten, so that it is found anew if it goes on."""

    def __init__(self) -> None:
        self._calls: deque[Ended] = deque(maxlen=LONGEST * WAITING)
        self._files: OrderedDict[str, deque[str]] = OrderedDict()
        self._claims: deque[str] = deque(maxlen=_CLAIMS)

    def knows(self, ended: Ended) -> bool:
        """Whether the like of it was among the last calls: only then need anybody look at the files."""
        return any(
            (item.call, item.outcome) == (ended.call, ended.outcome) for item in [*self._calls][-LONGEST:]
        )

    def take(self, ended: Ended) -> Circle | None:
        """One more call has ended."""
        self._calls.append(ended)
        calls = [*self._calls]
        for length in range(1, LONGEST + 1):
            cycle = calls[-length:]
            times = _times(calls, cycle)
            bound = SAME_CALL if length == 1 else SAME_CYCLE
            if times >= (WAITING if any(item.asks for item in cycle) else bound):
                self._forget()
                return Circle(_told(cycle), times, frozenset(item.call for item in cycle))
        return self._claimed(ended) if ended.claims else None

    def _claimed(self, ended: Ended) -> Circle | None:
        self._claims.append(ended.outcome)
        if (times := self._claims.count(ended.outcome)) < SAME_CLAIM:
            return None
        self._forget()
        what = f"claims that come to the same, whatever is done in between ({ended.words})"
        return Circle(what, times, frozenset([ended.outcome]))

    def take_content(self, path: str, digest: str) -> Circle | None:
        """A file was written and now holds what `digest` stands for."""
        held = self._files.setdefault(path, deque(maxlen=2 * BACK_AND_FORTH))
        self._files.move_to_end(path)
        if len(self._files) > _FILES:
            self._files.popitem(last=False)
        if not held or held[-1] != digest:
            held.append(digest)
        here, there = [*held][::2], [*held][1::2]
        if len(held) < 2 * BACK_AND_FORTH or len({*here}) > 1 or len({*there}) > 1:
            return None
        self._forget()
        what = f"{path} goes back and forth between the same contents"
        return Circle(what, BACK_AND_FORTH, frozenset([path]))

    def _forget(self) -> None:
        self._calls.clear()
        self._files.clear()
        self._claims.clear()


class Warnings:
    """Which circles a session was told of."""

    def __init__(self) -> None:
        self._told: set[frozenset[str]] = set()

    def again(self, circle: Circle) -> bool:
        """Whether telling is of no use any more: it was told of this one, or of too many others."""
        known = any(circle.key & told for told in self._told) or len(self._told) >= WARNINGS
        self._told.add(circle.key)
        return known


def _times(calls: Sequence[Ended], cycle: Sequence[Ended]) -> int:
    """How often the cycle stands at the end of the calls."""
    length, times = len(cycle), 1
    while len(calls) >= (times + 1) * length:
        start = len(calls) - (times + 1) * length
        before = calls[start : start + length]
        if not all(one.same_as(other) for one, other in zip(before, cycle, strict=True)):
            break
        times += 1
    return times


def _told(cycle: Sequence[Ended]) -> str:
    if len(cycle) == 1:
        return f"the same call with the same outcome and no effect ({cycle[0].words})"
    words = "; ".join(item.words for item in cycle)
    return f"the same {len(cycle)} calls with the same outcomes and no effect ({words})"


def warning(circle: Circle) -> str:
    """What an agent is told, once, of going round in circles."""
    return (
        f"Longwatch: you go round in circles: {circle.what}, {circle.times} times. Once more won't help. "
        "Read what the outcome says, find out why, and go another way. If nothing is left to try, write down "
        "in the notes what stands in the way and end your turn. If this goes on, the session is ended."
    )


def ended(tool: str, arguments: Mapping[str, Any], response: object, tree: str | None = None) -> Ended:
    """A call and its outcome as they are compared: times that something took don't make a difference."""
    said = {name: value for name, value in arguments.items() if name != "description"}
    call = json.dumps([tool, said], sort_keys=True, default=str)
    outcome = _TIMES.sub("·", json.dumps(response, sort_keys=True, default=str))
    command = str(arguments.get("command", "")) if tool == "Bash" else ""
    asks = bool(_ASKS.search(command)) or tool == "mcp__longwatch__app" or "browser" in tool
    about = next((arguments[name] for name in _TELLING if name in arguments), "")
    words = " ".join(f"{tool.rpartition('__')[2]} {about}".split())
    return Ended(_digest(call), _digest(outcome), _short(words), asks, tree, tool == _CLAIM)


def _short(words: str) -> str:
    return words if len(words) <= _WORDS else f"{words[: _WORDS - 1]}…"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

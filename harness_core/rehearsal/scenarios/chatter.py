"""Sessions that look at a lot before they do a little: some hundred events each, most of them cheap.

The parameter is how many messages a session spends on looking around: `chatter:10`. Every tenth flag comes
back from its evaluator once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import count

from harness_core.errors import Mistake
from harness_core.rehearsal.habits import CONTRACT, Finding, deliver_verdict, judgement
from harness_core.rehearsal.scenario import Scenario
from harness_core.rehearsal.scenarios import tiny
from harness_core.rehearsal.words import (
    Block,
    Brief,
    Call,
    Outcome,
    Part,
    Step,
    bash,
    glob,
    grep,
    put,
    read,
    say,
    think,
)

TITLE = "Sessions of some hundred events; chatter:10 looks around for 24 messages."
MESSAGES = 10
_MOST_CALLS = 8
_THOUGHTS = 18
_LINES = len(tiny.FLAGS_PY.splitlines())
_ID = re.compile(r"\bF\d{3}\b")
_PLACES = ("flags.py", "init.sh", "PROGRESS.md", CONTRACT)


def generator(messages: int, brief: Brief) -> Generator[Step, Outcome, None]:
    feature = _at_hand(brief)
    yield f"I'll look for {feature} in the contract first.", grep(f'"{feature}"', CONTRACT)
    yield from _look_around(messages)
    mends = "finding" in brief.prompt.lower()
    if mends:
        yield "What was found?", read("findings.md")
    yield from put(_source(feature), _design(feature, mended=mends), f"Now I'll draw {feature}.")
    claimed = yield from tiny.prove(feature)
    if not claimed.ok:
        yield from tiny.prove(feature, "Then I'll draw it once more, look, and claim again.")
    yield bash(f"git add -A && git commit -q -m 'Draw {feature}'")
    yield f"{feature} is built and claimed."


def evaluator(messages: int, brief: Brief) -> Generator[Step, Outcome, None]:
    feature = _at_hand(brief)
    yield "I haven't seen this being built. First, what was promised.", grep(f'"{feature}"', CONTRACT)
    yield from _look_around(messages)
    yield f"What {feature} looks like:", read(f"screenshots/{feature}-flag.png")
    source = yield "And how it is made.", read(_source(feature))
    yield from deliver_verdict(brief, judgement(_findings(feature, source.text)))
    yield "That is my verdict."


def _at_hand(brief: Brief) -> str:
    """The feature that a session is about: the first that its task names."""
    found = _ID.search(brief.prompt)
    return found[0] if found else "F001"


def _source(feature: str) -> str:
    return f"designs/{feature}.json"


def _design(feature: str, *, mended: bool) -> str:
    """Tiny's, of which the colours come round after 128 flags: a picture twice would be no evidence."""
    design = json.loads(tiny.design(feature))
    design["colours"][0][1] += int(feature[1:]) // 128
    return json.dumps({**design, "measured": mended}) + "\n"


def _findings(feature: str, source: str) -> list[Finding]:
    if int(feature[1:]) % 10 or '"measured": true' in source:
        return []
    where = f"Nobody has measured the stripes of {feature}."
    return [
        {"feature": feature, "criterion": "craft", "where": where, "reproduce": f"Read {_source(feature)}"}
    ]


def _look_around(messages: int) -> Part:
    """No call comes twice, so it is no going in circles."""
    calls = _calls()
    seen = Outcome()
    for number in range(messages):
        words = f"Message {number + 1} of {messages}: what else is here that has to do with the stripes?"
        many = 1 + number * 3 % _MOST_CALLS
        blocks: list[Block] = [think(f"There is more to see. {words}")] if number % 3 == 0 else []
        blocks += [say(f"{words} Thought {part + 1}.") for part in range(_THOUGHTS)]
        seen = yield (*blocks, *(next(calls) for _ in range(many)))
    return seen


def _calls() -> Iterator[Call]:
    """Mostly what the CLI answers by itself; it starts a process for a search."""
    for number in count():
        if number % 12 == 0:
            yield glob(f"**/*{number}*")
        elif number % 12 == 6:
            yield grep(f"[a-z]{{{number}}}", _PLACES[number // 12 % len(_PLACES)])
        else:
            yield Call("Read", {"file_path": "flags.py", "offset": 1 + number % _LINES, "limit": 5 + number})


def scenario(parameter: str | None) -> Scenario:
    if parameter is not None and not parameter.isdigit():
        raise Mistake(f"chatter:{parameter} isn't a number of messages; write chatter:{MESSAGES}.")
    messages = int(parameter or MESSAGES)
    base = tiny.scenario(None)
    scripts = {
        "generator": lambda brief: generator(messages, brief),
        "evaluator": lambda brief: evaluator(messages, brief),
    }
    return replace(base, name="chatter", title=TITLE, scripts={**base.scripts, **scripts})

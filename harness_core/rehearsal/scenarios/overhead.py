"""Sessions of exactly twelve tool calls each, to measure what the harness adds to them.

The parameter is the model's latency in milliseconds: `overhead:300`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from harness_core.errors import Mistake
from harness_core.rehearsal.habits import CONTRACT, next_feature
from harness_core.rehearsal.scenario import Scenario
from harness_core.rehearsal.scenarios import tiny
from harness_core.rehearsal.words import Brief, Outcome, Step, bash, claim, read, write

TITLE = "Sessions of twelve tool calls; overhead:300 waits 300 ms before each reply."


def generator(brief: Brief) -> Generator[Step, Outcome, None]:
    yield bash("pwd")
    yield bash("git log --oneline -5")
    yield bash("ls")
    yield bash("cat PROGRESS.md")
    seen = yield bash(f"cat {CONTRACT}")
    feature = next_feature(brief, seen.text) or "F001"
    picture = f"screenshots/{feature}-flag.png"
    yield bash("./init.sh")
    yield write(f"designs/{feature}.json", tiny.design(feature))
    yield bash("git status --short")
    yield bash(f"python3 flags.py {feature}")
    yield read(picture)
    yield claim(feature, [picture], "The stripes are there.")
    yield bash(f"git add -A && git commit -q -m 'Draw {feature}'")
    yield f"{feature} is built and claimed."


def scenario(parameter: str | None) -> Scenario:
    if parameter is not None and not parameter.isdigit():
        raise Mistake(f"overhead:{parameter} isn't a number of milliseconds; write overhead:300.")
    base = tiny.scenario(None)
    return replace(
        base,
        name="overhead",
        title=TITLE,
        scripts={**base.scripts, "generator": generator},
        think_ms=int(parameter or 0),
    )

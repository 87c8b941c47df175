"""Three flags, one feature each: the smallest run that has everything a run has."""

from __future__ import annotations

import json
from collections.abc import Generator

from harness_core.rehearsal.habits import (
    CONTRACT,
    asked_features,
    builds_everything,
    judging,
    named_file,
    next_feature,
    proposal_path,
    propose,
)
from harness_core.rehearsal.scenario import Scenario
from harness_core.rehearsal.words import Brief, Outcome, Part, Step, bash, claim, put, read

TITLE = "Three features in a few calls each; for tests."
FEATURES = 3

FLAGS_PY = '''\
"""Draws the flag of a feature: python3 flags.py F001 -> screenshots/F001-flag.png"""

import json
import os
import struct
import sys
import zlib


def stripes(colours, width=96, height=64):
    bands = len(colours)
    return [[bytes(colours[x * bands // width]) for x in range(width)] for _ in range(height)]


def png(rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 2, 0, 0, 0)
    data = b"".join(b"\\0" + b"".join(row) for row in rows)
    body = chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\\x89PNG\\r\\n\\x1a\\n" + body


def main(feature):
    with open(f"designs/{feature}.json") as file:
        colours = json.load(file)["colours"]
    os.makedirs("screenshots", exist_ok=True)
    with open(f"screenshots/{feature}-flag.png", "wb") as file:
        file.write(png(stripes(colours)))
    print(f"{feature}: {len(colours)} stripes drawn")


if __name__ == "__main__":
    main(sys.argv[1])
'''
INIT_SH = '#!/bin/sh\nset -e\ncd "$(dirname "$0")"\npython3 -m py_compile flags.py\necho ready\n'
NOTES = "# Progress\n\nNothing is built yet. Each feature is a file in `designs/`; `flags.py` draws it.\n"


def contract(count: int) -> str:
    features = [
        {
            "id": f"F{number:03d}",
            "category": "functional",
            "description": f"Flag {number} has {number % 4 + 2} upright stripes",
            "steps": [f"Run python3 flags.py F{number:03d}", "Look at the picture"],
            "passes": False,
        }
        for number in range(1, count + 1)
    ]
    return json.dumps(features, indent=2) + "\n"


def design(feature: str) -> str:
    number = int(feature[1:])
    colours = [
        [(number * 70 + stripe * 90) % 256, (stripe * 60 + 40) % 256, (200 - number * 30) % 256]
        for stripe in range(number % 4 + 2)
    ]
    return json.dumps({"colours": colours}) + "\n"


def planner(brief: Brief) -> Generator[Step, Outcome, None]:
    path = named_file(brief, "app_spec.txt")
    yield from put(path, "A program that draws three flags as PNG files.\n")
    yield f"The specification is in {path}."


def initializer(brief: Brief) -> Generator[Step, Outcome, None]:
    if "to be added" in brief.prompt:
        yield from add_flag(brief)
        return
    text = contract(asked_features(brief, FEATURES))
    yield from put(CONTRACT, text, "First the contract.")
    yield from put("flags.py", FLAGS_PY)
    yield from put("init.sh", INIT_SH)
    yield from put("PROGRESS.md", NOTES)
    yield bash("chmod +x init.sh && ./init.sh")
    yield bash("git add -A && git commit -q -m 'Lay out the flags'")
    answer = yield "The contract is written and the project starts."
    while answer:
        yield from put(CONTRACT, text, "You are right; here is the whole contract.")
        yield bash(f"git add -A && git commit -q -m 'Mend {CONTRACT}'")
        answer = yield "The contract is mended."


def add_flag(brief: Brief) -> Part:
    """One more flag in a project that draws some: the program stays as it is."""
    yield "First what is there.", bash("ls"), read("flags.py")
    yield from put(named_file(brief, CONTRACT), contract(1), "One flag is to be added.")
    yield bash("git add -A && git commit -q -m 'Take up what is to be added'")
    return (yield "What is to be added is written down.")


def generator(brief: Brief) -> Generator[Step, Outcome, None]:
    if path := proposal_path(brief):
        yield from propose(brief, path)
        return
    done: set[str] = set()
    while True:
        seen = yield "Which feature is next?", bash(f"cat {CONTRACT}")
        feature = next_feature(brief, seen.text, done)
        if not seen.ok:
            yield from build_whole()
            return
        if feature is None:
            yield "Every feature passes; there is nothing left to build."
            return
        done.add(feature)
        yield from build(feature)
        if not builds_everything(brief):
            yield f"{feature} is built and claimed."


def build_whole() -> Part:
    """All there is to it, where no contract says what."""
    yield from put("flags.py", FLAGS_PY, "There is no contract. I'll draw one flag, and see it.")
    yield from put("init.sh", INIT_SH)
    yield from put("designs/F001.json", design("F001"))
    yield bash("chmod +x init.sh && ./init.sh && python3 flags.py F001")
    yield read("screenshots/F001-flag.png")
    yield bash("git add -A && git commit -q -m 'Draw a flag'")
    return (yield "The flag is drawn; I looked at it.")


def build(feature: str) -> Part:
    yield from put(f"designs/{feature}.json", design(feature), f"I'll draw {feature}.")
    claimed = yield from prove(feature)
    if not claimed.ok:
        yield from prove(feature, "Then I'll draw it once more, look, and claim again.")
    return (yield bash(f"git add -A && git commit -q -m 'Draw {feature}'"))


def prove(feature: str, words: str = "Now to see it.") -> Part:
    picture = f"screenshots/{feature}-flag.png"
    yield words, bash(f"python3 flags.py {feature}")
    yield read(picture)
    return (yield claim(feature, [picture], "The stripes are there."))


evaluator = judging(lambda feature: f"designs/{feature}.json", lambda feature, source: None)


def scenario(parameter: str | None) -> Scenario:
    return Scenario(
        "tiny",
        TITLE,
        {"planner": planner, "initializer": initializer, "generator": generator, "evaluator": evaluator},
    )

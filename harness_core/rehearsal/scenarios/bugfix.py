"""A small program with a fault: reproduced, shown by a test that fails, mended, verified."""

from __future__ import annotations

import json
from collections.abc import Generator

from harness_core.rehearsal.habits import (
    CONTRACT,
    Finding,
    deliver_verdict,
    judgement,
    named_file,
    next_feature,
    scope_of,
)
from harness_core.rehearsal.scenario import Scenario
from harness_core.rehearsal.words import Brief, Outcome, Step, app, bash, change, claim, put, read

TITLE = "A program that exists and has a fault; for --mode bugfix."
REPORT = "slug.py leaves a dash at the end of a title that ends with a mark."
_FAULTY = 'return re.sub(r"[^a-z0-9]+", "-", title.lower())'
_SOUND = 'return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")'
_USE = "python3 slug.py 'Hello, World!'"
PROJECT = {
    "slug.py": f"""\
\"\"\"The part of an address that a title becomes: python3 slug.py TITLE\"\"\"

import re
import sys


def slug(title):
    {_FAULTY}


if __name__ == "__main__":
    print(slug(sys.argv[1]))
""",
    "check.py": """\
\"\"\"Runs all tests and keeps what they said in screenshots/FEATURE-test.log\"\"\"

import os
import subprocess
import sys

done = subprocess.run([sys.executable, "-m", "unittest", "-v"], capture_output=True, text=True)
os.makedirs("screenshots", exist_ok=True)
with open(f"screenshots/{sys.argv[1]}-test.log", "w") as log:
    log.write(f"{done.stderr}exit status {done.returncode}\\n")
print(done.stderr)
sys.exit(done.returncode)
""",
    "init.sh": f'#!/bin/sh\nset -e\ncd "$(dirname "$0")"\n{_USE}\n',
    ".gitignore": "__pycache__/\n",
}
"""What is there before the run."""
_TEST = """\
import unittest

from slug import slug


class Slug(unittest.TestCase):
    def test_no_dash_at_either_end(self):
        self.assertEqual(slug("Hello, World!"), "hello-world")
        self.assertEqual(slug("(a)"), "a")
"""


def initializer(brief: Brief) -> Generator[Step, Outcome, None]:
    yield "First the program, then what the report says of it.", bash("ls"), read("slug.py")
    seen = yield bash(_USE)
    told = "seen" if seen.text.strip().endswith("-") else "not seen"
    feature = {
        "category": "functional",
        "description": "A slug neither begins nor ends with a dash",
        "steps": ["Write a test with such a title and see it fail", f"Run {_USE}", "Run all tests"],
        "passes": False,
    }
    yield from put(
        named_file(brief, CONTRACT), json.dumps([feature], indent=2) + "\n", f"The fault is {told}."
    )
    yield from put("PROGRESS.md", f"# Progress\n\nReproduced with `{_USE}`: {told}.\n")
    yield bash("git add -A && git commit -q -m 'Take up the report'")
    yield "One fault, one feature."


def generator(brief: Brief) -> Generator[Step, Outcome, None]:
    seen = yield "What is the fault?", bash(f"cat {CONTRACT}"), read("PROGRESS.md")
    feature = next_feature(brief, seen.parts[0].text if seen.parts else seen.text) or "F001"
    check, log = f"python3 check.py {feature}", f"screenshots/{feature}-test.log"
    yield from put("test_slug.py", _TEST, "First a test that shows it.")
    failed = yield bash(check, why="See the test fail")
    if failed.ok:
        yield "The test passes: I can't reproduce the fault."
        return
    yield from change(
        "slug.py", _FAULTY, _SOUND, "It fails for that reason: marks at the ends become dashes."
    )
    yield bash(check, why="See it pass")
    yield read(log)
    yield claim(feature, [log], "The test failed before, and passes now.")
    yield bash("git add -A && git commit -q -m 'Leave no dash at the ends of a slug'")
    yield "The fault is gone."


def evaluator(brief: Brief) -> Generator[Step, Outcome, None]:
    contract = yield "What was promised?", read(CONTRACT)
    shown = yield "And what does it do?", app("restart")
    finding: Finding = {
        "feature": next(iter(scope_of(brief, contract.text)), None),
        "criterion": "functionality",
        "where": "the dash at the end is still there",
        "reproduce": _USE,
        "severity": "major",
    }
    holds = "hello-world" in shown.text.split()
    yield from deliver_verdict(brief, judgement([] if holds else [finding]))
    yield "That is my verdict."


def scenario(parameter: str | None) -> Scenario:
    return Scenario(
        "bugfix", TITLE, {"initializer": initializer, "generator": generator, "evaluator": evaluator}
    )

"""Agents who build a small program feature by feature, and an evaluator who uses it.

A feature may have a fault that its builder doesn't see. The evaluator's verdict depends on nothing but what
its tools show it of the program. The builder mends the fault by the finding, unless that is withheld.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from harness_core.errors import Mistake
from harness_core.rehearsal.habits import (
    CONTRACT,
    Finding,
    agree,
    builds_everything,
    deliver_verdict,
    is_asked_to_agree,
    judgement,
    named_file,
    next_feature,
    proposal_path,
    propose,
    scope_of,
)
from harness_core.rehearsal.scenario import Scenario
from harness_core.rehearsal.words import (
    Brief,
    Call,
    Outcome,
    Part,
    Step,
    app,
    bash,
    claim,
    put,
    put_all,
    read,
)

UNFIXED = "unfixed"
_LOOKS = 40
"""How often the evaluator looks whether the program has come to its last line."""


@dataclass(frozen=True)
class Piece:
    """A feature: what the contract says, how it is built, and how its builder makes sure of it."""

    description: str
    steps: Sequence[str]
    files: Mapping[str, str]
    check: str
    """The command that leaves `evidence`."""
    evidence: str
    mended: Mapping[str, str] = field(default_factory=dict)
    """The files without the fault, where there is one."""


Judge = Callable[[str, str, Sequence[bytes]], Finding | None]
"""From a feature's id, what the running program says, and the pictures of the feature, to a finding."""


@dataclass(frozen=True)
class Program:
    """What is built, and how an evaluator tells whether it holds."""

    name: str
    title: str
    spec: str
    ground: Mapping[str, str]
    """What the initializer lays out, `init.sh` among it."""
    pieces: Mapping[str, Piece]
    """By the feature's id, in the contract's order."""
    last_line: str
    """What the program says when it has shown all that it can do."""
    judge: Judge

    @property
    def contract(self) -> str:
        features = [
            {
                "id": name,
                "category": "functional",
                "description": piece.description,
                "steps": list(piece.steps),
                "passes": False,
            }
            for name, piece in self.pieces.items()
        ]
        return json.dumps(features, indent=2) + "\n"


def staged(program: Program, parameter: str | None) -> Scenario:
    """The scenario of a program. `unfixed`: its builder never mends the fault, whatever is found."""
    if parameter not in (None, UNFIXED):
        raise Mistake(
            f"{program.name}:{parameter} is unknown; write {program.name} or {program.name}:{UNFIXED}."
        )
    return Scenario(
        program.name,
        program.title,
        {
            "planner": partial(_planner, program),
            "initializer": partial(_initializer, program),
            "generator": partial(_generator, program, parameter != UNFIXED),
            "evaluator": partial(_evaluator, program),
        },
    )


def _planner(program: Program, brief: Brief) -> Generator[Step, Outcome, None]:
    path = named_file(brief, "spec.md")
    yield from put(path, program.spec)
    yield f"The specification is in {path}."


def _initializer(program: Program, brief: Brief) -> Generator[Step, Outcome, None]:
    yield from put(CONTRACT, program.contract, "First the contract.")
    yield from put_all(program.ground)
    yield bash("chmod +x init.sh && mkdir -p screenshots")
    yield bash("git add -A && git commit -q -m 'Lay out the project'")
    yield f"The contract has {len(program.pieces)} features, and the ground is laid."


def _generator(program: Program, mends: bool, brief: Brief) -> Generator[Step, Outcome, None]:
    if path := proposal_path(brief):
        yield from propose(brief, path)
        return
    done: set[str] = set()
    while True:
        seen = yield "Which feature is next?", bash(f"cat {CONTRACT}")
        feature = next_feature(brief, seen.text, done)
        if feature is None or feature not in program.pieces:
            yield "Everything that I was given is built and claimed."
            return
        done.add(feature)
        found = "finding" in brief.prompt.lower() and bool(program.pieces[feature].mended)
        yield from _build(feature, program.pieces[feature], found, mends)
        if not builds_everything(brief):
            yield f"{feature} is built and claimed."


def _build(feature: str, piece: Piece, found: bool, mends: bool) -> Part:
    if found:
        yield "This one came back. What was found?", read("findings.md")
    if found and not mends:
        yield "I can't see anything wrong with it.", bash("git status --short")
    elif found:
        yield from put_all(piece.mended, "That is right, and my own check couldn't see it. Now it is mended.")
    else:
        yield from put_all(piece.files, f"I'll build {feature}.")
    yield bash(piece.check)
    yield read(piece.evidence)
    yield "That looks right to me.", claim(feature, [piece.evidence], "Built, checked and looked at.")
    verb = "Mend" if found else "Build"
    return (yield bash(f"git add -A && git commit -q -m '{verb} {feature}'"))


def _evaluator(program: Program, brief: Brief) -> Generator[Step, Outcome, None]:
    if is_asked_to_agree(brief):
        yield from agree(brief)
        return
    contract = yield "I haven't seen this being built. First, what was promised.", read(CONTRACT)
    said = yield from _use(program.last_line)
    findings = []
    for feature in [name for name in scope_of(brief, contract.text) if name in program.pieces]:
        pictures = yield from _pictures(feature)
        finding = program.judge(feature, said.text, pictures)
        findings += [finding] if finding else []
    yield from deliver_verdict(brief, judgement(findings))
    yield "That is my verdict."


def _use(last_line: str) -> Part:
    """Start the program anew, and watch it until it has shown everything."""
    shown = yield "Now I'll start it and see what it does.", app("restart")
    for _ in range(_LOOKS):
        if last_line in shown.text or not shown.ok:
            break
        shown = yield app("logs")
    return shown


def _pictures(feature: str) -> Generator[Step, Outcome, list[bytes]]:
    found = yield Call("Glob", {"pattern": f"screenshots/{feature}*.png"})
    pictures: list[bytes] = []
    for line in found.text.splitlines():
        if line.endswith(".png"):
            shown = yield f"What {feature} looks like:", read(line)
            pictures += shown.pictures
    return pictures

"""What a session is told first: its task, and what the sessions before it left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from harness_core.config import RunConfig
from harness_core.contract.record import Feature
from harness_core.grading.rubric import Rubric
from harness_core.layout import RunDir
from harness_core.record import events as ev

_PLACES = 10
"""Places of credentials that a message names at most."""
_FOUND = 30
"""Findings of an earlier verdict that an evaluator is told at most."""
CONTINUE = (
    "You were interrupted and the session goes on now. Look at what is really there (git status, the files, "
    "the contract) before you repeat anything: the outcome of the call that was cut off is unknown. "
    "Then carry on with the same task."
)


def groundwork_task(run: RunDir, config: RunConfig, name: str) -> str:
    """The first message of an initializer that writes features to the file of that name."""
    match config.mode:
        case "build":
            return initializer_task(run, config.features)
        case "bugfix":
            return bugfix_task(config.prompt, name)
        case "enhancement":
            return added_task(config.prompt, name)


def initializer_task(run: RunDir, features: int) -> str:
    """The first message of the initializer."""
    return (
        f"The specification is in {run.spec.name}. Prepare the build: write {run.contract.name} with exactly "
        f"{features} features, then init.sh, the scaffold and what else your page asks for, and commit."
    )


def sent_back(what: str) -> str:
    """What an agent hears whose work can't be taken as it is; `what` is a sentence."""
    return f"This can't be taken as it is: {what} Mend it, look at it once more, and finish."


NOT_TRIED = (
    "the app didn't start when that was last tried, so this can't have been tried. Find out why in its log, "
    "mend what your tools can mend, and `restart` it. Judge it once it runs; if it can't be made to run, "
    "the answer is NEEDS_WORK, with what kept it from running."
)
"""What an evaluator hears that passes what it can't have used."""


def planner_task(prompt: str, name: str) -> str:
    """The first message of the planner: what the operator wants, in their own words."""
    return (
        f"This is what is wanted, in the operator's words:\n\n{prompt}\n\nWrite the specification to {name}."
    )


def added_task(prompt: str, name: str) -> str:
    """The first message of an initializer that adds features to a contract that is there."""
    return (
        f"This is to be added, in the operator's words:\n\n{prompt}\n\nRead what exists, then write the "
        f"features that are to be added to {name}, in the contract's form, each with `passes` false."
    )


def bugfix_task(prompt: str, name: str) -> str:
    """The first message of an initializer that makes features of a report of faults."""
    return (
        f"This is the report:\n\n{prompt}\n\nReproduce it, then write to {name}, in the contract's form: one "
        "feature for each fault, with the steps by which a person sees that it is gone."
    )


@dataclass(frozen=True)
class Hints:
    """What a generator is told besides its task."""

    findings: str = ""
    tried: str = ""
    """What was tried on its features before."""
    skipped: Sequence[str] = ()
    unverified: Sequence[str] = ()
    """Claimed features that its file doesn't show as passing yet."""
    contract: str = ""
    """The path of its sprint's contract."""
    app_trouble: str = ""
    """How the last start of the app under work failed."""
    withheld: Sequence[str] = ()
    """Where credentials keep files uncommitted."""


def generator_task(number: int, features: Sequence[Feature], attempts: int, hints: Hints) -> str:
    """The first message of a generator session."""
    parts = [f"This is session {number} of the build."]
    if len(features) == 1:
        feature = features[0]
        text = {"id": feature.id, "category": feature.category, "description": feature.description}
        steps = json.dumps(list(feature.steps), ensure_ascii=False)
        parts.append(
            f"Your feature is {feature.id}: {json.dumps(text, ensure_ascii=False)}, with the steps {steps}."
        )
        parts.append("Claim it under exactly that id.")
    elif features:
        names = ", ".join(feature.id for feature in features)
        parts.append(
            f"Build all of these features in this session, one after the other, in this order: {names}. "
            "Their texts are in the contract. Claim each under its id as soon as you have seen it hold."
        )
    else:
        parts.append("All features pass, but the work was sent back: see below and findings.md.")
    if hints.contract:
        parts.append(
            f"What this sprint owes, and how it is checked, is agreed in {hints.contract}: keep to it."
        )
    if attempts:
        parts.append(
            f"{attempts} session{'s' if attempts > 1 else ''} before you worked on it, and it doesn't hold "
            "yet: see what was tried, and go another way."
        )
    return "\n\n".join([*parts, *_hinted(hints)])


def _hinted(hints: Hints) -> list[str]:
    parts = []
    if hints.app_trouble:
        parts.append(
            "The app didn't start when that was last tried. Mend first what stands in its way, init.sh or a "
            f"service that it needs:\n\n{hints.app_trouble.strip()}"
        )
    if hints.withheld:
        parts.append(
            "These files are left uncommitted, since they hold what looks like a credential: "
            f"{'; '.join(hints.withheld[:_PLACES])}. Have the program read it from its environment, or put "
            "a file that only this machine needs into .gitignore; then commit."
        )
    if hints.tried:
        parts.append(f"What was tried before:\n\n{hints.tried}")
    if hints.findings:
        parts.append(f"These findings are open; they come first:\n\n{hints.findings}")
    if hints.unverified:
        parts.append(
            f"Claimed, and in the contract's file not passing before they are verified: "
            f"{', '.join(hints.unverified)}. They are built: leave them as they are."
        )
    if hints.skipped:
        parts.append(f"Given up for now: {', '.join(hints.skipped)}.")
    return parts


def whole_task(number: int, run: RunDir, prompt: str, hints: Hints) -> str:
    """The first message of a session that builds the whole, without a contract of features."""
    asked = f"What is wanted, in the operator's words:\n\n{prompt}" if prompt else ""
    spec = f"The specification is in {run.spec.name}." if run.spec.is_file() else ""
    parts = [f"This is session {number} of the build.", *filter(None, (spec, asked))]
    return "\n\n".join([*parts, *_hinted(hints)])


ITERATION = {
    "start": "This is the first iteration: find a direction of your own and carry it through.",
    "refine": "Refine: keep the direction, push it further, and mend what the findings name.",
    "pivot": "The score has stopped rising: leave this direction, and find one that could score far higher.",
}
"""What an iteration is told to do, by the decision on it."""


def iteration_task(
    number: int,
    run: RunDir,
    prompt: str,
    decision: str,
    scores: Sequence[tuple[int, float]],
    hints: Hints,
    grading: str = "",
) -> str:
    """The first message of one iteration of a design; `scores` are (iteration, weighted score) so far."""
    trend = ", ".join(f"{place}: {score:.1f}" for place, score in scores)
    parts = [
        whole_task(number, run, prompt, Hints()),
        f"Iteration {len(scores) + 1}. {ITERATION[decision]}",
        *([f"Scores so far, out of 10: {trend}."] if trend else []),
        *filter(None, [grading]),
    ]
    return "\n\n".join([*parts, *_hinted(hints)])


def proposal_task(number: int, path: str, features: Sequence[Feature], answer: str) -> str:
    """The first message of a generator that proposes what a sprint owes; `answer` is the evaluator's to the
    last proposal, "" for the first."""
    names = ", ".join(feature.id for feature in features)
    parts = [
        f"This is session {number}. Propose the contract of the next sprint, over the features {names}: "
        f"write it to {path}, and build nothing yet.",
    ]
    if answer:
        parts.append(f"The evaluator doesn't agree yet; its answer is under the proposal:\n\n{answer}")
    return "\n\n".join(parts)


def review_task(
    run: RunDir,
    path: str,
    proposal: str,
    features: Sequence[Feature],
    objections: Sequence[ev.Finding] = (),
) -> str:
    """The first message of an evaluator that answers a proposed contract; `objections` are what was held
    against the proposal before it."""
    parts = [
        f"The generator proposes this contract for the next sprint ({path}), over these features:\n\n"
        f"{_listed(features)}",
        f"The proposal:\n\n{proposal.strip()}",
    ]
    if objections:
        asked = "\n".join(f"- {item.where}" for item in objections)
        parts.append(
            f"It mends one to which an evaluator answered:\n\n{asked}\n\nSee whether each point is taken up, "
            "or rightly left. Bring up anew only what the sprint would fail by."
        )
    parts.append(f"Do you agree to judge by it? The specification is {run.spec.name}.")
    return "\n\n".join(parts)


def _listed(features: Sequence[Feature]) -> str:
    return "\n".join(
        json.dumps(
            {"id": item.id, "description": item.description, "steps": list(item.steps)}, ensure_ascii=False
        )
        for item in features
    )


def evaluator_task(
    run: RunDir,
    features: Sequence[Feature],
    commit: str | None,
    evidence: Sequence[str],
    contract: Sequence[ev.Agreed] = (),
    grading: str = "",
    found: Sequence[ev.Finding] = (),
) -> str:
    """The first message of an evaluator session: the scope that the engine set, how it is graded, and what
    was `found` in it when it was last judged."""
    at = f"at commit {commit or '(none yet)'}"
    if features:
        parts = [f"Judge these features as they are {at}:\n\n{_listed(features)}"]
        shown = "\n".join(f"- {path}" for path in evidence) or "- none"
        parts.append(f"The evidence that the claims rest on:\n{shown}")
    else:
        parts = [f"Judge the whole as it is {at}."]
    if contract:
        agreed = "\n".join(
            f"- {item.id}: {item.text} (tested by: {item.check or 'use'})" for item in contract
        )
        parts.append(f"The sprint's contract, each criterion of which you grade:\n{agreed}")
    if found:
        known = "\n".join(f"- {_in_a_line(item)}" for item in found[-_FOUND:])
        parts.append(
            "This was found in an earlier state of it. See for yourself whether each is gone; then look as "
            f"if nobody had looked before:\n{known}"
        )
    if run.spec.is_file():
        parts.append(f"The specification is {run.spec.name}.")
    return "\n\n".join([*parts, *filter(None, [grading])])


def _in_a_line(finding: ev.Finding) -> str:
    how = f" To see it: {finding.reproduce}" if finding.reproduce else ""
    return " ".join(f"{finding.feature or 'The whole'}, {finding.criterion}: {finding.where}{how}".split())


def measured_by(rubric: Rubric, *, examples: bool = False) -> str:
    """How work is graded, for who grades it and for who makes it."""
    lines = ["## How this is graded", "", *([rubric.intro, ""] if rubric.intro else [])]
    for item in rubric.criteria:
        asked = f", at least {item.threshold:g}" if item.threshold else ""
        lines.append(f"- **{item.name}** (weight {item.weight:g}{asked}): {item.asks}")
    if examples and rubric.examples:
        lines += ["", "Graded before, to hold your grades to the same measure:", ""]
        for example in rubric.examples:
            grades = ", ".join(f"{name} {score:g}" for name, score in example.scores.items())
            lines.append(f"- {example.work} → {grades}. {example.why}".rstrip())
    return "\n".join(lines)

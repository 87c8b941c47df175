"""What scripted agents of several scenarios have in common: reading the contract, judging, agreeing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass

from harness_core.rehearsal.schema import definition, fit
from harness_core.rehearsal.words import VERDICT, Brief, Call, Outcome, Part, Step, bash, put, read

CONTRACT = "feature_list.json"
_ID = re.compile(r"\bF\d{3}\b")
_LEFT_ALONE = re.compile(r"skip|given up|leave them as they are", re.IGNORECASE)
_LINE_NUMBER = re.compile(r"^\s*\d+[→\t]", re.MULTILINE)
_COUNT = (
    re.compile(r"exactly\s+(\d{1,3})\b", re.IGNORECASE),
    re.compile(r"\b(\d{1,3})\s+(?:\w+\s+)?(?:features|entries)\b", re.IGNORECASE),
    re.compile(r"features?[^\d\n]{0,20}(\d{1,3})\b", re.IGNORECASE),
)
_PROPOSAL = re.compile(r"contracts/\d+-[\w-]+\.md")
_WRITE_TO = re.compile(r"\bto (\w[\w-]*\.(?:md|txt|json))\b")
_ANSWERED = "The evaluator doesn't agree"
_ASKED = re.compile(r"^- (?!C\d+:)(.+)$", re.MULTILINE)
_ALL_AT_ONCE = re.compile(
    r"\b(?:all|every|remaining)\b[^.\n]{0,30}\bfeatures?\b[^.\n]{0,40}\b(?:pass|done|built|session)"
    r"|\bcontinuous (?:build|session)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class SeenFeature:
    """A feature as the agent finds it in the contract."""

    id: str
    text: str
    passes: bool


def asked_features(brief: Brief, otherwise: int) -> int:
    """How many features the initializer is asked for."""
    found = (pattern.search(text) for text in (brief.prompt, brief.system) for pattern in _COUNT)
    return next((int(one[1]) for one in found if one), otherwise)


def features_in(text: str) -> list[SeenFeature]:
    """The features of a contract as a tool showed it: whole or cut off, with line numbers or without."""
    plain = _LINE_NUMBER.sub("", text)
    return list(_entries(plain))


def next_feature(brief: Brief, contract: str, done: Collection[str] = ()) -> str | None:
    """What a generator takes on: the one open feature that its prompt names, else the first open one;
    where all pass, the one that the findings name. None of those that it has `done` in this session."""
    seen = features_in(contract)
    left = {
        name for line in brief.told.splitlines() if _LEFT_ALONE.search(line) for name in _ID.findall(line)
    }
    waiting = [one.id for one in seen if not one.passes and one.id not in left]
    if not waiting and "finding" in brief.prompt.lower():
        waiting = [one.id for one in seen if one.id in brief.prompt]
    waiting = [name for name in waiting if name not in done]
    named = [name for name in waiting if name in brief.prompt]
    return named[0] if len(named) == 1 else next(iter(waiting), None)


def builds_everything(brief: Brief) -> bool:
    """Whether the session is one long build rather than one feature."""
    return bool(_ALL_AT_ONCE.search(brief.told)) and "one feature" not in brief.told.lower()


def named_file(brief: Brief, otherwise: str) -> str:
    """The file that a planner or an initializer is asked to write."""
    found = _WRITE_TO.search(brief.prompt)
    return found[1] if found else otherwise


def proposal_path(brief: Brief) -> str | None:
    """The sprint contract that the session is asked to propose, if that is its task."""
    found = _PROPOSAL.search(brief.prompt)
    return found[0] if found and "propos" in brief.prompt.lower() else None


def propose(brief: Brief, path: str) -> Generator[Step, Outcome, None]:
    """A generator's proposal of a sprint contract, with what the evaluator's answer asks for."""
    contract = yield (
        "I'll look at what is open, then put down what this sprint owes.",
        bash(f"cat {CONTRACT}"),
    )
    feature = next_feature(brief, contract.text) or "the work"
    asked = _ASKED.findall(brief.prompt.partition(_ANSWERED)[2])
    more = "".join(f"{place}. {point}\n" for place, point in enumerate(asked, 4))
    yield from put(path, _PROPOSED.format(feature=feature) + more)
    yield f"The proposal for {feature} is in {path}."


def is_asked_to_agree(brief: Brief) -> bool:
    """Whether an evaluator is to answer a proposal, not to judge work."""
    return bool(definition(brief.tools.get(VERDICT, {}), "criteria"))


def agree(brief: Brief) -> Generator[Step, Outcome, None]:
    """An evaluator that finds a proposal good as it stands."""
    yield "I'll hold it against what was promised.", read(CONTRACT)
    yield from deliver_verdict(brief, {"verdict": "PASS", "criteria": [], "findings": []})
    yield "That can be judged. Agreed."


def verdict_of(brief: Brief, wanted: Mapping[str, object]) -> Call:
    """A `StructuredOutput` call in the form that the request asks for. `scores` may map any criterion to
    (score, reason); a criterion that isn't named gets the entry of ""."""
    schema = brief.tools.get(VERDICT, {})
    notes = wanted.get("scores")
    given: Mapping[str, tuple[float, str]] = notes if isinstance(notes, Mapping) else {}
    names = definition(schema, "scores", "items", "criterion").get("enum")
    criteria = [str(name) for name in names] if isinstance(names, list) else ["functionality"]
    usual = given.get("", (8, "It does what the contract says."))
    scores = []
    for place, name in enumerate(criteria):
        score, reason = given.get(name, usual)
        scores.append({"criterion": name, "score": score - place % 2, "reason": reason})
    whole = {**wanted, "scores": scores}
    fitted = fit(schema, whole) if schema else whole
    return Call(VERDICT, fitted if isinstance(fitted, dict) else whole)


def scope_of(brief: Brief, contract: str) -> list[str]:
    """The features that an evaluator is asked about: those named to it, else all that count as passing."""
    known = [one.id for one in features_in(contract)]
    for text in (brief.prompt, brief.system):
        named = [name for name in dict.fromkeys(_ID.findall(text)) if not known or name in known]
        if named:
            return named
    return [one.id for one in features_in(contract) if one.passes] or known


def deliver_verdict(brief: Brief, wanted: Mapping[str, object]) -> Part:
    """Answers in the schema; again, with the same content, where the form was refused."""
    answer = verdict_of(brief, wanted)
    done = yield answer
    for _ in range(2):
        if done.ok:
            break
        done = yield answer
    return done


Finding = Mapping[str, object]
Judge = Callable[[str, str], Finding | None]
"""From a feature's id and its source to a finding, or None where it holds."""


def judging(
    source_of: Callable[[str], str], judge: Judge
) -> Callable[[Brief], Generator[Step, Outcome, None]]:
    """An evaluator that looks at each feature's picture and source, and answers with what `judge` found."""

    def evaluator(brief: Brief) -> Generator[Step, Outcome, None]:
        if is_asked_to_agree(brief):
            yield from agree(brief)
            return
        contract = yield "I haven't seen this being built. First, what was promised.", read(CONTRACT)
        findings = []
        scope = scope_of(brief, contract.text)
        for feature in scope[:3]:
            pictures = yield Call("Glob", {"pattern": f"screenshots/{feature}*.png"})
            picture = next((line for line in pictures.text.splitlines() if line.endswith(".png")), "")
            if picture:
                yield f"What {feature} looks like:", read(picture)
            source = yield "And how it is made.", read(source_of(feature))
            finding = judge(feature, source.text)
            findings += [finding] if finding else []
        yield from deliver_verdict(brief, judgement(findings))
        yield "That is my verdict."

    return evaluator


def judgement(findings: list[Finding]) -> dict[str, object]:
    """What an evaluator answers that has found this."""
    if not findings:
        return {"verdict": "PASS", "scores": {"": (9, "It does what the contract says.")}, "findings": []}
    reason = str(findings[0].get("where", "It falls short."))
    return {"verdict": "NEEDS_WORK", "scores": {"": (4, reason)}, "findings": findings}


def _entries(text: str) -> Iterator[SeenFeature]:
    starts = [at for at in (text.find("["), text.find("{")) if at >= 0]
    try:
        whole, _ = json.JSONDecoder().raw_decode(text, min(starts, default=0))
    except json.JSONDecodeError:
        yield from _loose(text)
        return
    if isinstance(whole, dict):
        whole = whole.get("features", whole)
    named = whole.items() if isinstance(whole, dict) else enumerate(whole, 1)
    for place, entry in named:
        if isinstance(entry, dict):
            name = place if isinstance(place, str) else f"F{place:03d}"
            yield _seen(entry, name)


def _loose(text: str) -> Iterator[SeenFeature]:
    """The entries that can still be read in a text that isn't JSON as a whole."""
    at = text.find("{")
    place = 0
    while at >= 0:
        try:
            entry, end = json.JSONDecoder().raw_decode(text, at)
        except json.JSONDecodeError:
            end, entry = at + 1, None
        if isinstance(entry, dict) and "passes" in entry:
            place += 1
            yield _seen(entry, f"F{place:03d}")
        at = text.find("{", end)


def _seen(entry: Mapping[str, object], name: str) -> SeenFeature:
    return SeenFeature(
        str(entry.get("id", name)), str(entry.get("description", "")), entry.get("passes") is True
    )


_PROPOSED = """\
# Sprint: {feature}

What this sprint owes, and how it is checked:

1. The feature does what its description in the contract says, step by step.
2. A picture rendered by the program, `screenshots/{feature}-*.png`, shows it.
3. Every feature that passed before still passes.
"""

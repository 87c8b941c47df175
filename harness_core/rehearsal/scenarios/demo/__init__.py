"""A pixel-art studio, built in ten features by agents with good and bad days."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from harness_core.rehearsal.habits import (
    CONTRACT,
    asked_features,
    builds_everything,
    features_in,
    judging,
    next_feature,
    proposal_path,
    propose,
)
from harness_core.rehearsal.scenario import Scenario
from harness_core.rehearsal.scenarios.demo import plan, story
from harness_core.rehearsal.scenarios.demo.plan import Work, work_of
from harness_core.rehearsal.words import (
    Brief,
    Outcome,
    Part,
    Step,
    bash,
    change,
    claim,
    put,
    put_all,
    read,
    regression,
    think,
    write,
)

TITLE = "A pixel-art studio in ten features, with a false claim, a regression and a failed review."
SPEC = Path(__file__).parent / "app_spec.txt"
"""The specification that the demo's run is started with."""

_INIT_SH = """\
#!/bin/sh
# Checks that the studio starts, and says what it can paint.
set -e
cd "$(dirname "$0")"
python3 -m compileall -q studio.py check.py pixel scenes tests
python3 studio.py list
echo ready
"""
_IGNORED = "__pycache__/\n*.pyc\n"
_NOTES_HEAD = "## Sessions, newest first\n"
_NOTES = f"""\
# Progress

The studio paints scenes with tools of its own; see `app_spec.txt`. One feature a session.
`./init.sh` says whether it starts, `python3 check.py F001` runs a feature's tests and renders its scene.

{_NOTES_HEAD}
- Laid out the project: `studio.py`, `check.py`, the contract, empty packages. Nothing paints yet.
"""

Found = Generator[Step, Outcome, str | None]


def planner(brief: Brief) -> Generator[Step, Outcome, None]:
    yield from put("app_spec.txt", SPEC.read_text(), "I'll write down what the studio is and how it is used.")
    yield "The specification is in app_spec.txt: ten tools, one picture each."


def initializer(brief: Brief) -> Generator[Step, Outcome, None]:
    count = asked_features(brief, len(plan.PLANNED))
    yield "I'll read what is asked for before I lay anything out.", bash("pwd"), bash("ls -la")
    yield bash("cat app_spec.txt")
    yield from put(
        CONTRACT,
        plan.contract(count),
        f"Clear enough. {count} features, each with a picture to prove it. The contract first.",
    )
    yield from put("init.sh", _INIT_SH, "A start script that any later session can trust.")
    yield bash("chmod +x init.sh && mkdir -p screenshots")
    yield from put_all(
        {"studio.py": plan.text_of("studio.py"), "check.py": plan.text_of("check.py")},
        "The two programs: one paints, one checks.",
    )
    yield from put_all(
        {
            "names.json": plan.names(count),
            ".gitignore": _IGNORED,
            "pixel/__init__.py": '"""The tools."""\n',
            "scenes/__init__.py": '"""The scenes, one module each."""\n',
            "tests/__init__.py": "",
        }
    )
    yield from put("PROGRESS.md", _NOTES, "And notes for whoever comes next.")
    yield bash("./init.sh")
    yield bash('git add -A && git commit -m "Lay out the studio: contract, start script, checks"')
    answer = yield f"The studio is laid out: {count} features, none of them built. It starts and says so."
    while answer:
        yield from put(CONTRACT, plan.contract(count), "I see what is wrong. Here is the contract, whole.")
        yield from put("names.json", plan.names(count))
        yield bash('git add -A && git commit -m "Mend the contract"')
        answer = yield "The contract is mended."


def generator(brief: Brief) -> Generator[Step, Outcome, None]:
    if path := proposal_path(brief):
        yield from propose(brief, path)
        return
    done: set[str] = set()
    while True:
        around = yield (
            "Let me get my bearings before I touch anything.",
            bash("pwd"),
            bash("git log --oneline -5"),
            bash("ls"),
        )
        yield bash("cat PROGRESS.md")
        seen = yield bash(f"cat {CONTRACT}")
        feature = next_feature(brief, seen.text, done)
        if feature is None:
            yield "Every feature in the contract passes. There is nothing left for me to build."
            return
        work = work_of(feature)
        yield (
            f"Next is {work.id}: {work.description.lower()}. Does the studio still start?",
            bash("./init.sh"),
        )
        broken = yield from spot_check(work, seen.text)
        if broken:
            yield from mend(work_of(broken))
            summary = f"{broken} had broken without anybody noticing. It is mended and proven again."
        else:
            again = f"Add {work.id}:" in around.text
            yield from build(work, again, features=len(features_in(seen.text)))
            done.add(feature)
            summary = f"{work.id} is built, checked and claimed. {work.note}"
        if not builds_everything(brief):
            yield f"{summary} The notes say where to go on."


def spot_check(work: Work, contract: str) -> Found:
    """Looks at one feature that passes; gives back its id if it no longer does."""
    passing = [one.id for one in features_in(contract) if one.passes and one.id != work.id]
    if not passing:
        return None
    wanted = story.SPOT_CHECKS.get(work.id)
    chosen = work_of(wanted if wanted in passing else passing[0])
    done = yield (
        f"A spot check first: does {chosen.id}, {chosen.name}, still hold?",
        bash(f"python3 -m unittest tests.test_{chosen.name}"),
    )
    return None if done.ok else chosen.id


def mend(work: Work) -> Part:
    yield (
        think(
            "The test fails on code that passed when it was claimed. It has to go back before I build on it."
        ),
        f"It doesn't: {work.id} passed once and fails now. I'll say so before I do anything else.",
        regression(work.id, f"tests.test_{work.name} fails: a steep line stops before its end"),
    )
    yield bash("git log --oneline -4 -- pixel/line.py")
    done = yield from change(
        work.source,
        story.TIDIED_LOOP,
        story.SOUND_LOOP,
        "The last change counts steps by the width alone, so steep lines end early. Back to the end point.",
    )
    if not done.ok:
        yield from put(work.source, plan.text_of(work.source))
    yield from prove(work, f"Steep lines reach their ends again. {work.note}")
    yield bash(f'git add -A && git commit -m "Mend {work.id}: lines end at their end point"')
    return (
        yield from take_notes(
            f"Mended {work.id} ({work.name}): a tidied loop had cut steep lines short. Run the line tests "
            "whenever `pixel/line.py` changes."
        )
    )


def build(work: Work, again: bool, features: int) -> Part:
    """Builds a feature. `again`: it was built before, and the review has sent it back."""
    if again:
        yield from rebuild(work)
    else:
        files = story.flawed_files() if work.id == story.FLAWED else work.files()
        words = (work.idea, "Its tests.", "And a scene that would show a mistake.")
        for said, (path, text) in zip(words, files.items(), strict=False):
            yield from put(path, text, said)
    if work.id == story.CARELESS and not again and features >= int(story.FOUND_AT[1:]):
        yield from change(
            "pixel/line.py",
            story.SOUND_LOOP,
            story.TIDIED_LOOP,
            "While I'm here: line() compares its end point at every pixel. A count is enough.",
        )
    if work.id == story.HASTY and not again:
        yield from claim_in_haste(work)
    else:
        yield from prove(work, work.note)
    yield bash(f'git add -A && git commit -m "{_subject(work, again)}"')
    after = ", once more after the review" if again else ""
    return (yield from take_notes(f"{work.id} {work.name}{after}: {work.note}"))


def rebuild(work: Work) -> Part:
    """Reads what the review found, and writes the feature's files as they should have been."""
    found = yield "This one came back from the review. What did it find?", read("findings.md")
    said = "That is right, and my own test didn't notice. I'll mend the code and then the test."
    done = found
    for path, text in work.files().items():
        yield (said, read(path)) if said else read(path)
        done = yield write(path, text)
        said = ""
    return done


def prove(work: Work, note: str) -> Part:
    """Runs the feature's check, looks at what it left, and claims; once more where that is refused."""
    claimed = yield from look_and_claim(work, note, "Now with my own eyes.")
    if claimed.ok:
        return claimed
    return (yield from look_and_claim(work, note, "Refused, so I'll look again at what it is now."))


def look_and_claim(work: Work, note: str, words: str) -> Part:
    yield bash(f"python3 check.py {work.id}", why=f"Test and render {work.id}")
    yield words, read(work.picture)
    yield read(work.log)
    return (yield f"That holds. Claiming {work.id}.", claim(work.id, [work.picture, work.log], note))


def claim_in_haste(work: Work) -> Part:
    """Claims without having looked, and does it properly when that is refused."""
    yield bash(f"python3 check.py {work.id}", why=f"Test and render {work.id}")
    evidence = [work.picture, work.log]
    done = yield "The tests are green, so that's that. Claiming.", claim(work.id, evidence, work.note)
    yield (
        "Fair: I claimed a picture I never opened." if not done.ok else "I'd still like to see it.",
        read(work.picture),
    )
    yield read(work.log)
    if done.ok:
        return done
    return (yield "Now I have seen it.", claim(work.id, evidence, work.note))


def take_notes(entry: str) -> Part:
    yield from change("PROGRESS.md", _NOTES_HEAD, f"{_NOTES_HEAD}\n- {entry}", "Notes for the next session.")
    return (yield bash('git add -A && git commit -m "Take notes"'))


def _subject(work: Work, again: bool) -> str:
    return f"{'Finish' if again else 'Add'} {work.id}: {work.description[0].lower()}{work.description[1:]}"


evaluator = judging(lambda feature: work_of(feature).source, story.judge)


def scenario(parameter: str | None) -> Scenario:
    return Scenario(
        "demo",
        TITLE,
        {"planner": planner, "initializer": initializer, "generator": generator, "evaluator": evaluator},
    )

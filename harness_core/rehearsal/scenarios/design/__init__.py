"""A poster in iterations: two that lead nowhere, another way, and a last one that is too much."""

from __future__ import annotations

import colorsys
import io
import json
from collections.abc import Generator
from pathlib import Path

from harness_core.rehearsal.habits import deliver_verdict
from harness_core.rehearsal.scenario import Scenario
from harness_core.rehearsal.words import Brief, Outcome, Step, bash, put, read

TITLE = "A poster whose first direction leads nowhere and whose best iteration isn't the last."
_POSTER = (Path(__file__).parent / "project" / "poster.py.in").read_text(encoding="utf-8")
_INIT_SH = '#!/bin/sh\nset -e\ncd "$(dirname "$0")"\npython3 poster.py\n'
_PICTURE = "screenshots/poster.png"
GREY, VIVID = "grey", "vivid"
_MOST = 4
"""Colours, beyond which a poster is too much."""


def _colours(direction: str, count: int) -> list[list[int]]:
    if direction == GREY:
        return [[60 + 20 * place] * 3 for place in range(count)]
    parts = [colorsys.hsv_to_rgb(place / count, 0.9, 0.9) for place in range(count)]
    return [[round(255 * part) for part in colour] for colour in parts]


def _next(before: Outcome, prompt: str) -> tuple[str, int]:
    """The direction of an iteration, and how many colours it takes."""
    if "leave this direction" in prompt:
        return VIVID, _MOST
    try:
        known = json.loads(before.text)
        return str(known["direction"]), len(known["colours"]) + 1
    except (ValueError, TypeError, KeyError):
        return GREY, 3


def generator(brief: Brief) -> Generator[Step, Outcome, None]:
    before = yield "What stands?", bash("cat design.json")
    direction, count = _next(before, brief.prompt)
    if not before.ok:
        yield from put("poster.py", _POSTER, "Nothing yet.")
        yield from put("init.sh", _INIT_SH)
        yield bash("chmod +x init.sh")
    text = json.dumps({"direction": direction, "colours": _colours(direction, count)})
    yield from put("design.json", text + "\n", f"This one is {direction}, in {count} colours.")
    yield bash("./init.sh")
    yield read(_PICTURE)
    yield bash(f"git add -A && git commit -q -m 'A {direction} poster in {count} colours'")
    yield "The poster hangs; I looked at it."


def evaluator(brief: Brief) -> Generator[Step, Outcome, None]:
    shown = yield "I'll look at it before I read anything.", read(_PICTURE)
    score, wrong = _taste(shown.pictures[-1]) if shown.pictures else (0.0, "There is no poster.")
    verdict: dict[str, object] = {
        "verdict": "NEEDS_WORK" if wrong else "PASS",
        "scores": {"": (score, wrong or "It stays in the mind.")},
        "findings": [],
    }
    if wrong:
        finding = {"feature": None, "criterion": "originality", "where": wrong, "severity": "major"}
        verdict["findings"] = [{**finding, "reproduce": f"Look at {_PICTURE}."}]
    yield from deliver_verdict(brief, verdict)
    yield "That is how I see it."


def _taste(picture: bytes) -> tuple[float, str]:
    """The score of a poster by what is in its picture, and what is wrong with it, or ""."""
    from PIL import Image  # noqa: PLC0415

    with Image.open(io.BytesIO(picture)) as shown:
        found = shown.convert("RGB").getcolors(1 << 16) or []
    if all(colour == (colour[0],) * 3 for _, colour in found if isinstance(colour, tuple)):
        return 5.0, "It is grey in grey, and could be anybody's."
    if len(found) > _MOST:
        return 7.0, f"{len(found)} colours shout over each other."
    return 9.0, ""


def scenario(parameter: str | None) -> Scenario:
    return Scenario("design", TITLE, {"generator": generator, "evaluator": evaluator})

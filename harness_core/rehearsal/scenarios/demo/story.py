"""The demo's two accidents: what is broken, who finds it, and how it is mended."""

from __future__ import annotations

from collections.abc import Mapping

from harness_core.rehearsal.scenarios.demo.plan import text_of

HASTY = "F002"
"""Claimed before its builder has looked at the picture."""

FLAWED = "F003"
"""Its outline marks only the corners at first, and its own test doesn't notice; the evaluator does."""

CARELESS = "F005"
"""Its builder tidies the line tool on the way, and breaks steep lines."""

BROKEN = "F002"
FOUND_AT = "F006"
"""The session whose spot check finds it."""

SOUND_LOOP = """\
    while True:
        canvas.set(x0, y0, colour)
        if (x0, y0) == (x1, y1):
            return
"""
TIDIED_LOOP = """\
    for _ in range(run + 1):
        canvas.set(x0, y0, colour)
"""
SPOT_CHECKS = {
    "F003": "F001",
    "F004": "F003",
    "F005": "F003",
    FOUND_AT: BROKEN,
    "F007": "F004",
    "F008": "F005",
    "F009": "F007",
    "F010": "F008",
}
"""Which passing feature a session looks at before it builds; the first passing one otherwise."""


def flawed_files() -> dict[str, str]:
    return {
        "pixel/rectangle.py": text_of("flawed/rectangle.py"),
        "tests/test_rectangle.py": text_of("flawed/test_rectangle.py"),
        "scenes/rectangle.py": text_of("scenes/rectangle.py"),
    }


def judge(feature: str, source: str) -> Mapping[str, object] | None:
    """The evaluator's finding on a feature's source, or None where it holds."""
    if feature != FLAWED or "for x, y in ((left, top), (right, top)" not in source:
        return None
    return {
        "feature": FLAWED,
        "criterion": "functionality",
        "where": "pixel/rectangle.py, rectangle(): only the four corners are set; the towers have no edges",
        "reproduce": "python3 studio.py rectangle: the contract asks for four whole sides",
        "severity": "major",
        "summary": "An outline is only its corners.",
    }

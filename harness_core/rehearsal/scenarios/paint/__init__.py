"""A paint program whose rectangle tool marks only its corners; the evaluator sees it in the picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from harness_core.rehearsal.crew import Piece, Program, staged
from harness_core.rehearsal.habits import Finding
from harness_core.rehearsal.scenario import Scenario

TITLE = "A paint program whose rectangles are only corners at first; paint:unfixed never mends that."
_PROJECT = Path(__file__).parent / "project"
_INIT_SH = """\
#!/bin/sh
set -e
cd "$(dirname "$0")"
for tool in line rectangle; do
    if [ -f "$tool.py" ]; then echo "the $tool tool is there"; fi
done
echo ready
"""


def _text(name: str) -> str:
    return (_PROJECT / f"{name}.in").read_text(encoding="utf-8")


def _sides(picture: bytes) -> tuple[int, int]:
    """Of the outline around all that is drawn: how many points are drawn, and how many there are."""
    from PIL import Image  # noqa: PLC0415

    with Image.open(io.BytesIO(picture)) as shown:
        plain = shown.convert("L")
    drawn = plain.point(lambda value: 255 if value < 128 else 0)
    box = drawn.getbbox()
    if box is None:
        return 0, 1
    left, top, right, bottom = box[0], box[1], box[2] - 1, box[3] - 1
    outline = [(x, y) for x in range(left, right + 1) for y in (top, bottom)]
    outline += [(x, y) for y in range(top, bottom + 1) for x in (left, right)]
    return sum(drawn.getpixel(point) == 255 for point in outline), len(outline)


def _judge(feature: str, said: str, pictures: Sequence[bytes]) -> Finding | None:
    if feature != "F002":
        return None
    drawn, whole = _sides(pictures[-1]) if pictures else (0, 1)
    if drawn == whole:
        return None
    return {
        "feature": feature,
        "criterion": "functionality",
        "where": f"the rectangle tool marks only its corners: {drawn} of {whole} points of the outline",
        "reproduce": "python3 paint.py rectangle out.png, and look at the four sides",
        "severity": "critical",
    }


def scenario(parameter: str | None) -> Scenario:
    pieces = {
        "F001": Piece(
            "The line tool joins two points",
            ["Draw a line with python3 paint.py line line.png", "See it go from end to end"],
            {"line.py": _text("line.py")},
            "python3 paint.py line screenshots/F001-line.png",
            "screenshots/F001-line.png",
        ),
        "F002": Piece(
            "The rectangle tool draws the four sides between two corners",
            ["Draw one with python3 paint.py rectangle box.png", "See four whole sides"],
            {"rectangle.py": _text("flawed/rectangle.py")},
            "python3 paint.py rectangle screenshots/F002-rectangle.png",
            "screenshots/F002-rectangle.png",
            {"rectangle.py": _text("rectangle.py")},
        ),
    }
    ground = {
        "canvas.py": _text("canvas.py"),
        "paint.py": _text("paint.py"),
        "init.sh": _INIT_SH,
        ".gitignore": "__pycache__/\n",
        "PROGRESS.md": "# Progress\n\nEach tool is a module with `draw`; `paint.py` uses one.\n",
    }
    spec = "# Paint\n\nA paint program with a line tool and a rectangle tool.\n"
    return staged(Program("paint", TITLE, spec, ground, pieces, "ready", _judge), parameter)

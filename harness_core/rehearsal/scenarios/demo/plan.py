"""What the demo builds: its features in order, and the files that each one brings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_PROJECT = Path(__file__).parent / "project"


@dataclass(frozen=True)
class Work:
    """One feature, from its line in the contract to what its builder says about it."""

    id: str
    name: str
    category: str
    description: str
    steps: tuple[str, ...]
    idea: str
    """What the builder says before it writes."""
    note: str
    """What it claims with."""

    @property
    def picture(self) -> str:
        return f"screenshots/{self.id}-{self.name}.png"

    @property
    def log(self) -> str:
        return f"screenshots/{self.id}-{self.name}.log"

    @property
    def source(self) -> str:
        """The file that an evaluator reads first."""
        return f"scenes/{self.name}.py" if self.is_postcard else f"pixel/{self.name}.py"

    @property
    def is_postcard(self) -> bool:
        return self.name.startswith("postcard")

    def files(self) -> dict[str, str]:
        """Path in the run and text of everything that the feature brings."""
        if self.is_postcard:
            number = self.name.removeprefix("postcard_")
            return {
                f"scenes/{self.name}.py": text_of("scenes/postcard.py").replace("{number}", number),
                f"tests/test_{self.name}.py": text_of("tests/test_postcard.py").replace("{name}", self.name),
            }
        paths = (f"pixel/{self.name}.py", f"tests/test_{self.name}.py", f"scenes/{self.name}.py")
        return {path: text_of(path) for path in paths}


def text_of(path: str) -> str:
    """The text of one of the demo's Python files."""
    return (_PROJECT / f"{path}.in").read_text()


def works(count: int) -> list[Work]:
    """The first `count` features; past the planned ones, postcards."""
    return [*PLANNED[:count], *(_postcard(number) for number in range(len(PLANNED) + 1, count + 1))]


def work_of(feature: str) -> Work:
    known = {work.id: work for work in PLANNED}
    digits = "".join(letter for letter in feature if letter.isdigit())
    return known.get(feature) or _postcard(int(digits or 0))


def contract(count: int) -> str:
    features = [
        {
            "id": work.id,
            "category": work.category,
            "description": work.description,
            "steps": list(work.steps),
            "passes": False,
        }
        for work in works(count)
    ]
    return json.dumps(features, indent=2, ensure_ascii=False) + "\n"


def names(count: int) -> str:
    return json.dumps({work.id: work.name for work in works(count)}, indent=2) + "\n"


def _postcard(number: int) -> Work:
    return Work(
        f"F{number:03d}",
        f"postcard_{number}",
        "style",
        f"Postcard {number}: a landscape of its own, with a sky of eight colours and six rows of hills",
        (f"Run python3 check.py F{number:03d}", "Look at the picture: no two postcards are alike"),
        f"One more view for the rack: postcard {number}.",
        "Its own sky, its own hills.",
    )


PLANNED = (
    Work(
        "F001",
        "canvas",
        "functional",
        "A canvas of coloured pixels that saves itself as a crisp PNG",
        (
            "Set single pixels and stamp small sprites on a 192x120 canvas",
            "Save it at four times its size",
            "The PNG opens, is 768x480, and every pixel is a sharp square",
        ),
        "Everything stands on the canvas, so it comes first: rows of colours, and a PNG writer over zlib.",
        "A shelf of eight sprites; the PNG holds every pixel.",
    ),
    Work(
        "F002",
        "line",
        "functional",
        "Pencil lines in any direction, without a gap and with both ends included",
        (
            "Draw flat, steep and backward lines",
            "Each reaches its last point and has no hole",
            "Render the scene: a sunset drive drawn with lines alone",
        ),
        "Lines next. Bresenham, in whole numbers, for all eight directions.",
        "The grid runs to the horizon without a gap, and steep lines reach their ends.",
    ),
    Work(
        "F003",
        "rectangle",
        "functional",
        "Rectangles, filled and as an outline",
        (
            "Fill a rectangle and count its pixels",
            "Draw an outline: four whole sides, nothing inside",
            "Render the scene: a harbour city whose towers have lit edges",
        ),
        "Rectangles: a filled one and an outline. A skyline should show both off.",
        "The city stands, with windows and their frames.",
    ),
    Work(
        "F004",
        "fill",
        "functional",
        "Flood fill that stays inside its border",
        (
            "Fill one side of a line: the other keeps its colour",
            "Filling with the same colour changes nothing",
            "Render the scene: a rose window, every pane filled",
        ),
        "Flood fill, with a stack rather than recursion, so that large areas can't overflow it.",
        "Every pane has its glass and no colour leaks across the lead.",
    ),
    Work(
        "F005",
        "circle",
        "functional",
        "Circles and discs that are round and symmetric",
        (
            "Every point of an outline lies at its radius",
            "A disc is symmetric",
            "Render the scene: an orrery with five worlds on their orbits",
        ),
        "Circles by the midpoint rule, and discs row by row.",
        "Round orbits, round worlds, a ringed giant.",
    ),
    Work(
        "F006",
        "palette",
        "style",
        "Palettes: colour ramps, the nearest ink, and one picture in other colours",
        (
            "A ramp has both its ends",
            "The nearest ink of an ink is itself",
            "Render the scene: one valley at dawn, noon, dusk and night",
        ),
        "Palettes are what make pixel art. Ramps, nearest colour, and a remap that leaves its source alone.",
        "Four hours of one valley, each in its ten colours.",
    ),
    Work(
        "F007",
        "mirror",
        "functional",
        "A mirror that draws on both sides at once",
        (
            "Whatever is drawn on one side appears on the other",
            "With a row as well, it appears four times",
            "Render the scene: a case of six butterflies, each drawn as one wing",
        ),
        "The mirror can stand in for a canvas, so every tool works through it unchanged.",
        "Six butterflies, symmetric to the pixel.",
    ),
    Work(
        "F008",
        "strip",
        "functional",
        "Animation strips: frames side by side in one picture",
        (
            "Frames lie side by side and don't draw into each other",
            "Time runs from 0 to just before 1, so that the strip loops",
            "Render the scene: a coin, a slime and a campfire in eight frames each",
        ),
        "A frame is a window on the canvas with its own origin; a strip is a row of them.",
        "Three loops of eight frames; nothing leaves its frame.",
    ),
    Work(
        "F009",
        "dither",
        "style",
        "Smooth gradients from few colours by ordered dithering",
        (
            "Both ends of a gradient are pure",
            "Half-way, both colours are equally many",
            "Render the scene: a sunset over the sea",
        ),
        "Ordered dithering with a 4 by 4 Bayer matrix. A sunset is the honest test of a gradient.",
        "The sky goes from night to sand without a band, the sea back again.",
    ),
    Work(
        "F010",
        "gallery",
        "style",
        "A gallery that shows the studio's scenes framed on one wall",
        (
            "Pictures are made smaller by averaging, so that they stay readable",
            "Each has a frame of three colours and a shadow",
            "Render the scene: the opening night, with visitors",
        ),
        "The last room: all of our scenes on one wall, lit from above, and somebody to look at them.",
        "Eight framed pictures, four visitors and a cat.",
    ),
)

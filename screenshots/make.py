"""Makes the pictures of the documentation from one real rehearsal: `make screenshots`.

stream.png   the last lines on a terminal at the moment when a claim, refused at first, has been verified
studio.png   what the demo's agents have built: the evidence of every feature on one sheet

Needs the DejaVu fonts (Debian: fonts-dejavu-core), which have every sign that the stream prints.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

HERE = Path(__file__).parent
LONGWATCH = Path(sys.executable).with_name("longwatch")
COLUMNS, ROWS = 130, 34

BACKGROUND, FRAME, FOREGROUND = "#14161d", "#262a36", "#d7dae2"
COLOURS = ("#565c6e", "#ff6b6b", "#7fd88f", "#f0c674", "#7aa2f7", "#d19afc", "#6fd3e0", FOREGROUND)
"""The terminal's own eight, by number."""
DIM = 0.55
"""How much of its colour a dim text keeps; the rest is background."""
SIZE = 22
_NOWHERE = "\U0010fffe"
"""A character that no font has."""
MARGIN, BAR, LEADING = 28, 46, 1.28

TILE, GAP, PER_ROW = (384, 240), 16, 5


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="longwatch-pictures-") as scratch:
        printed = rehearse(Path(scratch))
        save(terminal(screenful(printed), "longwatch demo studio"), "stream.png")
        save(sheet(sorted(Path(scratch, "studio", "screenshots").glob("F*.png"))), "studio.png")
    return 0


def rehearse(scratch: Path) -> list[str]:
    """What a whole demo prints to a terminal that knows colours, line by line."""
    environment = {**os.environ, "HOME": str(scratch), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    command = [str(LONGWATCH), "demo", "studio", "--headless", "--fast"]
    done = subprocess.run(command, cwd=scratch, env=environment, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().splitlines()


def screenful(printed: list[str]) -> list[Text]:
    """The rows that a terminal shows when the first refused feature is verified."""
    lines = [Text.from_ansi(line) for line in printed]
    refused = next(at for at, line in enumerate(lines) if line.plain.lstrip().startswith("⊘"))
    end = next(at for at, line in enumerate(lines) if at > refused and "→ verified" in line.plain)
    rows = [row for line in lines[: end + 1] for row in line.divide(range(COLUMNS, len(line), COLUMNS))]
    return rows[-ROWS:]


def terminal(rows: list[Text], title: str) -> Image.Image:
    """The rows in a terminal's window."""
    width = round(_font(False).getlength("━"))
    height = round(SIZE * LEADING)
    size = (COLUMNS * width + 2 * MARGIN, BAR + ROWS * height + 2 * MARGIN)
    picture = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, size[0], BAR), fill=FRAME)
    for place, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        draw.circle((MARGIN + 8 + place * 26, BAR / 2), 8, fill=colour)
    draw.text((size[0] / 2, BAR / 2), title, font=_font(False), fill=FOREGROUND, anchor="mm")
    console = Console(width=COLUMNS)
    for number, row in enumerate(rows):
        column, baseline = MARGIN, BAR + MARGIN + number * height + round(SIZE * 0.95)
        for segment in row.render(console):
            for character in segment.text:
                _put(draw, (column, baseline), character, segment)
                column += width
    return picture


def _put(draw: ImageDraw.ImageDraw, place: tuple[int, int], character: str, segment: Segment) -> None:
    style = segment.style if isinstance(segment.style, Style) else Style()
    font = _font(bool(style.bold), has=character)
    draw.text(place, character, font=font, fill=_colour(style), anchor="ls")


def _colour(style: Style) -> str:
    number = style.color.number if style.color else None
    colour = FOREGROUND if number is None else COLOURS[number % len(COLOURS)]
    if not style.dim:
        return colour
    parts = zip(_channels(colour), _channels(BACKGROUND), strict=True)
    return "#" + "".join(f"{round(DIM * front + (1 - DIM) * back):02x}" for front, back in parts)


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def _font(bold: bool, has: str = "━") -> ImageFont.FreeTypeFont:
    """DejaVu Sans Mono; for a character that it lacks, DejaVu Sans."""
    weight = "-Bold" if bold else ""
    mono = _load(f"DejaVuSansMono{weight}.ttf", SIZE)
    if bytes(mono.getmask(has)) != bytes(mono.getmask(_NOWHERE)):
        return mono
    return _load(f"DejaVuSans{weight}.ttf", round(SIZE * 0.75))


@cache
def _load(name: str, size: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        sys.exit(f"{name} is not installed: install the DejaVu fonts (Debian: apt install fonts-dejavu-core)")


def sheet(pictures: list[Path]) -> Image.Image:
    """All pictures on one sheet, each with its name under it."""
    rows = -(-len(pictures) // PER_ROW)
    cell = (TILE[0] + GAP, TILE[1] + 2 * GAP + SIZE)
    whole = Image.new("RGB", (PER_ROW * cell[0] + GAP, rows * cell[1] + GAP), BACKGROUND)
    draw = ImageDraw.Draw(whole)
    for number, path in enumerate(pictures):
        left = GAP + number % PER_ROW * cell[0]
        top = GAP + number // PER_ROW * cell[1]
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize(TILE, Image.Resampling.BOX)
        whole.paste(small, (left, top))
        label = path.stem.replace("-", " ")
        draw.text(
            (left + TILE[0] / 2, top + TILE[1] + GAP), label, _colour(Style(dim=True)), _font(False), "mt"
        )
    return whole


def save(picture: Image.Image, name: str) -> None:
    path = HERE / name
    picture.quantize(256, Image.Quantize.FASTOCTREE).save(path, optimize=True)
    print(f"{path.name}: {picture.width}x{picture.height}, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    sys.exit(main())

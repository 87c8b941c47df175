"""Pictures in a terminal: as half-blocks, or as the terminal's own graphics where it has them.

`prepare` asks the terminal before the console starts; later nobody can, since Textual reads all answers.
`draw` makes of a picture's bytes what a widget shows. It takes long, so it belongs into a thread.
"""

from __future__ import annotations

import io
import math
import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeAlias

from rich.color import Color, ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from harness_core.evidence.content import MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image

Images: TypeAlias = Literal["auto", "blocks", "off"]
Colour: TypeAlias = tuple[int, int, int]


class Way(StrEnum):
    """How pictures come onto the screen."""

    BLOCKS = "blocks"
    """Two pixels in each character cell: everywhere, coarsely."""
    SIXEL = "sixel"
    KITTY = "kitty"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture as character cells."""

    strips: tuple[Strip, ...]
    pixels: tuple[int, int]
    """Width and height of the picture itself."""
    sixels: str = ""
    """What draws it over blank strips."""

    @property
    def width(self) -> int:
        """In cells."""
        return self.strips[0].cell_length if self.strips else 0


class Undrawable(Exception):
    """What isn't a picture, or not a whole one; the message says why, as a placeholder has it."""


_TERMS = ("xterm-kitty", "xterm-ghostty", "foot", "wezterm", "contour", "mlterm", "yaft", "rio")
_PROGRAMS = ("WezTerm", "ghostty", "iTerm.app", "vscode", "mintty", "contour", "rio", "Konsole")
_SIGNS = ("KITTY_WINDOW_ID", "KONSOLE_VERSION", "WT_SESSION", "WEZTERM_PANE", "GHOSTTY_RESOURCES_DIR")
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
_STEP = 4
"""Colours are drawn in steps of this: no eye sees it, and neighbours become alike more often."""
_LEVELS = [min(255, round(level / _STEP) * _STEP) for level in range(256)]
_STYLES = 16_384

_way = Way.BLOCKS
_one_at_a_time = Lock()
"""A large picture takes much memory while it is decoded."""


def prepare(images: Images = "auto", environment: Mapping[str, str] = os.environ) -> Way:
    """Settle how this process shows pictures. Call it before the console starts, never after.

    What asks the terminal costs up to 0.4 s, so it is loaded only where the environment gives hope.
    """
    global _way  # noqa: PLW0603  (a process has one terminal)
    if images != "auto":
        _way = Way(images)
    else:
        _way = _asked() if may_have_graphics(environment) and _on_a_terminal() else Way.BLOCKS
    return _way


def way() -> Way:
    """How this process shows pictures."""
    return _way


def may_have_graphics(environment: Mapping[str, str]) -> bool:
    """Whether the environment is that of a terminal known for graphics, with nothing in between."""
    term = environment.get("TERM", "")
    if environment.get("TMUX") or environment.get("STY") or term.startswith(("tmux", "screen")):
        return False
    return (
        any(environment.get(sign) for sign in _SIGNS)
        or term.startswith(_TERMS)
        or environment.get("TERM_PROGRAM") in _PROGRAMS
    )


def _on_a_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.__stdin__, sys.__stdout__))


def _asked() -> Way:
    """What the terminal answers."""
    try:
        # The widgets' module also asks for the size of a cell, which is needed later.
        from textual_image import renderable, widget  # noqa: F401, PLC0415
    except Exception:  # answers are whatever a terminal sends, and pictures aren't worth a failed start
        return Way.BLOCKS
    known = {renderable.SixelImage: Way.SIXEL, renderable.TGPImage: Way.KITTY}
    return known.get(renderable.Image, Way.BLOCKS)


# --- Drawing --------------------------------------------------------------------------------------------


def draw(data: bytes, width: int, height: int, background: Colour = (0, 0, 0)) -> Drawing:
    """The picture as large as it can be in `width` by `height` cells, its proportions kept.

    What is transparent shows `background`. Raises Undrawable for what can't be decoded or is too large.
    """
    with _one_at_a_time:
        picture, pixels = _load(data, width, height, background)
    columns, rows = fit(pixels, width, height)
    if _way in (Way.SIXEL, Way.KITTY):
        return _graphics(picture, columns, rows, pixels)
    return Drawing(tuple(_half_blocks(picture, columns, rows)), pixels)


def fit(pixels: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """The columns and rows that a picture takes; a cell is taken to be twice as high as wide."""
    scale = min(width / pixels[0], height * 2 / pixels[1])
    columns, rows = round(pixels[0] * scale), math.ceil(pixels[1] * scale / 2)
    return max(1, min(width, columns)), max(1, min(height, rows))


def _load(data: bytes, width: int, height: int, background: Colour) -> tuple[Image, tuple[int, int]]:
    """The picture, no larger than needed for so many cells, and how large it is in itself."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  (costs start-up time)

    if not data:
        raise Undrawable("empty")
    with warnings.catch_warnings():
        # The limit below is stricter than the one at which Pillow warns.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as found:
                pixels = found.size
                if pixels[0] * pixels[1] > MAX_PIXELS:
                    raise Undrawable(f"{pixels[0]}×{pixels[1]} pixels, too large to draw")
                most = _most_pixels(width, height)
                found.draft("RGB", most)
                found.load()
                return _opaque(_reduced(found, most), background), pixels
        except Image.DecompressionBombError:
            raise Undrawable("too large to draw") from None
        except UnidentifiedImageError:
            raise Undrawable("not a picture, whatever its name says") from None
        except Undrawable:
            raise
        except Exception as error:  # decoders raise nearly anything on damaged bytes
            cut = "truncated" in str(error).lower() or isinstance(error, EOFError)
            raise Undrawable("truncated" if cut else "damaged") from None


def _most_pixels(width: int, height: int) -> tuple[int, int]:
    """More pixels than these make no difference in so many cells."""
    across, down = (1, 2) if _way is Way.BLOCKS else (12, 24)
    return width * across, height * down


def _reduced(picture: Image, most: tuple[int, int]) -> Image:
    """The picture, made smaller where it has more pixels than `most`."""
    from PIL import Image  # noqa: PLC0415

    scale = min(1.0, max(most[0] / picture.width, most[1] / picture.height))
    if picture.mode not in ("RGB", "RGBA", "L"):
        picture = picture.convert("RGBA" if _may_be_clear(picture) else "RGB")
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture if scale == 1 else picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _may_be_clear(picture: Image) -> bool:
    return "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info


def _opaque(picture: Image, background: Colour) -> Image:
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    from PIL import Image  # noqa: PLC0415

    below = Image.new("RGB", picture.size, background)
    below.paste(picture, mask=picture.getchannel("A"))
    return below


def _half_blocks(picture: Image, columns: int, rows: int) -> list[Strip]:
    from PIL import Image  # noqa: PLC0415

    size = (columns, rows * 2)
    larger = picture.width < columns or picture.height < rows * 2
    how = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
    small = picture.resize(size, how).point(_LEVELS * 3)
    data, stride = small.tobytes(), columns * 3
    return [
        _strip(data[row * 2 * stride :][:stride], data[(row * 2 + 1) * stride :][:stride])
        for row in range(rows)
    ]


def _strip(above: bytes, below: bytes) -> Strip:
    """A line of half-blocks, cells of the same colours in one segment."""
    segments: list[Segment] = []
    width = len(above) // 3
    start = 0
    for column in range(1, width + 1):
        place, here = start * 3, column * 3
        same = (
            column < width
            and above[here : here + 3] == above[place : place + 3]
            and below[here : here + 3] == below[place : place + 3]
        )
        if not same:
            style = _style(above[place : place + 3], below[place : place + 3])
            segments.append(Segment("▀" * (column - start), style))
            start = column
    return Strip(segments, width)


@lru_cache(_STYLES)
def _style(above: bytes, below: bytes) -> Style:
    style = Style(color=_colour(above), bgcolor=_colour(below))
    # A style works out its codes when it is first written, which would be on the way to the screen.
    style.render("▀", color_system=ColorSystem.TRUECOLOR)
    return style


@lru_cache(_STYLES)
def _colour(levels: bytes) -> Color:
    return Color.from_rgb(*levels)


def _graphics(picture: Image, columns: int, rows: int, pixels: tuple[int, int]) -> Drawing:
    """The picture by the terminal's own graphics.

    The library's widgets encode while they draw, which takes up to a second; so its renderables are used,
    here and now.
    """
    from textual_image import renderable  # noqa: PLC0415  (loaded by `prepare`, or else not to be loaded)

    console = Console(width=columns, height=rows, color_system="truecolor", legacy_windows=False)
    options = console.options.update(width=columns, height=rows)
    if _way is Way.KITTY:
        shown = renderable.TGPImage(picture, width=columns, height=rows)
        lines = Segment.split_lines(shown.__rich_console__(console, options))  # type: ignore[arg-type]
        return Drawing(tuple(Strip(line, columns) for line in lines if line), pixels)
    sixel = renderable.SixelImage(picture, width=columns, height=rows)
    found = [part.text for part in sixel.__rich_console__(console, options) if isinstance(part, Segment)]
    blank = Strip([Segment(" " * columns)], columns)
    return Drawing((blank,) * rows, pixels, next((text for text in found if text.startswith("\x1bP")), ""))

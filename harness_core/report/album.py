"""The pieces of evidence that stand in a page itself: pictures made small, the last lines of texts."""

from __future__ import annotations

import base64
import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from harness_core.evidence.content import MAX_PIXELS
from harness_core.evidence.files import Kind
from harness_core.layout import RunDir
from harness_core.reading.evidence_content import Unseen, content, text_lines
from harness_core.reading.evidence_list import File, Item
from harness_core.record.events import BoundPiece

if TYPE_CHECKING:
    from PIL.Image import Image

BUDGET = 8 << 20
"""Bytes of all pictures together, as they stand in the page."""
SIDE = 720
"""Pixels of a picture's longer side, at most."""
_QUALITY = 78
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
_LINES = 12


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a page holds it."""

    uri: str
    width: int
    height: int


class Album:
    """Shows pieces as claims have bound them, until what it may take is used up."""

    def __init__(self, run: RunDir, budget: int = BUDGET) -> None:
        self._run = run
        self._left = budget

    def show(self, piece: BoundPiece) -> Picture | list[str]:
        """A picture, or a text's last lines. Raises Unseen, which says why there is nothing to see."""
        if piece.kind is Kind.PICTURE and self._left <= 0:
            raise Unseen("left out, since the page would grow too large")
        data = self._bound(piece)
        if piece.kind is Kind.TEXT:
            return text_lines(data)[-_LINES:]
        small, (width, height) = _small(data)
        uri = f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"
        self._left -= len(uri)
        return Picture(uri, width, height)

    def _bound(self, piece: BoundPiece) -> bytes:
        """What the claim saw: the file, where it is still that, else what git has."""
        path = PurePosixPath(piece.path)
        if path.is_absolute() or ".." in path.parts:
            raise Unseen("its path leads out of the run")
        here = File(piece.path, piece.size, piece.mtime_ns)
        try:
            data = content(self._run, Item(here, sha256=piece.sha256))
        except Unseen:
            data = b""
        whole = piece.kind is Kind.TEXT and 0 < len(data) < piece.size
        if whole or (data and hashlib.sha256(data).hexdigest() == piece.sha256):
            return data
        if not piece.commit:
            raise Unseen("gone, or changed since it was claimed")
        committed = File(piece.path, piece.size, piece.mtime_ns, commit=piece.commit)
        return content(self._run, Item(committed, sha256=piece.sha256))


def _small(data: bytes) -> tuple[bytes, tuple[int, int]]:
    from PIL import Image  # noqa: PLC0415  (costs start-up time)

    with warnings.catch_warnings():
        # The limit here is stricter than the one at which Pillow warns.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as found:
                if found.width * found.height > MAX_PIXELS:
                    raise Unseen("has too many pixels")
                found.draft("RGB", (SIDE, SIDE))
                picture = _opaque(found)
                picture.thumbnail((SIDE, SIDE))
                out = io.BytesIO()
                picture.save(out, "JPEG", quality=_QUALITY, optimize=True)
                return out.getvalue(), picture.size
        except Unseen:
            raise
        except Exception as error:  # decoders raise nearly anything on damaged bytes
            raise Unseen(f"doesn't decode as a picture ({type(error).__name__})") from None


def _opaque(picture: Image) -> Image:
    """The picture on white, as paper has it."""
    from PIL import Image  # noqa: PLC0415

    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    clear = picture.convert("RGBA")
    below = Image.new("RGB", clear.size, "white")
    below.paste(clear, mask=clear.getchannel("A"))
    return below

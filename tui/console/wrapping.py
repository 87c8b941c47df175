"""Text in lines of a given width in terminal cells, in which wide characters take two."""

from __future__ import annotations

from rich.cells import cell_len, chop_cells


def cells(text: str) -> int:
    """How many cells `text` takes."""
    return len(text) if text.isascii() else cell_len(text)


def cut(text: str, width: int) -> str:
    """`text`, or as much of it as has room, with a mark where something is left out."""
    if cells(text) <= width:
        return text
    return f"{_first(text, width - 1)}…" if width > 0 else ""


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines, broken between words where that can be; what follows stands under its first word."""
    width = max(width, 8)
    if cells(text) <= width:
        return [text]
    hang = " " * min(_hang(text), width // 2)
    lines: list[str] = []
    rest = text
    while rest:
        lead = hang if lines else ""
        piece = _first(rest, width - len(lead))
        if len(piece) < len(rest):
            piece = _at_a_space(piece, rest)
        lines.append(lead + piece.rstrip())
        rest = rest[len(piece) :].lstrip(" ")
    return lines


def _hang(text: str) -> int:
    """Where the words begin, behind what leads a line: spaces, then perhaps a sign that stands alone."""
    start = len(text) - len(text.lstrip(" "))
    sign = text[start : start + 2]
    return start + 2 if len(sign) == 2 and sign[1] == " " and not sign[0].isalnum() else start


def _at_a_space(piece: str, rest: str) -> str:
    if rest[len(piece)] == " ":
        return piece
    space = piece.rfind(" ")
    # A break that would leave less than half a line isn't worth it.
    return piece[: space + 1] if space * 2 > len(piece) else piece


def _first(text: str, width: int) -> str:
    """The longest beginning of at most `width` cells; at least one character, so that there is an end."""
    head = text[: width + 1]
    if head.isascii():
        return text[: max(width, 1)]
    return chop_cells(text[: width + 8], max(width, 2))[0] or text[:1]

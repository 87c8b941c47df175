"""What is said of a piece of evidence: in a list, beside its picture, and above it."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from harness_core.evidence.files import Kind
from harness_core.layout import EVIDENCE_DIR
from harness_core.reading.evidence_list import File, Item
from harness_core.safe import one_line
from tui.console import ages
from tui.console.sinks import MUTED, line

_GAP = 2
_COLUMNS = (("age", 4, 0), ("feature", 6, 34), ("session", 4, 46), ("sha256", 8, 54))
"""The columns beside the name, how wide each is, and from which width of the list on it is shown."""


def _seconds(item: Item, now_ns: int) -> float:
    """How long ago it was made."""
    return (now_ns - item.file.mtime_ns) / 1e9


def size_of(size: int) -> str:
    """A number of bytes in words."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}" if size < 10 * unit else f"{size // unit} {name}"
    return f"{size} bytes"


def placeholder(file: File, why: str) -> str:
    """What stands in the place of a piece that can't be shown."""
    return f"▨ {one_line(file.name)}: {one_line(why)}, {size_of(file.size)}"


def mark(item: Item) -> tuple[str, str]:
    """Whether an agent has opened it, as a glyph and a style."""
    if item.opened is None:
        return "·", MUTED
    return ("◉", "$success") if item.opened else ("○", "$warning")


def opened(item: Item) -> str:
    """The same in words."""
    if item.opened is None:
        return ""
    return f"opened by {', '.join(map(one_line, item.opened))}" if item.opened else "not opened"


def features(item: Item) -> str:
    """The features that it shows; those that only its name says in brackets."""
    names = one_line(", ".join(item.features))
    return names if item.claimed or not names else f"({names})"


def row(item: Item, width: int, now_ns: int) -> Content:
    """A line of the list, `width` cells wide."""
    values = {
        "age": ages.short(_seconds(item, now_ns)),
        "feature": features(item),
        "session": f"s{item.session}" if item.session else "",
        "sha256": item.sha256[:8],
    }
    shown = [(values[name], wide, name) for name, wide, least in _COLUMNS if width >= least]
    room = width - 2 - sum(wide + _GAP for _, wide, _ in shown)
    glyph, style = mark(item)
    parts = [Content.styled(f"{glyph} ", style), _name(item.file, max(4, room))]
    for text, wide, name in sorted(shown, key=lambda column: _ORDER.index(column[2])):
        parts.append(Content.styled(" " * _GAP + _fitted(text, wide, right=name == "age"), MUTED))
    return Content("").join(parts)


_ORDER = ("feature", "session", "age", "sha256")


def _name(file: File, width: int) -> Content:
    shown = _fitted(file.path.removeprefix(f"{EVIDENCE_DIR}/"), width)
    if file.flaw:
        return Content.styled(shown, "$error")
    return Content(shown) if file.kind is Kind.PICTURE else Content.styled(shown, "$foreground 80%")


def _fitted(text: str, width: int, *, right: bool = False) -> str:
    """`text` on exactly `width` cells."""
    text = one_line(text)
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - cell_len(text)) + text if right else set_cell_size(text, width)


def whereabouts(item: Item, now_ns: int) -> str:
    """Feature, session, age and the beginning of the sha256, each where it is known."""
    parts = [
        features(item),
        f"session {item.session}" if item.session else "",
        ages.ago(_seconds(item, now_ns)),
        item.sha256[:8],
    ]
    return " · ".join(part for part in parts if part)


def looks(item: Item, pixels: tuple[int, int] | None) -> str:
    """Who has opened it, and how large it is."""
    across = f"{pixels[0]}×{pixels[1]}" if pixels else size_of(item.file.size)
    return " · ".join(part for part in (opened(item), across) if part)


def brief(item: Item) -> str:
    """What a narrow list has no room for."""
    seen = "" if item.opened is None else "opened" if item.opened else "not opened"
    parts = [f"session {item.session}" if item.session else "", seen, item.sha256[:8]]
    return " · ".join(part for part in parts if part)


def take(item: Item, which: str, now_ns: int) -> Content:
    """Which take of a thing this is, where two stand side by side: two lines."""
    below = " · ".join(part for part in (one_line(item.file.name), opened(item)) if part)
    first = Content.assemble((which, "bold"), " · ", line(whereabouts(item, now_ns)))
    return Content("\n").join([first, line(below)])


def header(item: Item, place: str, pixels: tuple[int, int] | None, now_ns: int) -> Content:
    """What stands above a large one: three lines."""
    file = item.file
    parts = [
        features(item) or "no feature",
        f"session {item.session}" if item.session else "no session",
        ages.ago(_seconds(item, now_ns)),
        f"{pixels[0]}×{pixels[1]}" if pixels else "",
        size_of(file.size),
        opened(item),
    ]
    return Content("\n").join(
        [
            Content(" ").join([line(file.path, "bold"), line(place, MUTED)]),
            line(" · ".join(part for part in parts if part)),
            line(f"sha256 {item.sha256}" if item.sha256 else "no sha256: it can't be read", MUTED),
        ]
    )

"""Notes in Markdown at one width, made into lines piece by piece.

The notes of a long run are large and are rewritten all the time. So they are split into small blocks, a block
becomes lines only when somebody is about to see it, and what stays the same from one version to the next is
kept.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from tui.console.markdown_lines import rendered
from tui.console.spans import Line, marked

_SOFT = 600
"""Characters of a block from which on a paragraph or an item begins a new one."""
_HARD = 1500
"""Characters from which on a block ends with its line."""
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}\s+(\S.*?)[\s#]*$")
_ITEM = re.compile(r"([-*+]|\d{1,9}[.)])\s")
_ORDER = re.compile(r"\d{4}-\d\d-\d\d|\d+")


@dataclass(frozen=True, slots=True)
class Block:
    """A small piece of the notes that can be shown by itself."""

    text: str
    heading: str = ""
    """The heading that it begins with."""


def split(text: str) -> list[Block]:
    """The notes as blocks. Each heading begins one; a long code block is continued in the next."""
    blocks: list[Block] = []
    lines: list[str] = []
    size, fence, blank = 0, "", False

    def flush() -> None:
        nonlocal size
        if lines:
            heading = _HEADING.match(lines[0])
            blocks.append(Block("\n".join(lines), heading[1] if heading else ""))
        lines.clear()
        size = 0

    for line in text.split("\n"):
        opened = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if fence:
            if size > _HARD:
                lines.append(fence)
                flush()
                lines.append(fence)
            if opened and opened[1].startswith(fence) and not line.strip(" `~"):
                fence = ""
        else:
            plain = bool(line) and line[0] not in " \t"
            apart = plain and size > _SOFT and (blank or _ITEM.match(line) is not None)
            if size > _HARD or apart or (line.lstrip(" ").startswith("#") and _HEADING.match(line)):
                flush()
            if opened:
                fence = opened[1]
        lines.append(line)
        size += len(line) + 1
        blank = not line.strip()
    flush()
    return blocks


def newest(before: Sequence[Block], now: Sequence[Block]) -> int | None:
    """The block of the section that changed last: a new heading before a new text; None when nothing did."""
    known = {block.text for block in before}
    fresh = [place for place, block in enumerate(now) if block.text not in known]
    if not fresh:
        return None
    headings = {block.heading for block in before}
    added = [place for place in fresh if now[place].heading and now[place].heading not in headings]
    if added:
        return added[-1] if added[-1] > len(now) // 2 else added[0]
    old = {line for block in before for line in block.text.split("\n")}
    return max(fresh, key=lambda place: sum(line not in old for line in now[place].text.split("\n")))


def first_look(blocks: Sequence[Block]) -> int:
    """The block to begin with where nothing is known of earlier versions.

    It is the last heading where the headings count up to it, as sessions and dates do; else the beginning.
    """
    numbered = [
        (found[0], place)
        for place, block in enumerate(blocks)
        if block.heading and (found := _ORDER.search(block.heading))
    ]
    if len(numbered) < 2:
        return 0
    first, last = numbered[0][0], numbered[-1][0]
    rising = (len(first), first) < (len(last), last)
    return numbered[-1][1] if rising else 0


class Paper:
    """The notes at one width. Blocks that nobody has looked at have an estimated height."""

    def __init__(self, blocks: Sequence[Block], width: int, before: Paper | None = None) -> None:
        self.blocks = blocks
        self.width = max(1, width)
        same = before is not None and before.width == self.width
        kept = before.made if same and before is not None else {}
        self.made: dict[str, list[Line]] = {
            block.text: kept[block.text] for block in blocks if block.text in kept
        }
        """What has been made into lines, by the block's text."""
        self._heights = [self._height(block) for block in blocks]
        self._tops: list[int] = []
        self._measure()

    def _height(self, block: Block) -> int:
        made = self.made.get(block.text)
        if made is not None:
            return len(made)
        return sum(1 + max(0, len(line) - 1) // self.width for line in block.text.split("\n"))

    def _measure(self) -> None:
        self._tops = [0, *accumulate(self._heights)]

    @property
    def height(self) -> int:
        """Lines in all."""
        return self._tops[-1]

    def top(self, place: int) -> int:
        """The line at which a block begins."""
        return self._tops[place]

    def at(self, y: int) -> tuple[int, int]:
        """The block that line `y` belongs to, and the line's number in it."""
        place = max(0, min(bisect_right(self._tops, y) - 1, len(self.blocks) - 1))
        return place, max(0, y - self._tops[place])

    def line(self, y: int) -> Line:
        """A line as it is drawn: empty where it isn't made yet, or there is none."""
        if not 0 <= y < self.height:
            return ()
        place, inside = self.at(y)
        made = self.made.get(self.blocks[place].text, [])
        return made[inside] if inside < len(made) else ()

    def make(self, place: int) -> bool:
        """Make a block's lines; whether its height differs from what was thought."""
        block = self.blocks[place]
        made = self.made.get(block.text)
        if made is None:
            made = self.made[block.text] = rendered(block.text, self.width)
        if self._heights[place] == len(made):
            return False
        self._heights[place] = len(made)
        self._measure()
        return True

    def look(self, y: int, rows: int) -> int:
        """Make all that `rows` lines from `y` on show. Returns where the same text now begins."""
        if not self.blocks:
            return 0
        place, inside = self.at(y)
        self.make(place)
        inside = min(inside, max(0, self._heights[place] - 1))
        ahead = self._heights[place] - inside
        following = place
        while ahead < rows and following + 1 < len(self.blocks):
            following += 1
            self.make(following)
            ahead += self._heights[following]
        preceding = place
        behind = inside
        while ahead + behind < rows and preceding > 0:
            preceding -= 1
            self.make(preceding)
            behind += self._heights[preceding]
        return max(0, min(self._tops[place] + inside, self.height - rows))

    def find(self, wanted: str, y: int, step: int) -> int | None:
        """The next line with `wanted` in it from line `y` on, going round; None where there is none.

        What is looked through is the text as it was written; only blocks that hold it are made.
        """
        if not self.blocks:
            return None
        start, _ = self.at(max(0, min(y, self.height - 1)))
        count = len(self.blocks)
        for turn in range(count + 1):
            place = (start + step * turn) % count
            if wanted.casefold() not in self.blocks[place].text.casefold():
                continue
            self.make(place)
            lines = self.made[self.blocks[place].text]
            hits = [self._tops[place] + n for n, line in enumerate(lines) if marked(line, wanted) != line]
            if turn == 0:
                hits = [hit for hit in hits if (hit >= y if step > 0 else hit <= y)]
            if hits:
                return hits[0] if step > 0 else hits[-1]
        return None

    def headings(self) -> list[int]:
        """The blocks that begin with a heading."""
        return [place for place, block in enumerate(self.blocks) if block.heading]

    def section(self, place: int) -> int:
        """The block with the heading that a block stands under."""
        return next((found for found in range(place, 0, -1) if self.blocks[found].heading), 0)

    def view_of(self, place: int, rows: int) -> int:
        """Where a view of `rows` lines begins that shows a block, with its heading where both have room."""
        if not self.blocks:
            return 0
        # Of other notes than these it may be a place that these don't reach.
        place = min(place, len(self.blocks) - 1)
        self.look(self._tops[place], rows)
        heading = self.section(place)
        begin = self._tops[heading]
        if self._tops[place + 1] - begin > rows:
            begin = self._tops[place]
        return self.look(begin, rows)

    def place_of(self, block: Block, near: int) -> int:
        """Where a block of another version stands in this one: the same text closest to `near`."""
        same = [place for place, other in enumerate(self.blocks) if other.text == block.text]
        last = max(0, len(self.blocks) - 1)
        return min(same, key=lambda place: abs(place - near)) if same else min(near, last)

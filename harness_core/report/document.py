"""What a report is made of: a few sorts of blocks, and words in them. Whoever writes it down escapes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from harness_core.reading.burnup import Point
from harness_core.record.events import BoundPiece
from harness_core.safe import safe
from harness_core.secrets.redact import Redactor


class Look(StrEnum):
    """How a piece of text stands out."""

    STRONG = "strong"
    CODE = "code"
    MUTED = "muted"
    STATUS = "status"
    """A feature's status, or a verdict: a word with a colour of its own."""


class Mark(NamedTuple):
    """A piece of text that stands out."""

    look: Look
    text: str


Words: TypeAlias = Sequence[str | Mark]


def strong(text: str) -> Mark:
    return Mark(Look.STRONG, text)


def code(text: str) -> Mark:
    return Mark(Look.CODE, text)


def muted(text: str) -> Mark:
    return Mark(Look.MUTED, text)


def status(text: str) -> Mark:
    return Mark(Look.STATUS, text)


def count(number: int, thing: str) -> str:
    """How many there are of something: `1 claim`, `2 claims`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    words: Words


@dataclass(frozen=True)
class Bullets:
    items: Sequence[Words]


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first `left` columns are words, all others figures."""

    heads: Sequence[str]
    rows: Sequence[Sequence[Words]]
    left: int = 1
    total: Sequence[Words] = ()


@dataclass(frozen=True)
class Passage:
    """Text with its own line breaks, such as the end of a log."""

    text: str


@dataclass(frozen=True)
class Exhibit:
    """A piece of evidence, with what is known of it."""

    piece: BoundPiece
    words: Words


@dataclass(frozen=True)
class Curve:
    """How many features passed when, between two times in seconds since the epoch."""

    points: Sequence[Point]
    start: float
    end: float


@dataclass(frozen=True)
class Fold:
    """Blocks below a line that opens them where that is possible."""

    words: Words
    blocks: Sequence[Block]
    open: bool = False


Block: TypeAlias = Heading | Paragraph | Bullets | Table | Passage | Exhibit | Curve | Fold


@dataclass(frozen=True)
class Document:
    """A report before it is written down."""

    title: str
    blocks: Sequence[Block]


class Door:
    """The one way by which text from outside gets into a report: visible, and without secrets."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    def text(self, text: str) -> str:
        """`text` with its line breaks."""
        # First what is hidden goes: it may stand in the middle of a secret.
        return self._redact.text(safe(text))

    def line(self, text: str) -> str:
        """The same on one line."""
        return " ".join(self.text(text).split())

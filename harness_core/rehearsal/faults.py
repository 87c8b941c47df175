"""What goes wrong between the CLI and the API: faults of the wire, counted by request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class WireFaultKind(Enum):
    """Each value is the fault's name in a scenario's notation."""

    RATE_LIMITED = "429"
    """429 with `retry-after: 1`: the CLI waits and tries again."""
    USAGE_LIMIT = "limit"
    """429 with the headers of an exhausted subscription window that resets in an hour."""
    SHORT_USAGE_LIMIT = "limit-short"
    """The same, but it resets in three seconds, and the CLI is told not to try again by itself."""
    UNAUTHORIZED = "401"
    NO_MODEL = "404"
    TOO_LONG = "long"
    """400, the conversation is longer than the model takes."""
    TOO_LARGE = "413"
    """413, the conversation has more bytes than the API takes."""
    TOO_MANY_PICTURES = "pictures"
    """400, a conversation of many pictures has one that is too large for so many."""
    SERVER_ERROR = "500"
    OVERLOADED = "529"
    CUT = "cut"
    """The stream breaks off in its middle."""
    STALL = "stall"
    """The stream stops in its middle, and the connection stays open."""
    SILENT = "silent"
    """No byte of an answer ever comes."""


@dataclass(frozen=True)
class WireFault:
    """Hits `times` requests, from the `first`-th on (counted from 1 since the server started): of all, or of
    those in one role."""

    kind: WireFaultKind
    times: int = 1
    first: int = 1
    role: str = ""

    def hits(self, request: int) -> bool:
        return self.first <= request < self.first + self.times

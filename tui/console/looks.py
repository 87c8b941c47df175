"""How a feature's status is drawn, everywhere the same."""

from __future__ import annotations

from typing import NamedTuple

from harness_core.contract.record import Status
from tui.console.sinks import MUTED


class Look(NamedTuple):
    """The glyph says without colour what the colour says."""

    glyph: str
    style: str


LOOKS = {
    Status.REGRESSED: Look("▼", "bold $error"),
    Status.FAILING: Look("○", "$foreground"),
    Status.CLAIMED: Look("◐", "$warning"),
    Status.VERIFIED: Look("●", "$success"),
    Status.APPROVED: Look("✓", "bold $success"),
    Status.SKIPPED: Look("-", MUTED),
}

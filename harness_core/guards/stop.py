"""The brake: while the operator has paused the run, no tool call starts."""

from __future__ import annotations

from harness_core.guards import Denial, GuardContext, ToolCall
from harness_core.layout import STOP_NAME

REASON = (
    f"The operator has paused this run ({STOP_NAME}). No tool runs until the operator resumes it: "
    "end your turn now, the session goes on from here."
)


def check(call: ToolCall, ctx: GuardContext) -> Denial | None:
    """Deny every call, whatever its tool, while `ctx.stopping`."""
    return Denial("stop", REASON) if ctx.stopping else None

"""The guards in their order, for the engine's gate and for the hooks of plain Claude Code alike.

A guard that takes long to load is loaded by the first call that it judges.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness_core.guards import Denial, Guard, GuardContext, ToolCall, paths, stop


def _shell(call: ToolCall, ctx: GuardContext) -> Denial | None:
    if call.tool != "Bash":
        return None
    from harness_core.guards import shell  # noqa: PLC0415

    return shell.check(call, ctx)


def _secrets(call: ToolCall, ctx: GuardContext) -> Denial | None:
    if call.tool not in paths.WRITERS and call.tool != "Bash" and not call.tool.startswith(paths.MCP_PREFIX):
        return None
    from harness_core.guards import secrets  # noqa: PLC0415

    return secrets.check(call, ctx)


def _browser(call: ToolCall, ctx: GuardContext) -> Denial | None:
    if not call.tool.startswith(paths.MCP_PREFIX):
        return None
    from harness_core.guards import browser  # noqa: PLC0415

    return browser.check(call, ctx)


GUARDS: Sequence[tuple[str, Guard]] = (
    ("stop", stop.check),
    ("path", paths.check),
    ("shell", _shell),
    ("secrets", _secrets),
    ("browser", _browser),
)
"""Each by its name. The contract's guard comes after them: it needs the contract of record."""


def failure(guard: str, error: Exception) -> Denial:
    """The denial of a call on which a guard has failed."""
    why = type(error).__name__
    return Denial(
        guard, f"The {guard} guard failed on this call ({why}), so it may not run: try another way."
    )

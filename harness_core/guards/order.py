"""The guards in their order, for the engine's gate and for the hooks of plain Claude Code alike.

A guard that takes long to load is loaded by the first call that it judges.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from harness_core.guards import Denial, Guard, GuardContext, ToolCall, paths, stop
from harness_core.guards.tools import WRITERS, is_served


def _shell(call: ToolCall, ctx: GuardContext) -> Denial | None:
    if call.tool != "Bash":
        return None
    from harness_core.guards import shell  # noqa: PLC0415

    return shell.check(call, ctx)


def _secrets(call: ToolCall, ctx: GuardContext) -> Denial | None:
    if call.tool not in WRITERS and call.tool != "Bash" and not is_served(call.tool):
        return None
    from harness_core.guards import secrets  # noqa: PLC0415

    return secrets.check(call, ctx)


def _browser(call: ToolCall, ctx: GuardContext) -> Denial | None:
    if not is_served(call.tool):
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


class GuardFailed(Exception):
    """A guard has crashed on a call. The message is for the journal, `denial` for the model."""

    def __init__(self, guard: str, error: Exception) -> None:
        super().__init__(f"guard {guard}: {error!r}")
        why = type(error).__name__
        self.denial = Denial(
            guard, f"The {guard} guard failed on this call ({why}), so it may not run: try another way."
        )


@contextlib.contextmanager
def guarded(guard: str) -> Iterator[None]:
    """Raises GuardFailed for whatever is raised in here."""
    try:
        yield
    except Exception as error:
        raise GuardFailed(guard, error) from error


def judge(call: ToolCall, ctx: GuardContext) -> Denial | None:
    """The verdict of the guards in their order. Raises GuardFailed, which denies too."""
    for name, check in GUARDS:
        with guarded(name):
            denial = check(call, ctx)
        if denial is not None:
            return denial
    return None

"""What the guards may know of a call that no engine drives."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness_core.guards import Denial, GuardContext, Process, ToolCall
from harness_core.hooks.shelf import Common
from harness_core.layout import CONFIG_NAME, RunDir

_MARK = "CLAUDE_CODE_SESSION_ID"
"""What the CLI puts into the environment of a session's commands, and into a hook's."""


def context(
    run: RunDir, payload: Mapping[str, Any], call: ToolCall, common: Common, *, stopping: bool
) -> GuardContext | Denial:
    """The context of a call, or its denial where longwatch.toml can't be read."""
    cwd = payload.get("cwd")
    try:
        shell = _shell_settings(run, common) if call.tool == "Bash" else {}
    except Exception as error:
        return Denial("settings", f"{error}: no tool runs until the operator has mended that.")
    session = str(payload.get("session_id") or "")
    return GuardContext(
        root=run.root,
        cwd=Path(cwd) if isinstance(cwd, str) and cwd else None,
        stopping=stopping,
        profile=shell.get("profile", "developer"),
        allow=frozenset(shell.get("allow", ())),
        deny=frozenset(shell.get("deny", ())),
        remotes=lambda: _remotes(run),
        own_processes=lambda: _own(session),
        all_processes=_everyone,
    )


def _shell_settings(run: RunDir, common: Common) -> Mapping[str, Any]:
    """`[guards.shell]` of longwatch.toml, which is read anew only when it has changed. Raises Mistake."""
    try:
        found = run.config_file.stat()
    except FileNotFoundError:
        return {}
    of = [found.st_mtime_ns, found.st_size, found.st_ino]
    if common.guards.get("of") != of:
        from harness_core import config  # noqa: PLC0415

        shell = config.load_file(run.root / CONFIG_NAME).guards.shell
        common.guards = {"of": of, "profile": shell.profile, "allow": shell.allow, "deny": shell.deny}
    return common.guards


def _remotes(run: RunDir) -> frozenset[str]:
    from harness_core.machine.gitfiles import GitFiles  # noqa: PLC0415

    return GitFiles(run.root).remotes()


def _own(session: str) -> list[Process]:
    """The processes that this session's shell started, which the CLI marks. It carries no mark itself."""
    from harness_core.machine import processes  # noqa: PLC0415

    found = processes.marked(_MARK, session) if session else []
    return [Process(item.pid, item.command) for item in found if item.pid != os.getppid()]


def _everyone() -> list[Process]:
    from harness_core.machine import processes  # noqa: PLC0415

    return [Process(item.pid, item.command) for item in processes.everyone()]

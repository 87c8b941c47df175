"""Longwatch's hooks in a project's `.claude/settings.json`: put in beside what is there, and taken out alone.

Before the first change the file is copied to `settings.json.before-longwatch`; taking the hooks out of a file
that nobody changed since brings that copy back to the byte.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.machine.files import read_bounded, write_whole

EVENTS: Mapping[str, str | None] = {
    "SessionStart": None,
    "PreToolUse": "*",
    "PostToolUse": "*",
    "PostToolUseFailure": "*",
    "Stop": None,
    "SessionEnd": None,
}
"""What is hooked, and the matcher where the event has one."""
_TIMEOUT = 60
"""Seconds that Claude Code waits. The hook itself gives up much earlier, since running into this allows."""
_MARK = "LONGWATCH_HOOK=1"
"""What each of our commands begins with, so that they are found whatever else changes."""
_FAILED = "The hook of Longwatch failed, so nothing may run: have the operator look at it"

Settings = dict[str, Any]


def install(run: RunDir) -> bool:
    """Put the hooks in; False when they are there already as they should be. Raises Mistake."""
    path = _path(run)
    before = _read(path)
    after = _with_ours(_without_ours(before or {}, path), run)
    if after == before:
        return False
    if not _holds_ours(before or {}):
        _back_up(path)
    _write(path, after)
    return True


def holds(run: RunDir) -> bool | None:
    """Whether the hooks are there as this Longwatch would put them in; None when there are none of ours.

    Raises Mistake.
    """
    there = _read(_path(run)) or {}
    if not _holds_ours(there):
        return None
    wanted = _with_ours({}, run)["hooks"]
    return all(wanted[event][0] in (there["hooks"].get(event) or []) for event in EVENTS)


def remove(run: RunDir) -> bool:
    """Take the hooks out; False when there are none. Raises Mistake."""
    path = _path(run)
    before = _read(path)
    if before is None or not _holds_ours(before):
        return False
    after = _without_ours(before, path)
    backup = _backup(path)
    kept = read_bounded(backup)
    was = {} if not kept else _decoded(kept, backup)
    if kept is None or was != after:
        _write(path, after)
    elif kept:
        write_whole(path, kept)
    else:
        path.unlink()
    backup.unlink(missing_ok=True)
    if not kept:
        with contextlib.suppress(OSError):
            path.parent.rmdir()
    return True


def command(run: RunDir, event: str) -> str:
    """The shell command of a hook. Before a tool, whatever ends it but an answer blocks the tool (exit 2)."""
    script = Path(sys.argv[0] if Path(sys.argv[0]).name == "longwatch" else sys.executable).absolute()
    program = [str(script)] if script.name == "longwatch" else [str(script), "-P", "-m", "tui.script"]
    call = f"{_MARK} {shlex.join([*program, 'hook', str(run.root)])}"
    if event != "PreToolUse":
        return call
    return f"{call} || {{ echo {shlex.quote(_FAILED)} >&2; exit 2; }}"


def _path(run: RunDir) -> Path:
    if not run.root.is_dir():
        raise Mistake(f"{run.root} is no directory: name the one that Claude Code works in")
    return (run.root / ".claude" / "settings.json").resolve()


def _backup(path: Path) -> Path:
    return path.with_name(f"{path.name}.before-longwatch")


def _back_up(path: Path) -> None:
    """Keep the file as it is; an empty copy stands for none."""
    path.parent.mkdir(exist_ok=True)
    write_whole(_backup(path), read_bounded(path) or b"")


def _read(path: Path) -> Settings | None:
    data = read_bounded(path)
    return None if data is None else _decoded(data, path)


def _decoded(data: bytes, path: Path) -> Settings:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Mistake(f"{path} is not valid JSON ({error}): mend it and run this again") from None
    if not isinstance(found, dict) or not isinstance(found.get("hooks", {}), dict):
        raise Mistake(
            f"{path} isn't as Claude Code writes it (an object, `hooks` too): mend it and run this again"
        )
    return found


def _write(path: Path, settings: Settings) -> None:
    path.parent.mkdir(exist_ok=True)
    write_whole(path, json.dumps(settings, indent=2, ensure_ascii=False).encode() + b"\n")


def _with_ours(settings: Settings, run: RunDir) -> Settings:
    hooks = dict(settings.get("hooks", {}))
    for event, matcher in EVENTS.items():
        ours: Settings = {} if matcher is None else {"matcher": matcher}
        hook: Settings = {"type": "command", "command": command(run, event), "timeout": _TIMEOUT}
        # An older Claude Code doesn't know this; there the command itself sees to it, if not killed with it.
        closed = {"onFailure": "block"} if event == "PreToolUse" else {}
        ours["hooks"] = [{**hook, **closed}]
        hooks[event] = [*hooks.get(event, []), ours]
    return {**settings, "hooks": hooks}


def _without_ours(settings: Settings, path: Path) -> Settings:
    """`settings` with our commands gone, and with them the groups and lists that held nothing else."""
    hooks: Settings = {}
    for event, groups in settings.get("hooks", {}).items():
        if not isinstance(groups, list):
            raise Mistake(f"{path}: hooks.{event} isn't a list: mend it and run this again")
        left = [kept for group in groups if (kept := _group(group)) is not None]
        if left or not groups:
            hooks[event] = left
    rest = {name: value for name, value in settings.items() if name != "hooks"}
    return {**rest, "hooks": hooks} if hooks or settings.get("hooks") == {} else rest


def _group(group: Any) -> Any:
    """A group of hooks without ours; None when it held nothing else."""
    if not isinstance(group, dict) or not isinstance(group.get("hooks"), list):
        return group
    left = [hook for hook in group["hooks"] if not _is_ours(hook)]
    return None if not left and group["hooks"] else {**group, "hooks": left}


def _is_ours(hook: Any) -> bool:
    return isinstance(hook, dict) and str(hook.get("command", "")).startswith(f"{_MARK} ")


def _holds_ours(settings: Settings) -> bool:
    groups = (
        group for found in settings.get("hooks", {}).values() if isinstance(found, list) for group in found
    )
    return any(
        _is_ours(hook)
        for group in groups
        if isinstance(group, dict) and isinstance(group.get("hooks"), list)
        for hook in group["hooks"]
    )

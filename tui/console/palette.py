"""The palette: every action there is, at any time. What can't be done now says why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from textual.app import App, SystemCommand
from textual.binding import ActiveBinding
from textual.screen import Screen

from tui.console import keys
from tui.console.keys import Key

NOTHING_WAITS = "nothing waits for your answer now"
REASONS = {
    "approve": NOTHING_WAITS,
    "reject": NOTHING_WAITS,
    "override": f"{NOTHING_WAITS}, so there is no finding to override",
    "review": NOTHING_WAITS,
    "iterations": "no design has come to its end",
    "skip": "no feature is in question, and none is under the cursor: go to the features and choose one",
    "reword": "no feature is in question, and none is under the cursor: go to the features and choose one",
    "outside": "that is for a piece of evidence: go to the evidence and choose one",
    "compare": "that is for a piece of evidence: go to the evidence and choose one",
}
"""Why an action can't be done now, by its key's name."""
PLACES = {
    keys.STREAM: "the stream",
    keys.PROGRESS: "the notes",
    keys.EVIDENCE: "the evidence",
    keys.LINES: "a pane of lines",
}
"""Where the keys of a pane count."""
IN_A_REPLAY = "a replay only looks: nothing here reaches the run"


def commands(
    app: App[Any], screen: Screen[Any], groups: Iterable[tuple[Key, ...]]
) -> Iterable[SystemCommand]:
    """The keys that count on this screen, and those of `groups` that don't count now."""
    offered = {active.binding.id: active for active in screen.active_bindings.values() if active.enabled}
    always = {key.id for group in groups for key in group}
    for group in keys.GROUPS.values():
        for key in group:
            if key.id in offered or key.id in always:
                yield _command(app, key, offered, _why_not(screen, key, group))


def _command(app: App[Any], key: Key, offered: Mapping[str | None, ActiveBinding], why: str) -> SystemCommand:
    active = offered.get(key.id)
    if active is not None:
        title = f"{key.label} ({app.get_key_display(active.binding)})"
        return SystemCommand(title, key.help, partial(app.run_action, key.action, active.node))
    say = partial(app.notify, f"{key.label}: {why}", severity="warning", markup=False)
    return SystemCommand(f"{key.label} (not now)", key.help, say)


def _why_not(screen: Screen[Any], key: Key, group: tuple[Key, ...]) -> str:
    if key.action in getattr(screen, "OFF", ()):
        return IN_A_REPLAY
    return REASONS.get(key.id) or f"that is for {PLACES.get(group, 'another screen')}"

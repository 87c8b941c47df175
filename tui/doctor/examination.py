"""All looks, at once, each with an end to its time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from harness_core.layout import RunDir
from tui.doctor import agent, directory, machine, surroundings, tools
from tui.doctor.check import Check, Patient, warn

WITHIN = 15.0
"""Seconds after which a look that hasn't ended is given up."""
Look = Callable[[Patient], Iterator[Check]]

LOOKS: tuple[tuple[str, Look], ...] = (
    ("Python", machine.python),
    ("git", machine.git),
    ("Agent SDK", agent.sdk),
    ("Claude CLI", agent.cli),
    ("login", agent.login),
    ("API", agent.api),
    ("guards", agent.guards),
    ("sandbox", tools.sandbox),
    ("environment", tools.environment),
    ("browser", tools.a_browser),
    ("npx", tools.npx),
    ("disk", machine.disk),
    ("file system", machine.file_system),
    ("watchers", machine.inotify),
    ("terminal", surroundings.terminal),
    ("settings", surroundings.own_settings),
    ("messages", surroundings.messages),
    ("DIR", directory.place),
    ("longwatch.toml", directory.configuration),
    ("hooks", directory.hooks),
    ("journal", directory.journal),
)
"""In the order of telling. To look at one more thing is one function and one line here."""


class _Running:
    """One look in a thread of its own, which nobody waits for when it hangs."""

    def __init__(self, name: str, look: Look, patient: Patient) -> None:
        self.name = name
        self.found: list[Check] = []
        self._thread = threading.Thread(target=self._do, args=(look, patient), name=name, daemon=True)
        self._thread.start()

    def _do(self, look: Look, patient: Patient) -> None:
        try:
            self.found = list(look(patient))
        except Exception as error:
            # One look that breaks down must not take the others' findings with it.
            self.found = [warn(self.name, f"can't be looked at ({error!r})", "look at it yourself")]

    def result(self, until: float) -> list[Check]:
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            return [warn(self.name, f"no end within {WITHIN:g} s", "look at it yourself")]
        return self.found


def examine(run: RunDir | None = None, environ: Mapping[str, str] = os.environ) -> Iterator[Check]:
    """What was found, in the order of telling, as it comes; all of it within `WITHIN` seconds."""
    patient = Patient(environ, run)
    until = time.monotonic() + WITHIN
    for running in [_Running(name, look, patient) for name, look in _looks(patient)]:
        yield from running.result(until)


def _looks(patient: Patient) -> Sequence[tuple[str, Look]]:
    """The looks that there are, and one for each MCP server: several that hang don't add up."""
    each = [(f"mcp.{name}", partial(_server, name)) for name in tools.configured(patient)]
    return [*LOOKS, *each]


def _server(name: str, patient: Patient) -> Iterator[Check]:
    yield tools.a_server(patient, name, tools.configured(patient)[name])

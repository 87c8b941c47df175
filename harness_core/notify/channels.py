"""The ways by which a message leaves: each is a process of its own, with an end to its time."""

from __future__ import annotations

import html
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from harness_core.machine.aside import Ran, run
from harness_core.notify.messages import Message
from harness_core.notify.settings import Notify

WITHIN = 10.0
"""Seconds that a message has to leave."""
UNKNOWN_ADDRESS = 3
"""The status of a post whose address isn't one."""
_DESKTOPS = ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS")


@dataclass(frozen=True)
class Channel:
    """One way. `send` returns why the message didn't leave, "" when it did."""

    name: str
    send: Callable[[Message], str]
    asked: bool = True
    """Whether the operator asked for it, and wants to know when it fails."""

    def tell(self, message: Message) -> str:
        return self.send(message)


def channels(settings: Notify, directory: str, environ: Mapping[str, str] = os.environ) -> list[Channel]:
    """The ways that the settings and this machine have, for the run in `directory`."""
    found = []
    program = shutil.which("notify-send", path=environ.get("PATH"))
    has_desktop = program is not None and any(environ.get(name) for name in _DESKTOPS)
    if settings.desktop or (settings.desktop is None and has_desktop):
        found.append(Channel("desktop", _by_desktop(program or "notify-send"), settings.desktop is not None))
    if settings.command:
        found.append(Channel("command", _by_command(settings.command, directory)))
    if settings.url:
        found.append(Channel("url", _by_url(settings.url)))
    return found


def _by_desktop(program: str) -> Callable[[Message], str]:
    def send(message: Message) -> str:
        # The body may hold markup, and a desktop would follow its links.
        said = [message.title, html.escape(message.text)]
        return _why(_run([program, "--app-name=Longwatch", "--", *said]))

    return send


def _by_command(command: str, directory: str) -> Callable[[Message], str]:
    def send(message: Message) -> str:
        told = {"kind": message.kind.value, "title": message.title, "body": message.text, "dir": directory}
        variables = {f"LONGWATCH_{name.upper()}": value for name, value in told.items()}
        return _why(_run(["/bin/sh", "-c", command], msgspec.json.encode(told), variables))

    return send


def _by_url(url: str) -> Callable[[Message], str]:
    def send(message: Message) -> str:
        letter = {"url": url, "kind": message.kind.value, "title": message.title, "body": message.text}
        # The address goes through a pipe: a command line can be read by everybody on the machine.
        program = [sys.executable, "-P", "-m", "harness_core.notify.post"]
        ran = _run(program, msgspec.json.encode(letter))
        if ran.status == UNKNOWN_ADDRESS:
            return "Apprise doesn't know such an address: see its list of services"
        return "the service didn't take the message" if ran.status == 1 else _why(ran)

    return send


def _run(program: Sequence[str], data: bytes = b"", variables: Mapping[str, str] | None = None) -> Ran:
    return run(program, {**os.environ, **(variables or {})}, WITHIN, data)


def _why(ran: Ran) -> str:
    """Why it failed, "" where it didn't. What the program said may hold its secrets, and isn't told."""
    return "" if ran.well else ran.trouble or f"it ended with status {ran.status}"

"""Looks at what agents work with: the shell's sandbox, a browser, the MCP servers of longwatch.toml."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from harness_core import config
from harness_core.agent import browser
from harness_core.agent.mcp_servers import BROWSER, McpServer
from harness_core.box import sandbox as box
from harness_core.errors import LongwatchError
from harness_core.machine.aside import beside
from harness_core.safe import one_line
from harness_core.secrets.redact import credentials
from tui.doctor.check import Check, Patient, ok, warn

MCP_WITHIN = 10.0
"""Seconds that a server has to say what it is. The engine gives it as long."""
_ANSWER = 1 << 20


def sandbox(patient: Patient) -> Iterator[Check]:
    why = box.lacks(patient.environ)
    if not why:
        yield ok("sandbox", "bubblewrap and socat are there, a process starts in it")
        return
    if why.endswith(" not installed"):
        mend = f"install {why.removesuffix(' not installed')}"
    elif sys.platform == "linux":
        mend = "allow user namespaces (kernel.unprivileged_userns_clone, AppArmor, a container's rights)"
    else:
        mend = "work in a container or on a machine of its own"
    yield warn("sandbox", f"{why}: agents' shells would run without it", mend)


def environment(patient: Patient) -> Iterator[Check]:
    """Which variables the agents' commands don't get."""
    table = _file(patient).sandbox
    gone = credentials(patient.environ, table.keep if table else ())
    if gone:
        yield ok("environment", f"kept from agents' shells: {one_line(', '.join(gone))}")


def a_browser(patient: Patient) -> Iterator[Check]:
    own = configured(patient).get(BROWSER)
    if own is not None:
        yield ok("browser", f"that of longwatch.toml, for {_roles(own)}")
        return
    found = browser.find(patient.environ, closed=patient.run.root if patient.run else None)
    if not found.missing:
        yield ok("browser", f"{found.chromium}, with Playwright's server")
        return
    yield warn(
        "browser",
        f"{found.missing}: agents use no page and take no picture of one",
        "install what is missing, if what you build is seen in a browser",
    )


def configured(patient: Patient) -> dict[str, McpServer]:
    """The servers that the run's longwatch.toml names; none where it can't be read."""
    return dict(_file(patient).mcp)


def _file(patient: Patient) -> config.FileConfig:
    """The run's longwatch.toml; an empty one where there is none that can be read."""
    if patient.run is not None:
        with suppress(LongwatchError):
            return config.load_file(patient.run.config_file)
    return config.FileConfig()


def a_server(patient: Patient, name: str, server: McpServer) -> Check:
    """Whether an MCP server starts and says what it is."""
    title = f"mcp.{name}"
    why = _answers_at(server) if server.url else _answers(patient, server)
    if not why:
        return ok(title, f"answers, for {_roles(server)}")
    mend = "mend it in longwatch.toml, or take it out: a run goes on without it, and its agents are told"
    return warn(title, why, mend)


def _roles(server: McpServer) -> str:
    return " and ".join(server.roles) or "no role"


_HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "longwatch-doctor", "version": "1"},
    },
}


def _answers(patient: Patient, server: McpServer) -> str:
    """Why a server that is a program doesn't answer, "" when it does."""
    assert server.command is not None and patient.run is not None
    program, environ = [server.command, *server.args], {**_without_login(patient), **server.env}
    try:
        with beside(program, environ, patient.run.root) as process:
            assert process.stdin is not None and process.stdout is not None
            with suppress(OSError):
                os.write(process.stdin.fileno(), msgspec.json.encode(_HELLO) + b"\n")
            if _has_answer(process.stdout.fileno()):
                return ""
            with suppress(subprocess.TimeoutExpired):
                return f"{server.command} ended with status {process.wait(0.2)} and gave no answer"
    except (OSError, ValueError) as error:
        return f"{server.command} can't be started: {getattr(error, 'strerror', None) or error}"
    return f"{server.command} doesn't answer within {MCP_WITHIN:g} s"


def _without_login(patient: Patient) -> dict[str, str]:
    """What pays for the model is no server's affair."""
    own = ("ANTHROPIC_", "CLAUDE_")
    return {name: value for name, value in patient.environ.items() if not name.startswith(own)}


def _has_answer(descriptor: int) -> bool:
    """Whether a line with the answer comes, in time and not without end."""
    until, said = time.monotonic() + MCP_WITHIN, b""
    while (left := until - time.monotonic()) > 0 and len(said) < _ANSWER:
        if not select.select([descriptor], [], [], left)[0]:
            return False
        piece = os.read(descriptor, 65536)
        said += piece
        if any(_is_answer(line) for line in said.split(b"\n")):
            return True
        if not piece:
            return False
    return False


class _Answer(msgspec.Struct):
    id: int
    result: dict[str, object]


def _is_answer(line: bytes) -> bool:
    try:
        return msgspec.json.decode(line, type=_Answer).id == 1
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _answers_at(server: McpServer) -> str:
    """Why a server with an address doesn't answer, "" when it does."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    letter = urllib.request.Request(
        server.url or "", msgspec.json.encode(_HELLO), {**headers, **server.headers}, method="POST"
    )
    try:
        urllib.request.urlopen(letter, timeout=MCP_WITHIN).close()
    except urllib.error.HTTPError as error:
        return f"it refuses: {error.code} {error.reason}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return f"it can't be reached: {getattr(reason, 'strerror', None) or reason}"
    return ""


def npx(patient: Patient) -> Iterator[Check]:
    found = shutil.which("npx", path=patient.path)
    if found:
        yield ok("npx", str(Path(found)))
    else:
        yield warn("npx", "not installed", "install Node.js, if MCP servers or what you build need it")

"""The MCP servers that agents get besides Longwatch's own: those of `[mcp.NAME]`, and a browser.

Their tools are called `mcp__NAME__*` and are judged by the guards like all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from harness_core.layout import RunDir
from harness_core.secrets.redact import CREDENTIAL_NAMES

if TYPE_CHECKING:
    from harness_core.config import RunConfig

CONNECT_WITHIN = 10.0
"""Seconds that a server has for its first answer, where `MCP_TIMEOUT` (in ms) says nothing else."""
BROWSER = "browser"
"""The server that Longwatch sets up by itself where the machine has what it takes."""
_OWN = "longwatch"
_MODELS_OWN = ("ANTHROPIC_", "CLAUDE_")
"""Variables that begin so pay for the model, which is no server's affair."""

Role = Literal["planner", "initializer", "generator", "evaluator"]
USUAL_ROLES: tuple[Role, ...] = ("generator", "evaluator")
ServerName = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^(?!{_OWN}$)[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*$",
        description=f"letters, digits, - and single _, other than {_OWN}",
    ),
]


class McpServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[mcp.NAME]` table."""

    command: str | None = None
    """The program of a server that is spoken to by its standard input and output."""
    args: list[str] = []
    env: dict[str, str] = {}
    url: str | None = None
    """The address of a server that is spoken to over HTTP."""
    headers: dict[str, str] = {}
    roles: tuple[Role, ...] = USUAL_ROLES

    def __post_init__(self) -> None:
        if bool(self.command) == bool(self.url):
            raise ValueError("give it either a `command` or a `url`")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("give it a `url` that begins with http:// or https://")


@dataclass(frozen=True)
class Servers:
    """All servers of a run, and what is known of those that aren't there."""

    configured: Mapping[str, McpServer] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    """Servers that the machine can't start, with the reason in words."""
    withheld: Mapping[str, str] = field(default_factory=dict)
    """Credentials of this process's environment that no server gets, each with nothing in its place."""
    within: float = CONNECT_WITHIN
    """Seconds that each has for its first answer."""
    told: set[str] = field(default_factory=set)
    """Servers whose absence is in the journal already."""

    def of(self, role: str) -> dict[str, dict[str, Any]]:
        """What the SDK is given for a session of `role`."""
        return {name: self._for_sdk(item) for name, item in self.configured.items() if role in item.roles}

    def absent_for(self, role: str) -> dict[str, str]:
        """The servers that such a session would have, but that can't be started."""
        return dict(self.absent) if role in USUAL_ROLES else {}

    def _for_sdk(self, server: McpServer) -> dict[str, Any]:
        if server.url:
            return {"type": "http", "url": server.url, "headers": dict(server.headers)}
        environment = {**self.withheld, **server.env}
        return {"type": "stdio", "command": server.command, "args": list(server.args), "env": environment}

    def as_told(self, config: RunConfig, role: str) -> RunConfig:
        """The configuration from which a role's page is made: `browser` is on where there really is one."""
        there = BROWSER in self.configured and role in self.configured[BROWSER].roles
        switches = msgspec.structs.replace(config.switches, browser=there)
        return msgspec.structs.replace(config, switches=switches)


def secrets(configured: Mapping[str, McpServer]) -> dict[str, str]:
    """What must not be seen of the tables, as variables: those of `env`, and all headers."""
    found: dict[str, str] = {}
    for name, server in configured.items():
        found |= {f"{name}_{key}": value for key, value in server.env.items()}
        found |= {f"{name}_{key}_SECRET": value for key, value in server.headers.items()}
    return found


def gather(
    configured: Mapping[str, McpServer],
    run: RunDir,
    environ: Mapping[str, str],
    *,
    with_browser: bool,
    only_looks: bool = False,
) -> Servers:
    """The servers of a run: those configured, and a browser unless there is one among them.

    Writes the browser's own settings into `.longwatch/`, but for who `only_looks`.
    """
    credentials = [name for name in environ if CREDENTIAL_NAMES.search(name.upper())]
    withheld = {name: "" for name in credentials if name.startswith(_MODELS_OWN)}
    within = _within(environ.get("MCP_TIMEOUT", ""))
    if not with_browser or BROWSER in configured:
        return Servers(configured, withheld=withheld, within=within)
    from harness_core.agent import browser  # noqa: PLC0415  (who only reads settings needs none)

    found = browser.find(environ, closed=run.root)
    if found.missing:
        return Servers(configured, {BROWSER: found.missing}, withheld, within)
    if not only_looks:
        browser.write_settings(found, run)
    command, *args = browser.command(found, run)
    server = McpServer(command=command, args=args, env={name: "" for name in credentials})
    return Servers({**configured, BROWSER: server}, withheld=withheld, within=within)


def _within(ms: str) -> float:
    return int(ms) / 1000 if ms.isdecimal() and int(ms) > 0 else CONNECT_WITHIN

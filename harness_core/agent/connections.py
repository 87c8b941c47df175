"""Which of a session's MCP servers answer, before its first word is said.

The CLI lets a session's first request wait for servers that don't answer, and says nothing of it. Asked
before, it says which ones failed, so that the agent can be told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeSDKClient

POLL = 0.05
GRACE = 2.0
"""Seconds that the CLI has on top, to say that a server's time is over."""


async def failed(
    client: ClaudeSDKClient,
    servers: Mapping[str, Mapping[str, Any]],
    within: float,
    stopping: Callable[[], bool],
) -> dict[str, str]:
    """The servers that can't be used, with the reason in words. Waits until each has answered, failed or run
    out of its time, `within` seconds, and no longer once the run is `stopping`."""
    deadline = time.monotonic() + within + GRACE
    while True:
        found = (await client.get_mcp_status())["mcpServers"]
        said: dict[str, Mapping[str, Any]] = {item["name"]: item for item in found}
        pending = [name for name in servers if said.get(name, {}).get("status") == "pending"]
        if not pending or stopping() or time.monotonic() > deadline:
            break
        await asyncio.sleep(POLL)
    return {
        name: _why(said.get(name, {}), server, within)
        for name, server in servers.items()
        if said.get(name, {}).get("status") != "connected"
    }


def _why(status: Mapping[str, Any], server: Mapping[str, Any], within: float) -> str:
    error = str(status.get("error") or "")
    if "ENOENT" in error or "not found" in error:
        return f"`{server['command']}` can't be found"
    if "timed out" in error or status.get("status") == "pending":
        return f"it doesn't answer within {within:g} s"
    if status.get("status") == "needs-auth":
        return "it wants a login"
    return f"it can't be reached ({error or status.get('status') or 'no word of it'})"

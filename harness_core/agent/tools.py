"""The tools that Longwatch gives its agents, as an in-process MCP server: claim, report, app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness_core.agent.sdk import SERVER
from harness_core.answer import Answer

if TYPE_CHECKING:
    from claude_agent_sdk import McpSdkServerConfig

_FEATURE = {"type": ["string", "integer"], "description": "The feature's id in the contract"}
_PATHS = {"type": "array", "items": {"type": "string"}}
CLAIM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "feature": _FEATURE,
        "evidence": {
            **_PATHS,
            "description": "Files that a program made in this session and that you opened with Read",
        },
        "note": {"type": "string", "description": "What you did and what you saw, in a sentence"},
        "also_for": {**_PATHS, "description": "Other features that the same evidence was claimed for"},
    },
    "required": ["feature", "evidence"],
}
REGRESSION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"feature": _FEATURE, "note": {"type": "string", "description": "What no longer holds"}},
    "required": ["feature", "note"],
}
APP_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"action": {"type": "string", "enum": ["start", "stop", "restart", "status", "logs"]}},
    "required": ["action"],
}


@dataclass(frozen=True)
class Handlers:
    """What stands behind the tools. A builder has all three, an evaluator only the app."""

    app: Callable[[str], Awaitable[Answer]]
    claim: Callable[[str, Sequence[str], str, Sequence[str]], Answer] | None = None
    regression: Callable[[str, str], Answer] | None = None


def server(handlers: Handlers) -> McpSdkServerConfig:
    """The MCP server with the tools that `handlers` has."""
    from claude_agent_sdk import create_sdk_mcp_server, tool  # noqa: PLC0415

    async def app(arguments: Mapping[str, Any]) -> dict[str, Any]:
        return _content(await handlers.app(str(arguments["action"])))

    async def claim_feature(arguments: Mapping[str, Any]) -> dict[str, Any]:
        assert handlers.claim is not None
        feature = str(arguments["feature"])
        evidence = [str(path) for path in arguments["evidence"]]
        also_for = [str(other) for other in arguments.get("also_for") or ()]
        return _content(handlers.claim(feature, evidence, str(arguments.get("note") or ""), also_for))

    async def report_regression(arguments: Mapping[str, Any]) -> dict[str, Any]:
        assert handlers.regression is not None
        return _content(handlers.regression(str(arguments["feature"]), str(arguments["note"])))

    tools = [
        tool(
            "app",
            "Run the thing being built through its init.sh: start, stop, restart, status, logs.",
            APP_SCHEMA,
        )(app)
    ]
    if handlers.claim is not None:
        tools.append(
            tool(
                "claim_feature",
                "Claim that a feature holds, on evidence that you have seen. The only way to make it pass.",
                CLAIM_SCHEMA,
            )(claim_feature)
        )
    if handlers.regression is not None:
        tools.append(
            tool(
                "report_regression",
                "Say that a feature that passed no longer holds. Needs no evidence.",
                REGRESSION_SCHEMA,
            )(report_regression)
        )
    return create_sdk_mcp_server(SERVER, tools=tools)


def _content(answer: Answer) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": answer.text}], "is_error": not answer.ok}

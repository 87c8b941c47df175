"""How a session of the Claude Agent SDK is started: whole settings, nothing inherited from the project.

Each option answers a measured fact: hooks fail open unless `on_failure="block"`; without
`setting_sources=[]` the project's own hooks run; the default line limit of 1 MiB kills a session on one
large screenshot; the CLI outlives a killed engine unless it asks for a death signal.
"""

from __future__ import annotations

import gc
import logging
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from harness_core.agent.mcp_servers import BROWSER
from harness_core.box import sandbox
from harness_core.guards.tools import WRITERS
from harness_core.machine import processes
from harness_core.machine.cli_home import cli_home
from harness_core.machine.gitfiles import durable
from harness_core.run import Run

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeAgentOptions, McpSdkServerConfig
    from claude_agent_sdk.types import HookCallback, SandboxSettings

MAX_LINE = 64 << 20
BASH_MS = 120_000
"""Milliseconds that a command may take of which the agent hasn't said how long."""
HOOK_TIMEOUT = 30.0
STOP_HOOK_TIMEOUT = 600.0
SERVER = "longwatch"
"""Name of the in-process MCP server; its tools are `mcp__longwatch__*`."""
CLOSED_TOOLS = (f"mcp__{BROWSER}__browser_run_code_unsafe",)
"""Not offered, though a server has them: this one runs code outside of the page, past every guard."""
BUILDER_TOOLS = ("Bash", "Read", "Edit", "Write", "Grep", "Glob", "Agent")
READER_TOOLS = ("Read", "Grep", "Glob")
ROLE_TOOLS = {"evaluator": READER_TOOLS, "planner": (*READER_TOOLS, "Write", "Edit")}
"""The built-in tools of roles that don't build."""
TOKENS = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
"""The kinds of tokens in a result's account of what each model used."""
FILE_CALLS = "|".join(("Read", *WRITERS))
"""The calls whose own outcome the gate has to see. For all others PostToolBatch is soon enough, and each hook
is a round trip to the CLI that the agent waits for."""
_WRAPPER = """#!/bin/sh
# Own session, so that a terminal's ctrl+c stays with the engine; dies with the engine.
if command -v setpriv >/dev/null 2>&1; then
    exec setsid setpriv --pdeathsig TERM -- "$LONGWATCH_CLI" "$@"
fi
exec "$LONGWATCH_CLI" "$@"
"""


@dataclass(frozen=True)
class Hooks:
    """The gate's callbacks, one for each event of the SDK that Longwatch listens to."""

    pre_tool: HookCallback
    post_tool: HookCallback
    post_batch: HookCallback
    stop: HookCallback


@dataclass(frozen=True)
class Setup:
    """What differs from session to session."""

    role: str
    model: str
    system_prompt: str
    sdk_session: str
    resume: bool
    schema: Mapping[str, Any] | None
    review: Path | None = None
    """The folder in which an evaluator's shell may do as it likes; without one it gets no shell."""


class _Spared(ModuleType):
    """Stands for a module that is imported for a class which nobody here uses."""

    FastMCP = type("FastMCP", (), {})


def load() -> ModuleType:
    """Import the SDK, which only an engine pays for: it costs most of a second.

    Measured: a quarter of that is httpx's command line and FastMCP's web server, which MCP's package imports
    for others. They are left out while the SDK is imported, and can be had as ever after.
    """
    if "claude_agent_sdk" not in sys.modules:
        # None is Python's own sign for a module that isn't to be had.
        spared: dict[str, Any] = {"httpx._main": None, "mcp.server.fastmcp": _Spared("mcp.server.fastmcp")}
        absent = {name: module for name, module in spared.items() if name not in sys.modules}
        sys.modules.update(absent)
        try:
            import claude_agent_sdk  # noqa: F401, PLC0415
        finally:
            for name in absent:
                sys.modules.pop(name, None)
        # What it logs is raised too, and else would reach the operator's terminal as it is.
        logging.getLogger("claude_agent_sdk").addHandler(logging.NullHandler())
        # All of it stays. Looked through with each search for garbage it would take 50 ms each time, and a
        # search of everything is put off until there is a quarter as much that is new.
        gc.freeze()
    return sys.modules["claude_agent_sdk"]


def bundled_cli() -> Path:
    """The CLI that ships inside the SDK's wheel."""
    return Path(str(load().__file__)).parent / "_bundled" / "claude"


def options(
    run: Run, setup: Setup, hooks: Hooks, server: McpSdkServerConfig, stderr: Callable[[str], None]
) -> ClaudeAgentOptions:
    """The SDK's options for one session."""
    from claude_agent_sdk import ClaudeAgentOptions, HookMatcher  # noqa: PLC0415

    servers: dict[str, Any] = {SERVER: server, **run.servers.of(setup.role)}
    shell = ["Bash"] if setup.review is not None else []
    tools = [*shell, *ROLE_TOOLS.get(setup.role, BUILDER_TOOLS)]
    matchers: dict[Any, list[HookMatcher]] = {
        "PreToolUse": [HookMatcher(hooks=[hooks.pre_tool], timeout=HOOK_TIMEOUT, on_failure="block")],
        "PostToolUse": [
            HookMatcher(FILE_CALLS, hooks=[hooks.post_tool], timeout=HOOK_TIMEOUT, on_failure="block")
        ],
        "PostToolBatch": [HookMatcher(hooks=[hooks.post_batch], timeout=HOOK_TIMEOUT)],
        "Stop": [HookMatcher(hooks=[hooks.stop], timeout=STOP_HOOK_TIMEOUT)],
    }
    session: dict[str, Any] = (
        {"resume": setup.sdk_session} if setup.resume else {"session_id": setup.sdk_session}
    )
    return ClaudeAgentOptions(
        cwd=run.dir.root,
        model=setup.model,
        tools=tools,
        allowed_tools=[*tools, *(f"mcp__{name}" for name in servers)],
        disallowed_tools=list(CLOSED_TOOLS),
        permission_mode="dontAsk",
        system_prompt={"type": "preset", "preset": "claude_code", "append": setup.system_prompt},
        mcp_servers=servers,
        strict_mcp_config=True,
        setting_sources=[],
        skills=[],
        hooks=matchers,
        include_partial_messages=True,
        max_buffer_size=MAX_LINE,
        verbatim_prompts=True,
        output_format={"type": "json_schema", "schema": dict(setup.schema)} if setup.schema else None,
        cli_path=_wrapper(run),
        env=_environment(run, setup),
        sandbox=_box(run, setup),
        stderr=stderr,
        **session,
    )


def bare_options(run: Run, setup: Setup, stderr: Callable[[str], None]) -> ClaudeAgentOptions:
    """The options of a model that is only asked: no tool but its answer, no hook, nothing of the project."""
    from claude_agent_sdk import ClaudeAgentOptions  # noqa: PLC0415

    return ClaudeAgentOptions(
        cwd=run.dir.root,
        model=setup.model,
        tools=[],
        permission_mode="dontAsk",
        system_prompt=setup.system_prompt,
        strict_mcp_config=True,
        setting_sources=[],
        skills=[],
        max_turns=3,
        include_partial_messages=True,
        max_buffer_size=MAX_LINE,
        verbatim_prompts=True,
        output_format={"type": "json_schema", "schema": dict(setup.schema or {})},
        cli_path=_wrapper(run),
        env=_environment(run, setup),
        stderr=stderr,
        session_id=setup.sdk_session,
    )


def _environment(run: Run, setup: Setup) -> dict[str, str]:
    tool_ms = int(run.config.timeouts.tool * 60_000)
    return {
        "LONGWATCH_CLI": str(bundled_cli()),
        processes.RUN_MARK: run.mark,
        processes.SESSION_MARK: setup.sdk_session,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
        "CLAUDE_CODE_RETRY_WATCHDOG": "1",
        "BASH_MAX_TIMEOUT_MS": str(tool_ms),
        # Without it the greatest timeout can't be less than the CLI's own.
        "BASH_DEFAULT_TIMEOUT_MS": str(min(tool_ms, BASH_MS)),
        "MCP_TIMEOUT": str(round(run.servers.within * 1000)),
        "MCP_TOOL_TIMEOUT": str(tool_ms),
        **durable(),
        **(sandbox.caches(sandbox.scratch(run.id)) if run.sandbox.on else {}),
    }


def _box(run: Run, setup: Setup) -> SandboxSettings | None:
    if not run.sandbox.on:
        return None
    scratch = sandbox.scratch(run.id)
    (scratch / "cache").mkdir(parents=True, exist_ok=True)
    settings: Any = sandbox.for_shell(run.sandbox, run.dir, scratch, setup.review)
    # More keys than its type has: the SDK hands all of them on.
    return cast("SandboxSettings", settings)


def _wrapper(run: Run) -> Path:
    if shutil.which("setsid") is None:
        return bundled_cli()
    path = run.dir.private / "cli.sh"
    if not path.exists() or path.read_text() != _WRAPPER:
        path.write_text(_WRAPPER)
        path.chmod(0o755)
    return path


def transcript(sdk_session: str) -> Path | None:
    """The CLI's own record of a session, or None when there is nothing to go on with."""
    found = cli_home().glob(f"projects/*/{sdk_session}.jsonl")
    return next((path for path in found if _has_conversation(path)), None)


def subagent_transcript(sdk_session: str, agent: str) -> Path | None:
    """The CLI's own record of what one of a session's subagents did."""
    return next(cli_home().glob(f"projects/*/{sdk_session}/subagents/agent-{agent}.jsonl"), None)


def _has_conversation(record: Path) -> bool:
    """Whether its first message was written down: before that there is nothing to resume."""
    with record.open("rb") as lines:
        return any(b'"type":"user"' in line and line.endswith(b"\n") for line in lines)

"""The rehearsal against the real SDK and the real CLI, and its player as a function."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk import (
    ClaudeAgentOptions,
    ClaudeSDKClient,
    CLIConnectionError,
    ProcessError,
    ResultMessage,
    SdkMcpTool,
    create_sdk_mcp_server,
)

from harness_core.errors import Mistake
from harness_core.rehearsal import Rehearsal, start

TOOLS = ["Bash", "Read", "Edit", "Write", "Grep", "Glob"]
VERDICT = {
    "type": "object",
    "properties": {
        "verdict": {"type": "string", "enum": ["PASS", "NEEDS_WORK"]},
        "scores": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "criterion": {"type": "string", "enum": ["functionality", "craft"]},
                    "score": {"type": "number", "minimum": 0, "maximum": 10},
                    "reason": {"type": "string"},
                },
                "required": ["criterion", "score", "reason"],
            },
        },
        "findings": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["verdict", "scores", "findings"],
    "additionalProperties": False,
}


@dataclass
class Stage:
    """A project directory, a server, and sessions of the real CLI between them."""

    project: Path
    config: Path
    server: Rehearsal
    claims: list[dict[str, Any]] = field(default_factory=list)

    def options(self, role: str, **more: Any) -> ClaudeAgentOptions:
        async def claim(given: dict[str, Any]) -> dict[str, Any]:
            self.claims.append(given)
            contract = self.contract()
            for feature in contract:
                if feature["id"] == given["feature"]:
                    feature["passes"] = True
            (self.project / "feature_list.json").write_text(json.dumps(contract))
            return {"content": [{"type": "text", "text": "Accepted."}]}

        schema = {
            "type": "object",
            "properties": {
                "feature": {"type": "string"},
                "evidence": {"type": "array", "items": {"type": "string"}},
                "note": {"type": "string"},
            },
        }
        tools = [SdkMcpTool("claim_feature", "Claim a feature.", schema, claim)]
        return ClaudeAgentOptions(
            cwd=self.project,
            model="claude-sonnet-4-5",
            setting_sources=[],
            strict_mcp_config=True,
            tools=TOOLS,
            allowed_tools=[*TOOLS, "mcp__longwatch"],
            mcp_servers={"longwatch": create_sdk_mcp_server("longwatch", tools=tools)},
            permission_mode="dontAsk",
            system_prompt=f"You build flags.\n# Role: {role}\n",
            verbatim_prompts=True,
            max_buffer_size=64 << 20,
            env={**self.server.env(), "CLAUDE_CONFIG_DIR": str(self.config)},
            **more,
        )

    def contract(self) -> list[dict[str, Any]]:
        read: list[dict[str, Any]] = json.loads((self.project / "feature_list.json").read_text())
        return read

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.project, check=True, capture_output=True, text=True
        )
        return done.stdout

    async def session(self, role: str, prompt: str = "Go.", **more: Any) -> ResultMessage:
        async with ClaudeSDKClient(self.options(role, **more)) as client:
            await client.query(prompt)
            return await result(client)


async def result(client: ClaudeSDKClient) -> ResultMessage:
    async for message in client.receive_response():
        if isinstance(message, ResultMessage):
            return message
    raise AssertionError("the session ended without a result")


Opener = Callable[..., Stage]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Opener]:
    servers: list[Rehearsal] = []

    def open_stage(scenario: str, **more: Any) -> Stage:
        project, config = tmp_path / "project", tmp_path / "config"
        project.mkdir()
        config.mkdir()
        servers.append(start(scenario, **more))
        made = Stage(project, config, servers[-1])
        made.git("init", "-q", "-b", "main")
        made.git("config", "user.name", "Rehearsal")
        made.git("config", "user.email", "rehearsal@localhost")
        return made

    yield open_stage
    for server in servers:
        server.close()


def test_tiny_builds_its_first_flag(stage: Opener) -> None:
    made = stage("tiny")

    async def run() -> None:
        await made.session("initializer", "Write exactly 4 features.")
        assert len(made.contract()) == 4
        done = await made.session("generator")
        assert not done.is_error, done
        assert (done.total_cost_usd or 0) > 0

    asyncio.run(run())
    assert made.claims == [
        {"feature": "F001", "evidence": ["screenshots/F001-flag.png"], "note": "The stripes are there."}
    ]
    assert [feature["passes"] for feature in made.contract()] == [True, False, False, False]
    assert (made.project / "screenshots/F001-flag.png").read_bytes().startswith(b"\x89PNG")
    assert made.git("log", "--format=%s").splitlines() == ["Draw F001", "Lay out the flags"]
    assert {seen.role for seen in made.server.requests} == {"initializer", "generator"}

"""The bare side of `tests.bench`: the same calls through the SDK as it is, without hooks or a journal."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, create_sdk_mcp_server, tool

from harness_core.agent.sdk import BUILDER_TOOLS
from harness_core.layout import RunDir
from harness_core.prompting import system_prompt


async def main(root: Path, sessions: int) -> None:
    contract = root / "feature_list.json"

    @tool("claim_feature", "Claim that a feature holds.", {"feature": str, "evidence": list, "note": str})
    async def claim(arguments: dict[str, Any]) -> dict[str, Any]:
        features = json.loads(contract.read_text())
        for feature in features:
            feature["passes"] |= feature["id"] == arguments["feature"]
        contract.write_text(json.dumps(features, indent=2))
        return {"content": [{"type": "text", "text": "claimed"}]}

    options = ClaudeAgentOptions(
        cwd=root,
        model="sonnet",
        tools=list(BUILDER_TOOLS),
        allowed_tools=[*BUILDER_TOOLS, "mcp__longwatch"],
        permission_mode="dontAsk",
        system_prompt={
            "type": "preset",
            "preset": "claude_code",
            "append": system_prompt(RunDir.at(root), "generator", sessions),
        },
        mcp_servers={"longwatch": create_sdk_mcp_server("longwatch", tools=[claim])},
        strict_mcp_config=True,
        setting_sources=[],
        skills=[],
        verbatim_prompts=True,
    )
    for number in range(sessions):
        async with ClaudeSDKClient(options) as client:
            await client.query(f"This is session {number + 1} of the build. Build the next feature.")
            async for message in client.receive_response():
                assert not getattr(message, "is_error", False), message


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))

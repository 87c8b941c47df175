"""A small MCP server on standard input and output: `echo`, `write_note`, `environment`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

TOOLS = {"echo": "text", "write_note": "path", "environment": "name"}


def answer(method: str, given: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        return {
            "protocolVersion": given["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "echo", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": [listed(name, key) for name, key in TOOLS.items()]}
    text = str(given["arguments"][TOOLS[given["name"]]])
    said = os.environ.get(text, "") or "nothing" if given["name"] == "environment" else f"heard {text}"
    return {"content": [{"type": "text", "text": said}]}


def listed(name: str, key: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]}
    return {"name": name, "description": f"Takes a {key}.", "inputSchema": schema}


for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked and "method" in asked:
        result = answer(asked["method"], asked.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)

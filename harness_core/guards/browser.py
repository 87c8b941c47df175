"""The browser guard: pages of this machine, and files where pictures belong.

It judges the tools of Playwright's MCP server, whose names begin with `browser_`, under any server's name.
The address rule is for Longwatch's own server, `browser`: that one's proxy refuses other addresses too, but
only here does the agent hear why.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from harness_core.guards import Denial, GuardContext, ToolCall, paths
from harness_core.guards.tools import bare, is_served
from harness_core.layout import EVIDENCE_DIR

GUARD = "browser"
OWN_PREFIX = "mcp__browser__"
PICTURES = (".png", ".jpg", ".jpeg")
_RUNS_CODE = re.compile(r"browser_run_code")
_EMPTY = "about:blank"


def is_browsers(tool: str) -> bool:
    """Whether this is a tool of Playwright's server."""
    return is_served(tool) and bare(tool).startswith("browser_")


def check(call: ToolCall, ctx: GuardContext) -> Denial | None:
    """Judge a browser's call. Other tools pass."""
    if not is_browsers(call.tool):
        return None
    problem = _code_problem(call) or _address_problem(call) or _file_problem(call, ctx)
    return Denial(GUARD, problem) if problem else None


def _code_problem(call: ToolCall) -> str | None:
    if _RUNS_CODE.match(bare(call.tool)):
        return (
            "This tool runs code outside of the page, which no guard sees. Use the page with the other "
            "browser tools; browser_evaluate runs code inside of it."
        )
    return None


def _address_problem(call: ToolCall) -> str | None:
    if not call.tool.startswith(OWN_PREFIX) or "url" not in call.input:
        return None
    url = call.input["url"]
    if isinstance(url, str) and (url in ("", _EMPTY) or is_loopback(url)):
        return None
    return (
        "The browser opens pages of this machine alone. Start the project with the `app` tool and open "
        "http://127.0.0.1:PORT, with the port that it tells."
    )


def is_loopback(url: str) -> bool:
    """Whether an address, with or without `http://`, is of this machine and needs no file of it."""
    text = url.strip()
    if "\\" in text or any(char.isspace() for char in text):
        return False
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host = (parts.hostname or "").rstrip(".")
        if parts.scheme not in ("http", "https") or not host:
            return False
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _file_problem(call: ToolCall, ctx: GuardContext) -> str | None:
    """A file name is where the tool writes; relative ones start at the run's root."""
    name = call.input.get("filename")
    if name in (None, ""):
        return None
    if not isinstance(name, str):
        return "The file name is no text. Give a path relative to the run's directory."
    try:
        problem = paths.write_problem(ctx.root, name, contract=True)
        if problem or not ctx.read_only:
            return problem
        target = paths.resolve(ctx.root, name)
    except paths.Unresolvable as error:
        return f"{error}. Give a path relative to the run's directory."
    picture = call.tool.endswith("_take_screenshot") and target.suffix.lower() in PICTURES
    if picture and target.parent == ctx.root / EVIDENCE_DIR and not target.exists():
        return None
    return (
        f"This role only reads: it may keep new pictures, as {PurePosixPath(EVIDENCE_DIR) / 'NAME.png'}, and "
        "writes no other file. Leave the file name away to have the answer here."
    )

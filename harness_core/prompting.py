"""What a role is told in all of its sessions: its page, a Markdown file, and the repository's guidance."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from string import Template

import msgspec

from harness_core.agent.mcp_servers import BROWSER
from harness_core.config import RunConfig, Switches
from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.machine.files import read_text
from harness_core.steps.handoff import archive_of

GUIDANCE_NAMES = ("CLAUDE.md", "AGENTS.md")
_GUIDANCE_LIMIT = 40_000
_PASSAGE = re.compile(r"<!-- with (?P<switch>\w+) -->\n(?P<text>.*?)<!-- end -->\n", re.S)
"""A part of a page that is there only with its switch on."""


def system_prompt(run: RunDir, role: str, page: str, config: RunConfig) -> str:
    """The page of a role with the run's names filled in, and the repository's own guidance under it.

    `.longwatch/prompts/<page>.md`, where the operator put one, replaces the page. Raises Mistake when
    that page lacks its role line.
    """
    names = {
        "spec": run.spec.name,
        "contract": run.contract.name,
        "notes": run.notes.name,
        "archive": archive_of(run.notes).name,
        "features": str(config.features),
    }
    return Template(_switched(page_text(run, role, page), config.switches)).safe_substitute(
        names
    ) + _guidance(run)


def generator_page(config: RunConfig, *, frozen: bool) -> str:
    """The page of who builds; `frozen`: there is a contract of features."""
    if not frozen:
        return "generator-design" if config.switches.max_iterations else "generator-solo"
    if config.mode == "bugfix":
        return "generator-bugfix"
    return "generator-continuous" if config.switches.context == "continuous" else "generator"


def evaluator_page(config: RunConfig) -> str:
    """The page of who judges work."""
    return "evaluator-design" if config.switches.max_iterations else "evaluator"


def initializer_page(config: RunConfig) -> str:
    """The page of who makes the contract."""
    return "initializer" if config.mode == "build" else f"initializer-{config.mode}"


def override_of(run: RunDir, page: str) -> Path:
    """Where the operator's version of a page lies, if there is one."""
    return run.private / "prompts" / f"{page}.md"


def page_text(run: RunDir, role: str, page: str) -> str:
    """A role's page as it is written: the operator's own where there is one. Raises Mistake for one without
    its role line."""
    override = override_of(run, page)
    text = read_text(override)
    if text is None:
        text = resources.files("prompts").joinpath(f"{page}.md").read_text(encoding="utf-8")
    if f"# Role: {role}" not in text.splitlines():
        raise Mistake(f"{override} needs the line `# Role: {role}`: add it as the first line")
    return text


def _switched(text: str, switches: Switches) -> str:
    """The page without the passages whose switch is off."""
    values = msgspec.structs.asdict(switches)
    return _PASSAGE.sub(lambda found: found["text"] if values.get(found["switch"]) else "", text)


def _guidance(run: RunDir) -> str:
    parts = []
    for name in GUIDANCE_NAMES:
        text = read_text(run.root / name, _GUIDANCE_LIMIT)
        if text and text.strip():
            parts.append(f"\n\n## The repository's own guidance ({name})\n\n{text.strip()}\n")
    return "".join(parts)


def not_there(name: str, why: str) -> str:
    """What a session's first message says of a server that the role should have and that isn't there."""
    if name == BROWSER:
        return f"No browser is available: {why}. Where a page matters, say what you could not see."
    return f"The tools mcp__{name}__* are not available: {why}. Do without them."


def boxed_in(on: bool, review: Path | None) -> str:
    """What a role's page says of the sandbox that its shell is in; nothing where it is in none."""
    if not on:
        return ""
    lines = _BOXED if review is None else (*_BOXED, *_REVIEWING)
    return "\n\n## Your shell's sandbox\n\n" + "\n".join(f"- {line}" for line in lines).replace(
        "@CLONE@", str(review)
    )


_BOXED = (
    "A command's processes end with the command. What has to stay up, start with the `app` tool; your shell "
    "reaches it at 127.0.0.1, on the port that it listens on.",
    "Temporary files go into `$TMPDIR`; `/tmp` itself can't be written.",
    "The network is this machine and the usual package registries, nothing else.",
)
_REVIEWING = (
    "This is your shell. It stands in @CLONE@, a clone of the commit under review that is thrown away: "
    "build, test, change what you like there. What isn't committed isn't in it, dependencies neither. The "
    "project itself is closed for writing; Read, Grep, Glob and the app work there as before.",
)

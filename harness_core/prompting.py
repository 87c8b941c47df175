"""What each role is told: the system prompt from its Markdown file, and the first message of a session."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from string import Template

from harness_core.contract import Feature
from harness_core.errors import Mistake
from harness_core.files import read_text
from harness_core.layout import RunDir

GUIDANCE_NAMES = ("CLAUDE.md", "AGENTS.md")
_GUIDANCE_LIMIT = 40_000
CONTINUE = (
    "You were interrupted and the session goes on now. Look at what is really there (git status, the files, "
    "the contract) before you repeat anything: the outcome of the call that was cut off is unknown. "
    "Then carry on with the same task."
)


def system_prompt(run: RunDir, role: str, features: int) -> str:
    """The role's page with the run's names filled in, and the repository's own guidance under it.

    `.longwatch/prompts/<role>.md`, where the operator put one, replaces the page. Raises Mistake when
    that page lacks its role line.
    """
    override = run.private / "prompts" / f"{role}.md"
    page = read_text(override)
    if page is None:
        page = resources.files("prompts").joinpath(f"{role}.md").read_text(encoding="utf-8")
    if f"# Role: {role}" not in page.splitlines():
        raise Mistake(f"{override} needs the line `# Role: {role}`: add it as the first line")
    names = {"spec": run.spec.name, "contract": run.contract.name, "features": str(features)}
    return Template(page).safe_substitute(names) + _guidance(run)


def _guidance(run: RunDir) -> str:
    parts = []
    for name in GUIDANCE_NAMES:
        text = read_text(run.root / name, _GUIDANCE_LIMIT)
        if text and text.strip():
            parts.append(f"\n\n## The repository's own guidance ({name})\n\n{text.strip()}\n")
    return "".join(parts)


def initializer_task(run: RunDir, features: int) -> str:
    """The first message of the initializer."""
    return (
        f"The specification is in {run.spec.name}. Prepare the build: write {run.contract.name} with exactly "
        f"{features} features, then init.sh, the scaffold and PROGRESS.md, and commit."
    )


def sent_back(what: str) -> str:
    """What an agent hears whose work can't be taken as it is; `what` is a sentence."""
    return f"This can't be taken as it is: {what} Mend it, look at it once more, and finish."


def generator_task(
    number: int, feature: Feature | None, findings: str, attempts: int, skipped: Sequence[str]
) -> str:
    """The first message of a generator session."""
    parts = [f"This is session {number} of the build."]
    if feature is not None:
        text = {"id": feature.id, "category": feature.category, "description": feature.description}
        steps = json.dumps(list(feature.steps), ensure_ascii=False)
        parts.append(
            f"Your feature is {feature.id}: {json.dumps(text, ensure_ascii=False)}, with the steps {steps}."
        )
        parts.append("Claim it under exactly that id.")
    else:
        parts.append("All features pass, but the operator sent the work back: see below and findings.md.")
    if attempts:
        parts.append(
            f"{attempts} session{'s' if attempts > 1 else ''} before you worked on it without an accepted "
            "claim: read in PROGRESS.md what was tried, and go another way."
        )
    if findings:
        parts.append(f"These findings are open; they come first:\n\n{findings}")
    if skipped:
        parts.append(f"Given up for now: {', '.join(skipped)}.")
    return "\n\n".join(parts)


def evaluator_task(
    run: RunDir, features: Sequence[Feature], commit: str | None, evidence: Sequence[str]
) -> str:
    """The first message of an evaluator session: the scope that the engine set."""
    listed = "\n".join(
        json.dumps(
            {"id": item.id, "description": item.description, "steps": list(item.steps)}, ensure_ascii=False
        )
        for item in features
    )
    shown = "\n".join(f"- {path}" for path in evidence) or "- none"
    return (
        f"Judge these features as they are at commit {commit or '(none yet)'}:\n\n{listed}\n\n"
        f"The evidence that the claim rests on:\n{shown}\n\nThe specification is {run.spec.name}."
    )


def findings_page(findings: Sequence[tuple[str | None, str, str, str, str]]) -> str:
    """`findings.md`: (feature, criterion, where, how to reproduce, severity) of each finding."""
    if not findings:
        return "# Findings\n\nNone are open.\n"
    lines = [
        "# Findings",
        "",
        "What the evaluator found. Mend these first; then claim the feature again.",
        "",
    ]
    for feature, criterion, where, reproduce, severity in findings:
        lines.append(f"## {feature or 'The whole'}: {criterion} ({severity})")
        lines.extend(["", f"- Where: {where}", f"- To see it: {reproduce}", ""])
    return "\n".join(lines)

"""Rules for the subcommands of git that talk to other repositories: only with the remotes that are there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from harness_core.guards import GuardContext
from harness_core.guards.shell_git_options import Call
from harness_core.guards.shell_git_paths import targets_problem
from harness_core.guards.shell_git_tables import HISTORY, NETWORK
from harness_core.guards.shell_words import is_exact, shown


def fetch_problem(call: Call, ctx: GuardContext) -> str | None:
    """Why a fetch may not run, or None."""
    problem = _foreign(call.words if "multiple" in call.options else call.words[:1], ctx)
    if problem:
        return problem
    refs = call.words[1:]
    if any(word.startswith("+") or (":" in word and "prune" in call.options) for word in refs):
        return f"`git {call.name}` that drops what is here: {HISTORY}"
    return None


def pull_problem(call: Call, ctx: GuardContext) -> str | None:
    """Why a pull may not run, or None."""
    if any(value not in ("false", "no", "off", "0") for value in call.options.get("rebase", ())):
        return f"`git pull --rebase`: {HISTORY}"
    return fetch_problem(call, ctx)


def asking_problem(call: Call, ctx: GuardContext) -> str | None:
    """Why git may not ask another repository what it has, or None."""
    return _foreign(call.words if call.name == "remote show" else call.words[:1], ctx)


def push_problem(call: Call, ctx: GuardContext) -> str | None:
    """Why a push may not run, or None."""
    if any(word.startswith((":", "+")) for word in call.words[1:]):
        return f"a forced or deleting push: {HISTORY}"
    for remote in call.words[:1] or call.options.get("repo") or ["origin"]:
        if remote not in ctx.git_remotes:
            return (
                f"pushing to {shown(remote)!r}: the operator hasn't opened that remote. Commit; "
                "the operator publishes."
            )
    return None


def clone_problem(call: Call, ctx: GuardContext) -> str | None:
    """Why a clone may not be made, or None."""
    if not call.words:
        return None
    source, *folder = call.words
    if (_is_url(source) or not is_exact(source)) and source not in ctx.git_remotes:
        return f"cloning {shown(source)}: {NETWORK}"
    return targets_problem(folder or [_own_name(source)], call.cwds, ctx)


def submodule_problem(call: Call, ctx: GuardContext) -> str | None:
    """Why a submodule may not come from or lie there, or None."""
    if any(_is_url(word) and word not in ctx.git_remotes for word in call.words):
        return f"`git {call.name}`: {NETWORK}"
    if call.name == "submodule set-url" or not call.words:
        return None
    return targets_problem(call.words[1:] or [_own_name(call.words[0])], call.cwds, ctx)


def _own_name(source: str) -> str:
    """Where git puts a clone that gets no folder."""
    return Path(source).name.removesuffix(".git")


def _is_url(word: str) -> bool:
    """To git, a colon before the first slash ends the name of a host."""
    return "://" in word or ":" in word.partition("/")[0]


def _foreign(words: Iterable[str], ctx: GuardContext) -> str | None:
    """Why git may not talk to one of these, or None."""
    for word in words:
        if not re.fullmatch(r"[\w-]+", word) and word not in ctx.git_remotes:
            return f"`{shown(word)}`: {NETWORK}"
    return None

"""Git's settings: many of them make it run a program, so only known ones may be set."""

from __future__ import annotations

from collections.abc import Mapping

from harness_core.guards import GuardContext
from harness_core.guards.patterns import lazy
from harness_core.guards.shell_git_options import Call
from harness_core.guards.shell_git_paths import targets_problem
from harness_core.guards.shell_words import is_exact, name_set, shown

SAFE_KEYS = lazy(
    r"(?i)(user|author|committer|color|advice|column|log|status|feature)\..*|init\.defaultbranch"
    r"|branch\.(autosetupmerge|sort|.*\.(merge|description))|push\.(default|autosetupremote)|pull\.ff"
    r"|merge\.(ff|conflictstyle|renamelimit)|diff\.(renames|renamelimit|algorithm|context|colormoved|noprefix"
    r"|mnemonicprefix)|fetch\.prune|core\.(autocrlf|eol|safecrlf|quotepath|filemode|ignorecase|longpaths|abbrev"
    r"|whitespace|precomposeunicode)|commit\.(gpgsign|verbose)|tag\.gpgsign|gc\.auto|http\.postbuffer"
    r"|safe\.directory|help\.autocorrect"
)
SAFE_VALUES: Mapping[str, frozenset[str]] = {
    "core.pager": frozenset({"cat", "less", "", "more", "less -R", "less -FRX", "true"}),
    "pull.rebase": name_set("false no off 0"),
}
"""Settings of which only some values are safe."""
GETTERS = name_set("get get-all get-regexp get-urlmatch get-color get-colorbool list")
GETTING = GETTERS | name_set(
    "global system local worktree file blob type default value url name-only show-names show-origin "
    "show-scope null includes no-includes fixed-value all regexp bool int bool-or-int bool-or-str path "
    "expiry-date"
)
"""The options of a `git config` that only reads."""


def setting_problem(key: str, value: str) -> str | None:
    """Why a setting may not get this value, or None."""
    if is_exact(key) and (SAFE_KEYS.fullmatch(key) or value in SAFE_VALUES.get(key.lower(), ())):
        return None
    return "settings like this can make git run a program or drop work. Leave it out."


def only_reads_config(call: Call) -> bool:
    """Whether a `git config` without a verb only tells what is set."""
    options = call.options.keys()
    return options <= GETTING and (not options.isdisjoint(GETTERS) or len(call.words) == 1)


def config_problem(call: Call, ctx: GuardContext) -> str | None:
    """Why a `git config` may not write, or None."""
    options = call.options.keys()
    if call.name == "config" and only_reads_config(call):
        return None
    if not options.isdisjoint({"global", "system"}):
        return "`git config --global` writes outside the run. Set it for this repository, without --global."
    key, value = (*call.words, "", "")[:2]
    problem = setting_problem(key, value)
    if problem:
        return f"`git config {shown(key)}`: {problem}"
    return targets_problem(call.options.get("file", ()), call.cwds, ctx)

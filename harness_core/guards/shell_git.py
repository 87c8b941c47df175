"""Rules for git: nothing that rewrites or drops history, discards work, or runs programs by configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from harness_core.guards import GuardContext
from harness_core.guards.shell_git_options import Call, read
from harness_core.guards.shell_git_paths import (
    exists,
    main_is_free,
    paths,
    paths_problem,
    takes_in_all,
    targets_problem,
)
from harness_core.guards.shell_git_remotes import (
    asking_problem,
    clone_problem,
    fetch_problem,
    pull_problem,
    push_problem,
    submodule_problem,
)
from harness_core.guards.shell_git_settings import config_problem, only_reads_config, setting_problem
from harness_core.guards.shell_git_tables import (
    CHANGES,
    DISCARD,
    ELSEWHERE,
    EXECUTES,
    EXECUTING,
    HISTORY,
    LISTED,
    LISTS,
    OUTPUTS,
    OWN_OPTIONS,
    READS,
    REFUSED,
    REFUSED_OPTIONS,
)
from harness_core.guards.shell_script import Command
from harness_core.guards.shell_words import ANY, QUERY, STAR, is_exact, shown

Rule = Callable[[Call, GuardContext], str | None]


def git_problem(command: Command, ctx: GuardContext) -> str | None:
    """Why a git command may not run, or None."""
    args = list(command.argv[1:])
    cwds = command.cwds
    while args and args[0].startswith("-"):
        word = args.pop(0)
        if word == "-C" and args:
            folder = args.pop(0)
            cwds = tuple((cwd / folder).resolve() if cwd and is_exact(folder) else None for cwd in cwds)
        elif word == "-c" and args:
            key, equals, value = args.pop(0).partition("=")
            problem = setting_problem(key, value if equals else "true")
            if problem:
                return f"`git -c {shown(key)}`: {problem}"
        elif word in ("--version", "--help", "-v", "-h"):
            return None
        elif word not in OWN_OPTIONS:
            if word.partition("=")[0] in ELSEWHERE:
                return f"`git {shown(word)}` points git at another place. Use `git -C FOLDER`."
            return f"`git {shown(word)}` isn't an option known here. Leave it out."
    if not args:
        return None
    if not is_exact(args[0]):
        return "which git command it is isn't known before it runs. Write it out."
    return _problem(read(args[0], args[1:], cwds), ctx)


def _problem(call: Call, ctx: GuardContext) -> str | None:
    name = call.name
    if name in REFUSED and not _harmless(call, ctx):
        return f"`git {shown(name)}`: {REFUSED[name]}"
    if name not in READS and name not in CHANGES and name not in REFUSED:
        return (
            f"`git {shown(name)}` isn't a git command known here; an alias could run anything. Use "
            "the command itself."
        )
    if ctx.read_only and not _only_reads(call):
        return (
            f"`git {name}` changes the repository, and this role only reads. Use git log, "
            "show, diff or status."
        )
    refused = REFUSED_OPTIONS.get(name, {})
    for option in call.options:
        reason = refused.get(option) or (EXECUTES if option in EXECUTING else None)
        if reason and not _names_trunk(call):
            return f"`git {name} {'-' if len(option) == 1 else '--'}{option}`: {reason}"
    rule = RULES.get(name)
    problem = rule(call, ctx) if rule else None
    return problem or _outputs(call, ctx)


def _harmless(call: Call, ctx: GuardContext) -> bool:
    """Whether a refused subcommand only tells something, or takes back what was begun."""
    options = call.options.keys()
    if options in ({"h"}, {"help"}):
        return not call.words
    if call.name == "clean":
        telling = {"dry-run", "force", "quiet", "d", "x", "X", "exclude"}
        return "dry-run" in options and options <= telling and all(map(is_exact, call.operands))
    begun = options in ({"abort"}, {"quit"}) and not call.words
    return call.name == "rebase" and begun and not ctx.read_only


def _only_reads(call: Call) -> bool:
    options = call.options.keys()
    if call.name == "config":
        return only_reads_config(call)
    lists = LISTS.get(call.name)
    if lists:
        return options <= lists | LISTED and (not call.words or not options.isdisjoint(lists))
    return call.name in READS and "output" not in options


def _outputs(call: Call, ctx: GuardContext) -> str | None:
    values = (value for option in OUTPUTS for value in call.options.get(option, ()) if value)
    return targets_problem(values, call.cwds, ctx)


# -- single subcommands ------------------------------------------------------------------------------


def _names_trunk(call: Call) -> bool:
    """Whether the first branch gets the name that everyone expects."""
    return (call.name, [*call.options], call.words) == ("branch", ["M"], ["main"]) and main_is_free(call.cwds)


def _commit(call: Call, ctx: GuardContext) -> str | None:
    if any(value.startswith(("amend:", "reword:")) for value in call.options.get("fixup", ())):
        return f"`git commit --fixup`: {HISTORY}"
    return None


def _reset(call: Call, ctx: GuardContext) -> str | None:
    """Without files, it moves the branch to a commit."""
    more = [word for word in (*call.operands[1:], *(call.paths or ())) if word.strip(ANY)]
    if more or not call.operands or {"patch", "pathspec-from-file"} & call.options.keys():
        return None
    word = call.operands[0]
    expands = ANY not in word and (STAR in word or QUERY in word)
    if word in ("HEAD", "@") or (call.paths is None and (expands or exists(word, call.cwds))):
        return None
    return f"`git reset {shown(word)}`: {HISTORY} If you mean a file, write `git reset -- FILE`."


def _checkout(call: Call, ctx: GuardContext) -> str | None:
    if "b" in call.options:
        return None
    seen = [word for word in call.operands if _is_path(word, call)]
    return _overwrites(call, seen if call.paths is None else call.paths, ctx)


def _is_path(word: str, call: Call) -> bool:
    return (
        "." in word
        or word.startswith(":")
        or not is_exact(word)
        or any(cwd is None or (cwd / word).exists() for cwd in call.cwds)
    )


def _restore(call: Call, ctx: GuardContext) -> str | None:
    if "staged" in call.options and "worktree" not in call.options:
        return None
    return _overwrites(call, call.words, ctx)


def _overwrites(call: Call, named: Sequence[str], ctx: GuardContext) -> str | None:
    if "patch" in call.options and not named:
        return f"`git {call.name} --patch`: {DISCARD}"
    if any(takes_in_all(path) for path, _ in paths(named, call.cwds)):
        return f"`git {call.name} {shown(' '.join(named))}`: {DISCARD}"
    problem = paths_problem(named, call.cwds, ctx)
    return f"`git {call.name}` would overwrite a file: {problem}" if problem else None


def _stash(call: Call, ctx: GuardContext) -> str | None:
    return paths_problem(call.words, call.cwds, ctx, whole=False)


def _remove(call: Call, ctx: GuardContext) -> str | None:
    return paths_problem(call.words, call.cwds, ctx)


def _move(call: Call, ctx: GuardContext) -> str | None:
    words = call.words
    problem = targets_problem(words, call.cwds, ctx)
    if problem and words[-1] in (".", "./"):
        landing = [word.rstrip("/").rpartition("/")[2] for word in words[:-1]]
        return targets_problem([*words[:-1], *landing], call.cwds, ctx)
    return problem


def _add(call: Call, ctx: GuardContext) -> str | None:
    if "force" not in call.options:
        return None
    named = [*paths(call.words, call.cwds)]
    closed = (
        takes_in_all(path)
        or not is_exact(path)
        or re.search(r"(?i)(^|/)(\.longwatch|STEER|AGENT_)", path)
        or any(cwd is None or ctx.root.is_relative_to((cwd / path).resolve()) for cwd in places)
        for path, places in named
    )
    if not named or any(closed):
        return (
            "`git add -f`: control files are never committed. Add your own files without -f, or name each of "
            "them."
        )
    return None


def _first(call: Call, ctx: GuardContext) -> str | None:
    return targets_problem(call.words[:1], call.cwds, ctx)


def _every(call: Call, ctx: GuardContext) -> str | None:
    return targets_problem(call.words, call.cwds, ctx)


def _trailers(call: Call, ctx: GuardContext) -> str | None:
    return targets_problem(call.words, call.cwds, ctx) if "in-place" in call.options else None


def _init(call: Call, ctx: GuardContext) -> str | None:
    folders = [word for word in call.words if word not in (".", "./")]
    return targets_problem(folders, call.cwds, ctx, whole=False)


RULES: Mapping[str, Rule] = {
    "add": _add,
    "bundle create": _first,
    "checkout": _checkout,
    "clone": clone_problem,
    "commit": _commit,
    **dict.fromkeys(("config", "config set", "config unset", "config remove-section"), config_problem),
    "fetch": fetch_problem,
    "init": _init,
    "interpret-trailers": _trailers,
    **dict.fromkeys(("ls-remote", "remote show"), asking_problem),
    "mailinfo": _every,
    "mv": _move,
    "pull": pull_problem,
    "push": push_problem,
    "reset": _reset,
    "restore": _restore,
    "rm": _remove,
    "stash push": _stash,
    **dict.fromkeys(("submodule add", "submodule set-url"), submodule_problem),
    "worktree add": _first,
    **dict.fromkeys(("worktree move", "worktree repair"), _every),
}

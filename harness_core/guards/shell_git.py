"""Rules for git: nothing that rewrites or drops history, discards work, or runs programs by configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from harness_core.guards import GuardContext
from harness_core.guards.patterns import lazy
from harness_core.guards.shell_script import Command, Cwds
from harness_core.guards.shell_targets import target_problem
from harness_core.guards.shell_words import ANY, is_exact, name_set, shown
from harness_core.guards.shell_writes import split_options

Args = list[str]
Rule = Callable[[Args, Cwds, GuardContext], str | None]

HISTORY = (
    "it rewrites or drops history, which is the run's record. Make a new commit, or `git revert` an old one."
)
DISCARD = "it throws away uncommitted work wholesale. Name the files that you mean, or commit first."
EXECUTES = "it makes git run another program. Run that program plainly instead."
PLUMBING = "it changes the repository under git's own commands. Use add, commit, switch or merge."
NETWORK = "it talks to a host that the operator hasn't configured. Work with the remotes that are there."

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        name_set("rebase filter-branch filter-repo gc prune repack replace reflog-expire update-ref"), HISTORY
    ),
    **dict.fromkeys(
        name_set("read-tree checkout-index commit-tree write-tree fast-import symbolic-ref mktree"),
        PLUMBING,
    ),
    **dict.fromkeys(
        name_set("pack-refs prune-packed unpack-objects index-pack rerere update-server-info"), PLUMBING
    ),
    **dict.fromkeys(
        name_set("daemon send-email request-pull instaweb http-backend svn p4 cvsserver imap-send"), NETWORK
    ),
    **dict.fromkeys(
        name_set("credential credential-store credential-cache"), "it handles credentials. Ask the operator."
    ),
    **dict.fromkeys(name_set("difftool mergetool citool gui gitk web--browse"), EXECUTES),
    "clean": DISCARD,
}
HARMLESS_FORMS: Mapping[str, frozenset[str]] = {
    "clean": name_set("-n --dry-run"),
    "rebase": name_set("--abort --quit"),
    "worktree": name_set("--dry-run"),
}
"""Options that make a refused subcommand only tell, or take itself back."""
READS = name_set(
    "status log diff show blame annotate grep ls-files ls-tree ls-remote rev-parse rev-list describe shortlog"
    " cat-file name-rev merge-base for-each-ref show-ref show-branch whatchanged "
    "diff-tree diff-index diff-files"
    " check-ignore check-attr count-objects fsck version help var range-diff cherry "
    "verify-commit reflog stripspace hash-object"
)
CHANGES = name_set(
    "add commit init clone checkout switch restore reset branch tag merge stash "
    "cherry-pick revert rm mv fetch pull push"
    " remote config apply am format-patch archive bundle worktree submodule bisect notes "
    "sparse-checkout update-index"
    " maintenance lfs mailinfo interpret-trailers"
)
READING_FORMS: Mapping[str, frozenset[str]] = {
    "branch": frozenset(
        {"-a", "-r", "-v", "-vv", "--list", "--show-current", "--all", "--contains", "--merged"}
    ),
    "tag": frozenset({"-l", "--list", "-n", "--contains"}),
    "remote": frozenset({"-v", "show", "get-url"}),
    "stash": frozenset({"list", "show"}),
    "worktree": frozenset({"list"}),
    "config": frozenset({"--get", "--list", "-l", "--get-all", "list", "get"}),
}
"""Subcommands that only read when they are bare or begin with one of these."""

SAFE_KEYS = lazy(
    r"(?i)(user|author|committer|color|advice|column|log|status|init\.defaultbranch|branch"
    r"|push\.default|push\.autosetupremote"
    r"|pull\.(ff|rebase)|merge\.(ff|conflictstyle|renamelimit)|diff\.(renames|renamelimit"
    r"|algorithm|context|colormoved|noprefix|mnemonicprefix)"
    r"|fetch\.prune|core\.(autocrlf|eol|safecrlf|quotepath|filemode|ignorecase|longpaths"
    r"|abbrev|whitespace|precomposeunicode)"
    r"|commit\.(gpgsign|verbose)|tag\.gpgsign|gc\.auto|http\.postbuffer|safe\.directory"
    r"|feature\..*|help\.autocorrect)(\..*)?"
)
HARMLESS_PAGERS = frozenset({"cat", "less", "", "more", "less -R", "less -FRX", "true"})
EXECUTING = name_set("--open-files-in-pager --ext-diff --upload-pack --receive-pack --exec --template")
OTHER_COMMIT = lazy(rf"[~^@]|^[0-9a-f]{{7,40}}$|^ORIG_HEAD|^origin/|{ANY}")
ROOT_PATHSPECS = frozenset({".", "./", ":/", ":", "*", ":/*", "./*", "..", ":(top)", ":/."})


def git_problem(command: Command, ctx: GuardContext) -> str | None:
    """Why a git command may not run, or None."""
    args = list(command.argv[1:])
    cwds = command.cwds
    while args and args[0].startswith("-"):
        word = args.pop(0)
        name, equals, _ = word.partition("=")
        if word == "-C" and args:
            folder = args.pop(0)
            cwds = tuple((cwd / folder).resolve() if cwd and is_exact(folder) else None for cwd in cwds)
        elif word == "-c" and args:
            problem = _setting(args.pop(0))
            if problem:
                return problem
        elif name in (
            "--git-dir",
            "--work-tree",
            "--exec-path",
            "--config-env",
            "--namespace",
            "--super-prefix",
        ):
            if name != "--exec-path" or equals:
                return f"`git {name}` points git at another place. Use `git -C FOLDER`."
        elif not is_exact(word):
            return "the options of git aren't known before it runs. Write them out."
        elif word in ("--version", "--help", "-v", "-h"):
            return None
    if not args:
        return None
    name, rest = args[0], args[1:]
    if not is_exact(name):
        return "which git command it is isn't known before it runs. Write it out."
    return _subcommand(name, rest, cwds, ctx)


def _subcommand(name: str, rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    if _flags(rest, *HARMLESS_FORMS.get(name, ())):
        return None
    if name in REFUSED:
        return f"`git {name}`: {REFUSED[name]}"
    if name not in READS and name not in CHANGES:
        return (
            f"`git {name}` isn't a git command known here; an alias could run anything. Use "
            "the command itself."
        )
    if ctx.read_only and not _only_reads(name, rest):
        return (
            f"`git {name}` changes the repository, and this role only reads. Use git log, "
            "show, diff or status."
        )
    for word in rest:
        if _means(word, EXECUTING):
            return f"`git {name} {shown(word)}`: {EXECUTES}"
    rule = RULES.get(name)
    problem = rule(rest, cwds, ctx) if rule else None
    return problem or _outputs(name, rest, cwds, ctx)


def _only_reads(name: str, rest: Args) -> bool:
    if name in READS:
        return not any(word.startswith("--output") for word in rest)
    forms = READING_FORMS.get(name)
    return forms is not None and (
        (not rest and name not in ("stash", "config")) or (bool(rest) and rest[0] in forms)
    )


def _setting(text: str) -> str | None:
    key, _, value = text.partition("=")
    if not is_exact(key) or not (
        SAFE_KEYS.fullmatch(key) or (key == "core.pager" and value in HARMLESS_PAGERS)
    ):
        return f"`git -c {shown(key)}`: settings like this can make git run a program. Leave it out."
    return None


def _outputs(name: str, rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    for index, word in enumerate(rest):
        option, equals, value = word.partition("=")
        if option in ("--output", "--output-directory") or (
            word == "-o" and name in ("archive", "format-patch", "bundle")
        ):
            value = value if equals else rest[index + 1] if index + 1 < len(rest) else ""
            problem = target_problem(value, cwds, ctx.root) if value else None
            if problem:
                return problem
    return None


def _targets(words: Iterator[str] | Args, cwds: Cwds, ctx: GuardContext, whole: bool = True) -> str | None:
    for word in words:
        problem = target_problem(word, cwds, ctx.root, whole=whole)
        if problem:
            return problem
    return None


def _means(word: str, names: Iterable[str]) -> bool:
    """Whether an option is one of these. Git takes a long option's beginning for the whole."""
    option = word.partition("=")[0]
    return option in names or (
        len(option) > 2 and option[:2] == "--" and any(name.startswith(option) for name in names)
    )


def _flags(rest: Args, *names: str) -> bool:
    letters = {name[1] for name in names if re.fullmatch(r"-\w", name)}
    for word in rest:
        if word == "--":
            return False
        if _means(word, names):
            return True
        if re.fullmatch(r"-[A-Za-z]+", word) and letters & set(word[1:]):
            return True
    return False


def _commit(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    index = 0
    while index < len(rest):
        word = rest[index]
        if word == "--":
            break
        if word.startswith("--am") or re.match(r"--fixup=(amend|reword)", word):
            return f"`git commit {word}`: {HISTORY}"
        index += (
            2 if word in ("-m", "-F", "--message", "--file", "-C", "-c", "--author", "--date", "-t") else 1
        )
    return None


def _branch(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    deletes = _flags(rest, "-d", "--delete")
    if _flags(rest, "-D", "-M", "-C", "-f", "--force") and (deletes or not _flags(rest, "-a", "--list")):
        if _flags(rest, "-M") and [word for word in rest if not word.startswith("-")] == ["main"]:
            return None
        return f"`git branch {' '.join(map(shown, rest))}`: {HISTORY}"
    return None


def _reset(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    if _flags(rest, "--hard", "--merge", "--keep"):
        return f"`git reset {shown(rest[0])}`: {DISCARD}"
    operands = [word for word in rest if not word.startswith("-")]
    if "--" not in rest and len(operands) == 1 and OTHER_COMMIT.search(operands[0]):
        return f"`git reset {shown(operands[0])}`: {HISTORY}"
    if _flags(rest, "--soft") and operands and operands != ["HEAD"]:
        return f"`git reset --soft`: {HISTORY}"
    return None


def _checkout(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    if _flags(rest, "-f", "--force", "--discard-changes"):
        return f"`git checkout {shown(rest[0])}`: {DISCARD}"
    if _flags(rest, "-B", "-C", "--force-create", "--orphan"):
        return f"`git checkout {shown(rest[0])}`: {HISTORY}"
    return _pathspecs(rest, cwds, ctx, "checkout")


def _restore(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    if _flags(rest, "-S", "--staged") and not _flags(rest, "-W", "--worktree"):
        return None
    return _pathspecs(rest, cwds, ctx, "restore")


def _pathspecs(rest: Args, cwds: Cwds, ctx: GuardContext, name: str) -> str | None:
    """The files that checkout or restore overwrite: what follows `--`, or looks like a path."""
    explicit = "--" in rest
    paths = rest[rest.index("--") + 1 :] if explicit else [word for word in rest if not word.startswith("-")]
    creates = not explicit and _flags(rest, "-b", "-c", "-t", "--track")
    if creates:
        return None
    for word in paths:
        if word in ROOT_PATHSPECS or not word.strip(ANY):
            return f"`git {name} {shown(word)}`: {DISCARD}"
        named = _spread(word.removeprefix(":/").removeprefix(":(top)"))
        if not explicit and name == "checkout" and not _is_path(named, cwds):
            continue
        problem = target_problem(named, cwds, ctx.root, whole=True)
        if problem:
            return f"`git {name}` would overwrite a file: {problem}"
    return None


def _is_path(word: str, cwds: Cwds) -> bool:
    return "." in word or not is_exact(word) or any(cwd is None or (cwd / word).exists() for cwd in cwds)


def _stash(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    if rest and rest[0] in ("drop", "clear", "create", "store", "branch"):
        return (
            f"`git stash {rest[0]}`: it drops or moves work that was put aside. Use `git stash "
            "pop` or `apply`."
        )
    if _flags(rest, "-a", "--all"):
        return f"`git stash --all`: {DISCARD}"
    if rest[:1] == ["push"]:
        _, operands = split_options(rest[1:], "-m --message")
        return _targets(map(_spread, operands), cwds, ctx, whole=False)
    return None


def _spread(word: str) -> str:
    """A pathspec: git itself expands wildcards that the shell leaves alone, through all folders."""
    return re.sub(r"[*?]|\[[^\]]*\]", ANY, word)


def _tag(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    if _flags(rest, "-d", "--delete", "-f", "--force"):
        return f"`git tag {shown(rest[0])}`: {HISTORY}"
    return None


def _remove(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    _, operands = split_options(rest)
    named = (_spread(word.removeprefix(":/")) or "." for word in operands)
    return _targets(named, cwds, ctx)


def _move(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    _, operands = split_options(rest)
    problem = _targets(operands, cwds, ctx)
    if problem and operands and operands[-1] in (".", "./"):
        landing = [word.rstrip("/").rpartition("/")[2] for word in operands[:-1]]
        return _targets([*operands[:-1], *landing], cwds, ctx)
    return problem


def _is_url(word: str) -> bool:
    return bool(re.search(r"://|::|^[\w.-]+@|^[\w.-]+:[^\\]", word))


def _fetch(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    operands = [word for word in rest if not word.startswith("-")]
    if (
        operands
        and operands[0] not in ctx.git_remotes
        and (_is_url(operands[0]) or not re.fullmatch(r"[\w-]+", operands[0]))
    ):
        return f"`{shown(operands[0])}`: {NETWORK}"
    if _flags(rest, "-f", "--force") or any(word.startswith("+") for word in operands):
        return f"a forced fetch: {HISTORY}"
    return None


def _pull(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    if any(re.match(r"-r|--rebase", word) and word != "--rebase=false" for word in rest):
        return f"`git pull --rebase`: {HISTORY}"
    return _fetch(rest, cwds, ctx)


def _push(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    options, operands = split_options(rest, "-o --push-option --repo")
    forced = {
        "-f",
        "--force",
        "--force-with-lease",
        "--force-if-includes",
        "--mirror",
        "-d",
        "--delete",
        "--prune",
    }
    if any(_means(option, forced) for option in options) or any(
        word.startswith((":", "+")) for word in operands[1:]
    ):
        return f"a forced or deleting push: {HISTORY}"
    remote = options.get("--repo") or (operands[0] if operands else "origin")
    if remote not in ctx.git_remotes:
        return (
            f"pushing to {shown(remote)!r}: the operator hasn't opened that remote. Commit; "
            "the operator publishes."
        )
    return None


def _clone(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    options, operands = split_options(
        rest,
        "-b --branch --depth -o --origin -j --jobs --reference --filter -c --config -u --separate-git-dir",
    )
    if {"-c", "--config", "-u", "--separate-git-dir"} & set(options):
        return f"`git clone` with settings: {EXECUTES}"
    if not operands:
        return None
    if operands[0] not in ctx.git_remotes and (_is_url(operands[0]) or not is_exact(operands[0])):
        return f"cloning {shown(operands[0])}: {NETWORK}"
    return _targets(operands[1:2] or [Path(operands[0]).name.removesuffix(".git")], cwds, ctx)


def _remote(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    if not rest or rest[0] in ("-v", "--verbose", "show", "get-url"):
        return None
    if rest[0] == "add" and len(rest) > 2 and {rest[-1], rest[-2]} & ctx.git_remotes:
        return None
    return (
        f"`git remote {shown(rest[0])}`: which remotes there are is the operator's to say. "
        "Work with what is there."
    )


def _config(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    options, operands = split_options(rest, "-f --file --blob --type --default")
    if operands[:1] and operands[0] in ("get", "list", "set", "unset", "edit"):
        verb = operands.pop(0)
        options |= {"--get": ""} if verb in ("get", "list") else {}
    if {"-e", "--edit"} & set(options):
        return f"`git config --edit`: {EXECUTES}"
    reads = {"--get", "--get-all", "--list", "-l", "--get-regexp", "--show-origin", "--name-only"} & set(
        options
    )
    if reads or (len(operands) == 1 and not {"--unset", "--unset-all", "--remove-section"} & set(options)):
        return None
    if {"--global", "--system"} & set(options):
        return "`git config --global` writes outside the run. Set it for this repository, without --global."
    if not operands or not is_exact(operands[0]) or not SAFE_KEYS.fullmatch(operands[0]):
        return f"`git config {shown(operands[0]) if operands else ''}`: {EXECUTES}"
    file = options.get("-f") or options.get("--file")
    return target_problem(file, cwds, ctx.root) if file else None


def _subverb(
    refused: Mapping[str, str], network: tuple[str, ...] = (), path_verbs: tuple[str, ...] = ()
) -> Rule:
    def rule(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
        verb = next((word for word in rest if not word.startswith("-")), "")
        if verb in refused:
            return f"`git … {verb}`: {refused[verb]}"
        operands = [word for word in rest if not word.startswith("-")][1:]
        if verb in network and any(_is_url(word) and word not in ctx.git_remotes for word in operands):
            return f"`git … {verb}`: {NETWORK}"
        if verb in path_verbs and operands:
            _, plain = split_options(rest[rest.index(verb) + 1 :], "-b -B --reason")
            return _targets(plain[:1], cwds, ctx)
        return None

    return rule


def _update_index(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    if any(
        word.startswith(("--cacheinfo", "--index-info", "--assume-unchanged", "--skip-worktree"))
        for word in rest
    ):
        return f"`git update-index`: {PLUMBING}"
    return None


def _add(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    if not _flags(rest, "-f", "--force"):
        return None
    for word in (word for word in rest if not word.startswith("-")):
        if (
            re.search(r"(?i)(^|/)(\.longwatch|STEER|AGENT_)", word)
            or word in ROOT_PATHSPECS
            or not is_exact(word)
        ):
            return (
                f"`git add -f {shown(word)}`: control files are never committed. Add your own "
                "files without -f."
            )
    return None


def _grep(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    if any(re.match(r"-[A-Za-z]*O", word) for word in rest):
        return f"`git grep -O`: {EXECUTES}"
    return None


def _reflog(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    if rest[:1] and rest[0] in ("expire", "delete", "drop", "write"):
        return f"`git reflog {rest[0]}`: {HISTORY}"
    return None


def _hash_object(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    return f"`git hash-object -w`: {PLUMBING}" if _flags(rest, "-w") else None


def _ls_remote(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    return _fetch(rest, cwds, ctx)


def _init(rest: Args, cwds: Cwds, ctx: GuardContext) -> str | None:
    options, operands = split_options(rest, "-b --initial-branch --separate-git-dir --object-format")
    if "--separate-git-dir" in options:
        return f"`git init --separate-git-dir`: {PLUMBING}"
    return _targets((word for word in operands if word not in (".", "./")), cwds, ctx, whole=False)


RULES: Mapping[str, Rule] = {
    "commit": _commit,
    "branch": _branch,
    "reset": _reset,
    "checkout": _checkout,
    "switch": _checkout,
    "restore": _restore,
    "stash": _stash,
    "tag": _tag,
    "rm": _remove,
    "mv": _move,
    "fetch": _fetch,
    "pull": _pull,
    "push": _push,
    "clone": _clone,
    "remote": _remote,
    "config": _config,
    "add": _add,
    "grep": _grep,
    "reflog": _reflog,
    "ls-remote": _ls_remote,
    "hash-object": _hash_object,
    "init": _init,
    "update-index": _update_index,
    "bisect": _subverb({"run": EXECUTES, "visualize": EXECUTES, "view": EXECUTES}),
    "submodule": _subverb({"foreach": EXECUTES, "deinit": DISCARD}, ("add", "set-url"), ()),
    "worktree": _subverb({"remove": DISCARD, "prune": DISCARD}, (), ("add", "move")),
    "notes": _subverb({"prune": HISTORY, "remove": HISTORY}),
    "maintenance": _subverb({"run": HISTORY, "start": EXECUTES, "register": EXECUTES}),
    "lfs": _subverb({"migrate": HISTORY, "prune": HISTORY, "push": NETWORK}),
}

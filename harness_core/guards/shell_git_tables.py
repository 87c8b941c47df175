"""Which of git's commands and options are refused and why, which commands read, which change something."""

from __future__ import annotations

from collections.abc import Mapping

from harness_core.guards.shell_words import name_set

HISTORY = (
    "it rewrites or drops history, which is the run's record. Make a new commit, or `git revert` an old one."
)
DISCARD = "it throws away uncommitted work wholesale. Name the files that you mean, or commit first."
EXECUTES = "it makes git run another program. Run that program plainly instead."
PLUMBING = "it changes the repository under git's own commands. Use add, commit, switch or merge."
NETWORK = "it talks to a host that the operator hasn't configured. Work with the remotes that are there."
CREDENTIALS = "it handles credentials. Ask the operator."
STASHED = "it drops or moves work that was put aside. Use `git stash pop` or `apply`."
REMOTES = "which remotes there are is the operator's to say. Work with what is there."
SPARSE = "it takes files out of the working tree. Leave all of them there."
HIDDEN = "which files it means isn't seen in the command. Name them there."


def _all(names: str, reason: str) -> Mapping[str, str]:
    return dict.fromkeys(names.split(), reason)


def _verbs(name: str, verbs: str, reason: str) -> Mapping[str, str]:
    return {f"{name} {verb}": reason for verb in verbs.split()}


REFUSED: Mapping[str, str] = {
    **_all("rebase filter-branch filter-repo gc prune repack replace reflog-expire update-ref", HISTORY),
    **_all("read-tree checkout-index commit-tree write-tree fast-import symbolic-ref mktree", PLUMBING),
    **_all("pack-refs prune-packed unpack-objects index-pack rerere update-server-info", PLUMBING),
    **_all("daemon send-email request-pull instaweb http-backend svn p4 cvsserver imap-send", NETWORK),
    **_all("credential credential-store credential-cache", CREDENTIALS),
    **_all("difftool mergetool citool gui gitk web--browse", EXECUTES),
    **_all("maintenance", HISTORY),
    **_all("clean", DISCARD),
    **_verbs("bisect", "run visualize view", EXECUTES),
    **_verbs("config", "edit rename-section", EXECUTES),
    **_verbs("lfs", "migrate prune", HISTORY),
    **_verbs("lfs", "push", NETWORK),
    **_verbs("notes", "prune remove", HISTORY),
    **_verbs("reflog", "expire delete drop write", HISTORY),
    **_verbs("remote", "add rename remove rm set-head set-branches set-url prune update", REMOTES),
    **_verbs("sparse-checkout", "init set add reapply", SPARSE),
    **_verbs("stash", "drop clear create store branch export import", STASHED),
    **_verbs("submodule", "foreach", EXECUTES),
    **_verbs("submodule", "deinit", DISCARD),
    **_verbs("worktree", "remove prune", DISCARD),
}
REFUSED_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "apply": _all("unsafe-paths", "it writes outside of the repository. Leave that option out."),
    "archive": _all("remote", NETWORK),
    "branch": _all("force D M C", HISTORY),
    "checkout": {**_all("force", DISCARD), **_all("B orphan", HISTORY), **_all("pathspec-from-file", HIDDEN)},
    "clone": {**_all("config separate-git-dir", EXECUTES), **_all("bundle-uri", NETWORK)},
    "commit": _all("amend", HISTORY),
    "config": _all("edit rename-section", EXECUTES),
    **dict.fromkeys(
        ("fetch", "pull"),
        _all("force stdin refmap prune-tags depth shallow-since shallow-exclude", HISTORY),
    ),
    "hash-object": _all("w", PLUMBING),
    "init": _all("separate-git-dir", PLUMBING),
    "push": _all("force force-with-lease force-if-includes mirror delete prune", HISTORY),
    "reset": _all("hard merge keep", DISCARD),
    "restore": _all("pathspec-from-file", HIDDEN),
    "rm": _all("pathspec-from-file", HIDDEN),
    "stash push": _all("all", DISCARD),
    "stash save": _all("all", DISCARD),
    "submodule update": _all("force", DISCARD),
    "switch": {**_all("force discard-changes", DISCARD), **_all("force-create orphan", HISTORY)},
    "tag": _all("delete force", HISTORY),
    "update-index": _all("cacheinfo index-info assume-unchanged skip-worktree", PLUMBING),
    "worktree add": _all("B", HISTORY),
}
EXECUTING = name_set("open-files-in-pager ext-diff upload-pack receive-pack exec template")
"""Options that no subcommand may have."""
OUTPUTS = ("output", "output-directory", "directory", "build-fake-ancestor")
"""Options that name what a subcommand writes."""

READS = name_set(
    "status log diff show blame annotate grep ls-files ls-tree ls-remote rev-parse rev-list describe "
    "shortlog cat-file name-rev merge-base for-each-ref show-ref show-branch whatchanged diff-tree "
    "diff-index diff-files check-ignore check-attr count-objects fsck version help var range-diff cherry "
    "verify-commit reflog stripspace hash-object clean bundle notes remote submodule worktree"
) | frozenset(
    (
        *("bundle verify", "bundle list-heads", "notes list", "notes show", "remote show", "remote get-url"),
        *("sparse-checkout list", "stash list", "stash show", "submodule status", "submodule summary"),
        *("worktree list", "config get", "config list"),
    )
)
"""Subcommands that only read, whatever options they have, `--output` aside."""
LISTS: Mapping[str, frozenset[str]] = {
    "branch": name_set("all remotes list show-current contains no-contains merged no-merged points-at"),
    "tag": name_set("list n contains no-contains merged no-merged points-at"),
}
"""Options that make a subcommand list what there is, operands or not."""
LISTED = name_set("verbose abbrev sort format column color ignore-case")
"""Options of such a list."""
CHANGES = name_set(
    "add commit init clone checkout switch restore reset branch tag merge cherry-pick revert rm mv fetch "
    "pull push config apply am format-patch archive bisect update-index lfs mailinfo interpret-trailers"
) | frozenset(
    (
        *("bundle create", "bundle unbundle", "config set", "config unset", "config remove-section"),
        *("notes add", "notes append", "notes copy", "notes edit", "notes get-ref", "notes merge"),
        *("sparse-checkout disable", "stash push", "stash save", "stash pop", "stash apply"),
        *("submodule add", "submodule init", "submodule update", "submodule sync", "submodule set-branch"),
        *("submodule set-url", "submodule absorbgitdirs"),
        *("worktree add", "worktree move", "worktree lock", "worktree unlock", "worktree repair"),
    )
)

OWN_OPTIONS = name_set(
    "-p --paginate -P --no-pager --no-replace-objects --no-lazy-fetch --no-optional-locks --no-advice "
    "--literal-pathspecs --glob-pathspecs --noglob-pathspecs --html-path --man-path --info-path --exec-path"
)
"""Options of git itself that change nothing here."""
ELSEWHERE = name_set("--git-dir --work-tree --exec-path --config-env --namespace --super-prefix")

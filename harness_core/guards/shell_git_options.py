"""Git's words as git reads them: a subcommand, its options under one name each, its operands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from harness_core.guards.shell_options import operands_after
from harness_core.guards.shell_script import Cwds
from harness_core.guards.shell_words import name_set


class Call(NamedTuple):
    """A git command, read: `name` is the subcommand, with its verb if it has any (`worktree add`)."""

    name: str
    options: Mapping[str, Sequence[str]]
    """The values of each option. Its name is the long one without dashes, or its only letter."""
    operands: Sequence[str]
    paths: Sequence[str] | None
    """What follows `--`, or None if that isn't there."""
    cwds: Cwds

    @property
    def words(self) -> list[str]:
        """The operands on either side of `--`."""
        return [*self.operands, *(self.paths or ())]


_FETCH = (
    "f/force m/multiple p/prune P/prune-tags stdin upload-pack= depth= shallow-since= shallow-exclude= "
    "deepen= refmap= o/server-option= negotiation-tip= filter= recurse-submodules? submodule-prefix="
)
_LISTED = "contains= no-contains= merged= no-merged= sort= points-at= format= column? color? i/ignore-case"
_TREE = "f/force m/merge conflict= d/detach t/track? orphan= recurse-submodules? p/patch "
_NOTE = "m/message= F/file= c/reedit-message= C/reuse-message= separator? f/force"
OPTIONS: Mapping[str, str] = {
    "add": "n/dry-run f/force A/all u/update chmod= pathspec-from-file=",
    "am": "directory= exclude= include= p= C= whitespace= patch-format= resolvemsg= "
    "quoted-cr= empty= S/gpg-sign?",
    "apply": "unsafe-paths build-fake-ancestor= exclude= include= p= C= whitespace= directory=",
    "archive": "o/output= remote= exec= format= prefix= add-file= add-virtual-file= mtime=",
    "branch": "f/force d/delete D m/move M c/copy C t/track? u/set-upstream-to= a/all r/remotes l/list "
    f"v/verbose abbrev? show-current {_LISTED}",
    "bundle create": "q/quiet version=",
    "checkout": f"{_TREE} b= B= pathspec-from-file=",
    "clean": "n/dry-run f/force i/interactive q/quiet d x X e/exclude=",
    "clone": "n/no-checkout bare mirror recurse-submodules? recursive? j/jobs= template= reference= "
    "reference-if-able= o/origin= b/branch= u/upload-pack= depth= shallow-since= shallow-exclude= "
    "separate-git-dir= c/config= server-option= filter= bundle-uri= ref-format= revision=",
    "commit": "amend m/message= F/file= author= date= c/reedit-message= C/reuse-message= fixup= squash= "
    "trailer= t/template= cleanup= S/gpg-sign? u/untracked-files? pathspec-from-file=",
    "config": "global system local worktree f/file= blob= t/type= default= comment= value= url= get get-all "
    "get-regexp get-urlmatch get-color get-colorbool l/list e/edit add replace-all unset unset-all "
    "rename-section remove-section name-only show-names show-origin show-scope z/null includes "
    "fixed-value all regexp",
    "fetch": f"{_FETCH} j/jobs=",
    "format-patch": "o/output-directory= output= suffix= start-number= v/reroll-count= cc= to= from? "
    "subject-prefix= filename-max-length= cover-from-description= add-header= in-reply-to= attach? inline? "
    "thread? signature= signature-file= base= interdiff= range-diff= creation-factor= description-file=",
    "grep": "O/open-files-in-pager? max-depth= C/context= B/before-context= A/after-context= threads= f= e= "
    "m/max-count= color?",
    "hash-object": "w t= path=",
    "init": "template= shared? separate-git-dir= b/initial-branch= object-format= ref-format=",
    "interpret-trailers": "in-place where= if-exists= if-missing= trailer=",
    "ls-remote": "upload-pack= sort= o/server-option=",
    "mailinfo": "encoding= quoted-cr=",
    **dict.fromkeys(("notes add", "notes append", "notes edit"), _NOTE),
    "pull": f"{_FETCH} j/jobs? r/rebase? log? S/gpg-sign? s/strategy= X/strategy-option= cleanup=",
    "push": "f/force d/delete mirror prune force-with-lease? force-if-includes repo= receive-pack= exec= "
    "o/push-option= recurse-submodules= signed?",
    "reset": "soft mixed hard merge keep p/patch pathspec-from-file= recurse-submodules? U/unified= "
    "inter-hunk-context=",
    "restore": f"{_TREE} s/source= S/staged W/worktree pathspec-from-file=",
    "rm": "pathspec-from-file=",
    "stash push": "a/all m/message= pathspec-from-file=",
    "stash save": "a/all m/message=",
    "submodule add": "b/branch= f/force name= reference= depth=",
    "submodule update": "f/force reference= depth= j/jobs= filter=",
    "switch": f"{_TREE} c/create= C/force-create= discard-changes",
    "tag": f"d/delete f/force l/list n? m/message= F/file= cleanup= u/local-user= trailer= {_LISTED}",
    "update-index": "cacheinfo= index-info assume-unchanged skip-worktree chmod= index-version=",
    "worktree add": "f/force b= B= d/detach reason= orphan",
}
"""Of each subcommand the options that take a value (`=`; `?` only in the same word), and those that the
rules name. As `git SUBCOMMAND -h` tells of versions up to 2.50."""
COMMON = "output= output-directory= ext-diff open-files-in-pager? upload-pack= receive-pack= exec= template="
"""The options that are looked for in all other subcommands."""
VERBS = name_set("bundle notes remote sparse-checkout stash submodule worktree")
"""Subcommands that only do what their verb says."""
MAYBE_VERBS: Mapping[str, frozenset[str]] = {
    "bisect": name_set("run visualize view"),
    "config": name_set("get list set unset edit rename-section remove-section get-color get-colorbool"),
    "lfs": name_set("migrate prune push"),
    "reflog": name_set("expire delete drop write"),
}
"""Verbs that make a command of their own of a subcommand, if they are its first word."""


class _Table(NamedTuple):
    letters: Mapping[str, str]
    marks: Mapping[str, str]


@lru_cache
def _table(name: str) -> _Table:
    letters, marks = {}, {}
    for entry in (OPTIONS.get(name) or OPTIONS.get(name.partition(" ")[0], COMMON)).split():
        plain = entry.rstrip("=?")
        letter, _, long = plain.rpartition("/")
        marks[long] = entry[len(plain) :]
        if letter or len(long) == 1:
            letters[letter or long] = long
    return _Table(letters, marks)


def read(name: str, words: Sequence[str], cwds: Cwds) -> Call:
    """Read what follows the name of a subcommand."""
    if name in VERBS:
        name, words = _verb(name, words)
    elif words and words[0] in MAYBE_VERBS.get(name, ()):
        name, words = f"{name} {words[0]}", words[1:]
    table = _table(name)
    options: dict[str, list[str]] = {}
    operands: list[str] = []
    left = list(reversed(words))
    while left:
        word = left.pop()
        if word == "--":
            return Call(name, options, operands, left[::-1], cwds)
        if word[:2] == "--":
            typed, equals, value = word[2:].partition("=")
            names = _meant(typed, table.marks)
            if not equals and left and all(table.marks.get(long) == "=" for long in names):
                value = left.pop()
            for long in names:
                options.setdefault(long, []).append(value)
        elif word[:1] == "-" and word != "-":
            _letters(word[1:], table, options, left)
        else:
            operands.append(word)
    return Call(name, options, operands, None, cwds)


def _verb(name: str, words: Sequence[str]) -> tuple[str, Sequence[str]]:
    if name == "stash" and (not words or words[0].startswith("-")):
        return "stash push", words
    _, rest = operands_after(words, frozenset({"--ref"}))
    return (f"{name} {rest[0]}", rest[1:]) if rest else (name, words)


def _meant(typed: str, known: Iterable[str]) -> list[str]:
    """The options that git may take a long one for: it takes a beginning for the whole."""
    longs = [long for long in known if len(long) > 1]
    if typed in longs:
        return [typed]
    longs += [f"no-{long}" for long in longs]
    return [typed] if typed in longs else [long for long in longs if long.startswith(typed)] or [typed]


def _letters(text: str, table: _Table, options: dict[str, list[str]], left: list[str]) -> None:
    """Read a word of bundled letters, the last of which may have its value there or in the next word."""
    for place, letter in enumerate(text, 1):
        name = table.letters.get(letter, letter)
        mark = table.marks.get(name, "")
        value = text[place:] if mark else ""
        if mark == "=" and not value and left:
            value = left.pop()
        options.setdefault(name, []).append(value)
        if mark:
            return

"""Which files a shell command fills, and with what: words of its own, copies, or a program's output.

Evidence must come from a program: `echo PASS > result.txt` proves nothing, `npm test > result.txt` may. What
only copies or cuts is worth what it is given: the end of a test run's output, or a page of the notes.
"""

from __future__ import annotations

import glob
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from harness_core.guards.paths import Unresolvable, resolve
from harness_core.guards.shell_parse import parse
from harness_core.guards.shell_script import Command, Cwds, Script
from harness_core.guards.shell_unwrap import SHELLS, WRAPPERS, Nested, inner, program
from harness_core.guards.shell_words import ANY, QUERY, STAR, WILD, Unparsable, is_exact, name_set
from harness_core.guards.shell_writes import writes


class Origin(IntEnum):
    """Where a file's content comes from. Of several that go into one file, the highest counts."""

    TYPED = 0
    """The command itself: `echo`, a here-document, an edit in place."""
    COPIED = 1
    """Files that no program made in this session, or that lie outside the run; whole or in part."""
    MADE = 2
    """A program, or a file that one made."""


Made = Callable[[str], bool]
"""Whether a program made the file at this path (relative to the run) in this session."""

SPEAKERS = name_set("echo printf : true yes cd test [ export set unset mkdir rm sleep")
"""Programs that print what the command says, or nothing."""
FILTERS = name_set(
    "cat tee sed awk gawk tr sort uniq head tail cut grep egrep fgrep rev tac fold fmt nl "
    "column paste base64 xxd gzip gunzip"
    " zcat expand unexpand iconv sponge dd rg jq pr shuf less more bat strings od hexdump"
)
"""Programs that print a form of what they are given."""
STREAMING = name_set("tee tr sponge")
"""Those whose operands name no file to read."""
EDITORS = name_set("sed awk gawk perl ruby touch truncate")
"""Programs that change files in place by what the command says."""
COPIERS = name_set("cp mv ln install rsync")
_SUBSTITUTED = "/dev/fd"
"""Where Bash puts what `<(…)` prints, of which a program is the likely maker."""
_AT_MOST = 1000
"""Files that are looked at for one copied folder or one word with wildcards."""


def unproven(command: str, root: Path, made: Made, cwd: Path | None = None) -> dict[str, Origin]:
    """The files below `root`, relative to it, that prove nothing: the command, run in `cwd` (`root` by
    default), typed or copied their whole content.

    A command that can't be parsed fills nothing that can be named.
    """
    run = _Run(root, made)
    for reader in _readers(command, run, (cwd or root,)):
        for item in reader.script.commands:
            for path, origin in reader.fills(item):
                run.filled[path] = max(origin, run.filled.get(path, Origin.TYPED))
    return {path: origin for path, origin in run.filled.items() if origin is not Origin.MADE}


@dataclass
class _Run:
    """The run that a command worked on, and what the command has filled so far."""

    root: Path
    made: Made
    filled: dict[str, Origin] = field(default_factory=dict)

    def below(self, path: Path) -> str | None:
        """The path relative to the root; None outside."""
        try:
            found = resolve(self.root, str(path))
        except Unresolvable:
            return None
        inside = found.is_relative_to(self.root) and found != self.root
        return found.relative_to(self.root).as_posix() if inside else None

    def origin(self, file: Path, *, moved: bool = False) -> Origin:
        """Where a file's content comes from. Where it was `moved`, content and time went along and tell for
        themselves."""
        path = self.below(file)
        if path is None:
            return Origin.MADE if file.is_relative_to(_SUBSTITUTED) else Origin.COPIED
        if path in self.filled:
            return self.filled[path]
        return Origin.MADE if moved or self.made(path) else Origin.COPIED


def _readers(command: str, run: _Run, cwds: Cwds, fed: bool = False, depth: int = 0) -> Iterator[_Reader]:
    """A reader for the script, and one for each script inside it."""
    try:
        script = parse(command, run.root, cwds)
    except Unparsable:
        return
    reader = _Reader(script, run, fed or ">(" in command, depth)
    yield reader
    for item in script.commands:
        yield from reader.inside(item)


class _Reader:
    """Tells of one script's commands what they fill, and with what. `fed`: its own input isn't known here."""

    def __init__(self, script: Script, run: _Run, fed: bool, depth: int) -> None:
        self.script = script
        self._run = run
        self._fed = fed
        self._depth = depth
        self._told: dict[int, Origin] = {}
        sources = {number for item in script.commands for number in item.input.sources}
        self._feeding = [item for item in script.commands if item.argv and item.number in sources]

    def inside(self, item: Command) -> Iterator[_Reader]:
        """Readers of the scripts that a command runs in its turn."""
        fed = self._fed or item.input.piped
        for part in _parts(item) if self._depth < 3 else ():
            if isinstance(part, Nested):
                yield from _readers(part.text, self._run, part.command.cwds, fed, self._depth + 1)

    def fills(self, item: Command) -> Iterator[tuple[str, Origin]]:
        """Every file that a command fills, and where the content comes from."""
        targets = [redirect.target for redirect in (*item.redirects, *item.outer) if redirect.writes]
        if not item.argv:
            silent = not any(set(item.redirects) & set(other.outer) for other in self.script.commands)
            emptied = [redirect.target for redirect in item.redirects if redirect.writes and silent]
            yield from ((path, Origin.TYPED) for path in self._named(emptied, item))
            return
        run = _unwrapped(item)
        name = program(run)
        own = [write.target for write in writes(run) if not write.whole]
        if name in COPIERS:
            yield from self._copies(run, moved=name == "mv")
        elif name in EDITORS:
            yield from ((path, Origin.TYPED) for path in self._named(own, item))
        elif name in FILTERS or name == "curl":
            targets += own
        if targets:
            origin = self._origin(item)
            yield from ((path, origin) for path in self._named(targets, item))

    def _named(self, targets: Iterable[str], item: Command) -> Iterator[str]:
        """The paths relative to the root, for every directory that the command may run in."""
        for target, cwd in itertools.product(targets, item.cwds):
            path = self._run.below(cwd / target) if cwd is not None and is_exact(target) else None
            if path is not None:
                yield path

    def _copies(self, item: Command, moved: bool) -> Iterator[tuple[str, Origin]]:
        for write in writes(item):
            for source in _paths(write.source, item) if write.source else ():
                for target in _paths(write.target, item):
                    for original, copy in _pairs(source, target):
                        if (path := self._run.below(copy)) is not None:
                            yield path, self._run.origin(original, moved=moved)

    # --- What a command prints ----------------------------------------------------------------------

    def _origin(self, item: Command) -> Origin:
        """Where what the command prints comes from."""
        # In their order, since a pipeline can be longer than calls may be nested.
        for each in (*(other for other in self._feeding if other.number < item.number), item):
            if id(each) not in self._told:
                self._told[id(each)] = self._printed(_unwrapped(each))
        return self._told[id(item)]

    def _printed(self, run: Command) -> Origin:
        name = program(run)
        if name in SPEAKERS:
            return Origin.MADE if any(ANY in word for word in run.argv[1:]) else Origin.TYPED
        if name in COPIERS:
            return Origin.TYPED
        if name == "curl":
            return Origin.COPIED if any("file:" in word.lower() for word in run.argv[1:]) else Origin.MADE
        if name == "xargs":
            parts = [self._printed(part) for part in _parts(run) if isinstance(part, Command)]
            return max(parts, default=Origin.MADE)
        if name in SHELLS:
            scripts = [(reader, part) for reader in self.inside(run) for part in reader.script.commands]
            return max((reader._origin(part) for reader, part in scripts if part.argv), default=Origin.MADE)
        return self._passed_on(run) if name in FILTERS else Origin.MADE

    def _passed_on(self, item: Command) -> Origin:
        """Where what a filter reads comes from: its files, and its input unless files stand in for that."""
        words = _operands(item)
        paths = [path for word in words for path in _paths(word, item)]
        found = [
            self._run.origin(path) for path in paths if path.is_file() or path.is_relative_to(_SUBSTITUTED)
        ]
        if not found or "-" in words:
            found.append(self._input(item, words))
        return max(found)

    def _input(self, item: Command, words: list[str]) -> Origin:
        given = item.input
        around = () if given.piped or given.text is not None else item.outer
        opened = [redirect.target for redirect in (*item.redirects, *around) if redirect.op == "<"]
        if opened:
            files = [path for word in opened for path in _paths(word, item)]
            return max(map(self._run.origin, files), default=Origin.MADE)
        if given.text is not None:
            return Origin.TYPED
        if given.sources:
            feeding = (other for other in self._feeding if other.number in given.sources)
            return max((self._origin(other) for other in feeding), default=Origin.MADE)
        known = not given.piped and not self._fed and all(map(is_exact, words))
        return Origin.COPIED if known else Origin.MADE


def _unwrapped(item: Command) -> Command:
    """The command that `env`, `timeout` and their like run in the end."""
    while program(item) in WRAPPERS:
        run = next((part for part in _parts(item) if isinstance(part, Command)), None)
        if run is None:
            break
        item = run._replace(redirects=item.redirects)
    return item


def _parts(item: Command) -> list[object]:
    """What a command runs in its turn, as far as that can be told."""
    try:
        return list(inner(item))
    except Unparsable:
        return []


def _operands(item: Command) -> list[str]:
    """The words of a filter that may name files to read."""
    args = item.argv[1:]
    if program(item) == "dd":
        return [word.removeprefix("if=") for word in args if word.startswith("if=")]
    if program(item) in STREAMING:
        return []
    written = {write.target for write in writes(item)}
    return [
        word
        for before, word in itertools.pairwise(item.argv)
        if before not in ("-f", "--file") and word not in written and (word == "-" or word[:1] != "-")
    ]


def _paths(word: str, item: Command) -> Iterator[Path]:
    """Where a word points to, from every directory that the command may run in; wildcards are looked up."""
    for cwd in item.cwds:
        if cwd is None:
            continue
        if is_exact(word):
            yield cwd / word
        elif WILD.intersection(word) <= {STAR, QUERY}:
            pattern = "".join({STAR: "*", QUERY: "?"}.get(part) or glob.escape(part) for part in word)
            yield from map(Path, itertools.islice(glob.iglob(str(cwd / pattern)), _AT_MOST))


def _pairs(source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Each file that was copied with where it is now; those of a folder where one was copied."""
    within = target / source.name
    landed = within if target.is_dir() and (within.exists() or not source.is_dir()) else target
    if not landed.is_dir():
        yield source, landed
        return
    for path in itertools.islice(landed.rglob("*"), _AT_MOST):
        if path.is_file():
            yield source / path.relative_to(landed), path

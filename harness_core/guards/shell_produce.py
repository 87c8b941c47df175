"""What well-known programs print, as far as it can be told: the words of `$(…)`, `xargs`, `while read`.

A listing of `src` names files below `src`; a search for `*.py` names such files. Whatever isn't known to
be narrower prints anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from harness_core.guards.shell_words import (
    ANY,
    JOB,
    PIDS,
    QUERY,
    SPACE,
    STAR,
    TOKEN,
    glob_marks,
    is_exact,
    name_set,
)

Lines = tuple[str, ...]
UNKNOWN: Lines = (ANY,)

NUMBERS = name_set("seq wc date nproc id stat sha256sum md5sum sha1sum cksum sleep true false")
FILTERS = name_set("head tail sort uniq grep egrep fgrep rg cat tac less shuf tee")
"""Programs that pass on some of the lines that they are given, when no file is named."""


def printed(argv: Sequence[str], cwds: Sequence[Path | None], feeds: Lines | None, root: Path) -> Lines:
    """The lines that a command prints. `feeds` are the lines piped into it, None where nothing is."""
    if not argv:
        return ()
    name = PurePosixPath(argv[0]).name
    rest = list(argv[1:])
    if feeds is not None and name in FILTERS and _only_filters(name, rest):
        return feeds
    if name in NUMBERS:
        return (TOKEN,)
    producer = PRODUCERS.get(name)
    if producer:
        return producer(rest)
    if name == "pwd":
        return (str(cwds[0]),) if len(cwds) == 1 and cwds[0] else UNKNOWN
    if name == "git":
        return _git(rest, root)
    return UNKNOWN


def _only_filters(name: str, rest: list[str]) -> bool:
    operands = [word for word in rest if not word.startswith("-") and not re.fullmatch(r"\+?\d+", word)]
    changes = name in ("grep", "egrep", "fgrep", "rg") and any(re.match(r"-\w*[oOc]", word) for word in rest)
    return not changes and len(operands) <= (1 if "grep" in name or name in ("rg", "tee") else 0)


def _echo(rest: list[str]) -> Lines:
    escapes = False
    while rest and re.fullmatch(r"-[neE]+", rest[0]):
        escapes |= "e" in rest[0]
        rest = rest[1:]
    text = " ".join(rest)
    return UNKNOWN if escapes and "\\" in text else (text,)


def _printf(rest: list[str]) -> Lines:
    if not rest or rest[0] == "-v":
        return UNKNOWN
    form, *values = rest
    form = form.replace("\\n", " ").strip()
    if not values and "%" not in form and "\\" not in form:
        return (form,)
    if values and form in ("%s", '"%s"'):
        return tuple(values)
    if len(values) == form.count("%s") == form.count("%") and "\\" not in form and is_exact(form):
        parts = form.split("%s")
        return ("".join(a + b for a, b in zip(parts, [*values, ""], strict=True)),)
    return UNKNOWN


def _mktemp(rest: list[str]) -> Lines:
    operands = [word for word in rest if not word.startswith("-")]
    if any(word.startswith(("-p", "--tmpdir=")) for word in rest):
        return UNKNOWN
    return (re.sub("X{3,}", TOKEN, operands[0]),) if operands else (f"/tmp/tmp.{TOKEN}",)


def _find(rest: list[str]) -> Lines:
    return found(rest) or UNKNOWN


def found(rest: Sequence[str]) -> Lines:
    """The paths that `find` with these arguments visits: starts, narrowed by the names asked for."""
    starts = []
    for word in rest:
        if word.startswith("-") or word in ("(", "!", ")"):
            break
        starts.append(word)
    starts = starts or ["."]
    names = [
        _as_glob(rest[i + 1])
        for i, word in enumerate(rest[:-1])
        if word in ("-name", "-iname") and rest[i - 1] not in ("!", "-not")
    ]
    negated = "-path" in rest and "-o" in rest
    if not names or (negated and not names):
        return tuple(f"{start}{ANY}" if start.endswith("/") else start for start in starts) + tuple(
            f"{start.rstrip('/')}/{ANY}" for start in starts
        )
    return tuple(f"{start.rstrip('/')}/{ANY}{name}" for start in starts for name in names)


def _as_glob(text: str) -> str:
    return glob_marks(text).replace("{", "{") if is_exact(text) else text


def _listing(rest: list[str]) -> Lines:
    operands = [word for word in rest if not word.startswith("-")]
    if not operands:
        return (f"{STAR}",)
    lines = []
    for word in operands:
        lines.append(word)
        if is_exact(word):
            lines.append(f"{STAR}" if not PurePosixPath(word).suffix else word)
    return tuple(dict.fromkeys(lines))


def _grep(rest: list[str]) -> Lines:
    """Only `-l` and `-L` print names; anything else prints the text of files."""
    if not any(
        re.fullmatch(r"-[a-zA-Z]*[lL][a-zA-Z]*|--files(-with(out)?-match(es)?)?", word) for word in rest
    ):
        return UNKNOWN
    narrowed = [
        _as_glob(rest[i + 1] if word in ("-g", "--glob", "--include") else word.partition("=")[2])
        for i, word in enumerate(rest)
        if re.match(r"--include(=|$)|--glob(=|$)|-g$", word) and (i + 1 < len(rest) or "=" in word)
    ]
    skip = {
        i + 1
        for i, word in enumerate(rest)
        if word in ("-g", "--glob", "--include", "-e", "-t", "--type", "-f")
    }
    operands = [word for i, word in enumerate(rest) if not word.startswith("-") and i not in skip]
    if "-e" not in rest and "--files" not in rest:
        operands = operands[1:]
    starts = operands or ["."]
    types = [f"{STAR}.{rest[i + 1]}" for i, word in enumerate(rest[:-1]) if word in ("-t", "--type")]
    narrowed = [name for name in narrowed if not name.startswith("!")] + types
    if narrowed:
        return tuple(f"{start.rstrip('/')}/{ANY}{name}" for start in starts for name in narrowed)
    return tuple(line for start in starts for line in _below(start))


def _below(start: str) -> Lines:
    plain_file = is_exact(start) and PurePosixPath(start).suffix and not start.endswith("/")
    return (start,) if plain_file else (start, f"{start.rstrip('/')}/{ANY}")


def _git(rest: list[str], root: Path) -> Lines:
    if rest[:2] == ["rev-parse", "--show-toplevel"]:
        return (str(root),)
    if rest[:1] == ["rev-parse"] and not any("show" in word or "git" in word for word in rest):
        return (TOKEN,)
    if rest[:1] == ["ls-files"]:
        operands = [
            _as_glob(word) for word in rest[1:] if not word.startswith("-") and not word.startswith(":")
        ]
        lines = [f"{ANY}{word}" if word.startswith((STAR, QUERY)) else word for word in operands]
        return (
            tuple(line for word in lines for line in ((word,) if STAR in word else _below(word))) or UNKNOWN
        )
    return UNKNOWN


def _name(rest: list[str]) -> Lines:
    operands = [word for word in rest if not word.startswith("-")]
    if not operands or not is_exact(operands[0]):
        return UNKNOWN
    base = PurePosixPath(operands[0]).name
    return (base.removesuffix(operands[1]) if len(operands) > 1 and is_exact(operands[1]) else base,)


def _parent(rest: list[str]) -> Lines:
    return tuple(str(PurePosixPath(word).parent) for word in rest) if all(map(is_exact, rest)) else UNKNOWN


def _jobs(rest: list[str]) -> Lines:
    return (JOB,) if "-p" in rest else UNKNOWN


def _holders(rest: list[str]) -> Lines:
    """`lsof -ti:3000` names the processes that hold the port."""
    text = " ".join(rest)
    ports = re.findall(r"(?<=:)\d+(?=$| )", text)
    bare = any(re.fullmatch(r"-[a-zA-Z]*t[a-zA-Z]*(:\d+)?", word) for word in rest)
    plain_words = all(
        re.fullmatch(r"-[a-zA-Z]*(:\d+)?|-s?(TCP|tcp):\w+|(tcp|TCP)?:\d+", word) for word in rest
    )
    return (f"{PIDS}port:{ports[0]}",) if bare and plain_words and len(ports) == 1 else UNKNOWN


def _matching(rest: list[str]) -> Lines:
    """`pgrep -f server` names the processes that match."""
    known = all(is_exact(word) and not re.fullmatch(r"-[a-z]*[alcd][a-z]*|--list.*", word) for word in rest)
    return (f"{PIDS}name:{SPACE.join(word.replace(' ', SPACE * 2) for word in rest)}",) if known else UNKNOWN


PRODUCERS: Mapping[str, Callable[[list[str]], Lines]] = {
    "echo": _echo,
    "printf": _printf,
    "mktemp": _mktemp,
    "find": _find,
    "ls": _listing,
    "grep": _grep,
    "rg": _grep,
    "basename": _name,
    "dirname": _parent,
    "jobs": _jobs,
    "lsof": _holders,
    "pgrep": _matching,
}

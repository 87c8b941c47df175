"""Programs that run other programs: what they run becomes a command of its own.

`env`, `timeout`, `xargs`, `find -exec` and their like are peeled off one by one; a shell's `-c` text, a
trap or a script on standard input is handed back as a script to be judged whole.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from harness_core.guards.shell_options import operands_after
from harness_core.guards.shell_produce import found
from harness_core.guards.shell_script import Command, Input
from harness_core.guards.shell_words import ANY, JOB, Unparsable, is_exact, name_set, shown

SHELLS = frozenset({"bash", "sh", "zsh", "dash", "ksh", "ash"})
MAX_FEEDS = 64


class Wrapper(NamedTuple):
    """How to find the command inside: options that take a value, and operands that come before it."""

    valued: frozenset[str] = frozenset()
    operands: int = 0
    assigns: bool = False
    """`NAME=value` words stand before the command."""


class Nested(NamedTuple):
    """A script inside a command, and the command that would run it."""

    text: str
    command: Command


class ScriptFile(NamedTuple):
    """A file that a shell would run or source."""

    path: str
    command: Command
    sourced: bool = False


WRAPPERS: Mapping[str, Wrapper] = {
    "env": Wrapper(name_set("-u --unset -C --chdir"), assigns=True),
    "nohup": Wrapper(),
    "timeout": Wrapper(name_set("-s --signal -k --kill-after"), operands=1),
    "gtimeout": Wrapper(name_set("-s --signal -k --kill-after"), operands=1),
    "time": Wrapper(name_set("-f --format -o --output")),
    "nice": Wrapper(name_set("-n --adjustment")),
    "ionice": Wrapper(name_set("-c --class -n --classdata")),
    "setsid": Wrapper(),
    "stdbuf": Wrapper(name_set("-i --input -o --output -e --error")),
    "command": Wrapper(),
    "builtin": Wrapper(),
    "exec": Wrapper(name_set("-a")),
    "unbuffer": Wrapper(),
    "xvfb-run": Wrapper(name_set("-s --server-args -n --server-num -e --error-file")),
    "cross-env": Wrapper(assigns=True),
    "busybox": Wrapper(),
    **dict.fromkeys(("valgrind", "ccache"), Wrapper()),
    "dotenv": Wrapper(name_set("-e -v -p")),
    **dict.fromkeys(
        ("c8", "nyc"), Wrapper(name_set("-r --reporter -x --exclude -n --include -o --reports-dir"))
    ),
}
RUNNERS: Mapping[tuple[str, str], Wrapper] = {
    ("uv", "run"): Wrapper(
        name_set(
            "--with --with-requirements -p --python --extra --group --env-file "
            "--directory --project --package"
        )
    ),
    ("poetry", "run"): Wrapper(),
    ("pipenv", "run"): Wrapper(),
    ("pdm", "run"): Wrapper(),
    ("rye", "run"): Wrapper(),
    ("bundle", "exec"): Wrapper(),
    ("pnpm", "exec"): Wrapper(),
    ("yarn", "exec"): Wrapper(),
    ("conda", "run"): Wrapper(name_set("-n --name -p --prefix")),
    ("nix", "run"): Wrapper(),
    **{(name, "exec"): Wrapper() for name in ("tox", "mise", "asdf", "pyenv", "rbenv", "fnm", "nvm", "opam")},
    **{(name, "exec"): Wrapper() for name in ("stack", "cabal", "lerna")},
    **{(name, "run"): Wrapper() for name in ("hatch", "volta", "devbox")},
    ("rustup", "run"): Wrapper(operands=1),
    ("npm", "explore"): Wrapper(operands=1),
}
"""Project runners: a program and its subcommand that run the rest."""
XARGS_VALUED = name_set(
    "-n --max-args -P --max-procs -L --max-lines -s --max-chars -d --delimiter -E -a --arg-file -I --replace"
)
STARTERS = frozenset({"nodemon", "pm2", "hyperfine"})
EXEC_ACTIONS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
SHELL_VALUED = name_set("-o -O +o +O --rcfile --init-file")


def program(command: Command) -> str:
    """The program's name without its folder."""
    return command.name.rpartition("/")[2] or command.name


def inner(command: Command) -> Iterator[Command | Nested | ScriptFile]:
    """What a command runs in its turn, one layer deep. Raises Unparsable where that can't be told."""
    name = program(command)
    args = list(command.argv[1:])
    if name in WRAPPERS:
        yield from _wrapped(command, WRAPPERS[name], args)
    elif name == "xargs":
        yield from _xargs(command, args)
    elif name == "find":
        yield from _find(command, args)
    elif name in SHELLS:
        yield from _shell(command, args)
    elif name in ("source", "."):
        yield from _source(command, args)
    elif name == "trap":
        yield from _trap(command, args)
    elif name == "cmake" and args[:1] == ["-E"] and args[1:2] in (["env"], ["time"]):
        yield command._replace(argv=tuple(args[1:]), redirects=())
    elif name in ("watch", "concurrently", "npm-run-all", "start-server-and-test", *STARTERS):
        yield from _watched(command, args, name)
    elif args and (name, args[0]) in RUNNERS:
        yield from _wrapped(command, RUNNERS[name, args[0]], args[1:])


def _wrapped(command: Command, wrapper: Wrapper, args: list[str]) -> Iterator[Command]:
    name = program(command)
    options, rest = operands_after(args, wrapper.valued)
    if name == "command" and any(re.fullmatch(r"-p*[vV]+", word) for word in options):
        return
    if name == "env" and any(word.startswith(("-S", "--split-string")) for word in options):
        raise Unparsable("`env -S` splits text into a command")
    if any(not is_exact(word) for word in options):
        raise Unparsable(f"the options of `{name}` aren't known before it runs")
    rest = rest[wrapper.operands :]
    if rest[:1] == ["--"]:
        rest = rest[1:]
    if name in ("c8", "nyc") and rest[:1] and rest[0] in ("report", "check-coverage", "merge", "instrument"):
        return
    assigns = list(command.assigns)
    while wrapper.assigns and rest and re.match(r"\w+=", rest[0]):
        key, _, value = rest.pop(0).partition("=")
        assigns.append((key, value))
    cwds = command.cwds
    if any(word.startswith(("-C", "--chdir")) for word in options) and name == "env":
        cwds = (None,)
    if rest:
        yield command._replace(argv=tuple(rest), assigns=tuple(assigns), cwds=cwds, redirects=())


def _fed(command: Command) -> tuple[str, ...]:
    if command.input.text is not None:
        return tuple(word for word in command.input.text.split())
    lines = command.input.feeds if command.input.piped else (ANY,)
    words = tuple(dict.fromkeys(word for line in lines for word in (line.split() or [line])))
    return words if len(words) <= MAX_FEEDS else (ANY,)


def _xargs(command: Command, args: list[str]) -> Iterator[Command]:
    index = 0
    placeholder: str | None = None
    fed = _fed(command)
    while index < len(args) and args[index].startswith("-"):
        word = args[index]
        if word in ("-I", "--replace") and index + 1 < len(args):
            placeholder = args[index + 1]
        elif word.startswith("-I") and len(word) > 2:
            placeholder = word[2:]
        elif word == "-i" or word.startswith("--replace="):
            placeholder = word.partition("=")[2] or "{}"
        elif word.startswith(("-a", "--arg-file")):
            fed = (ANY,)
        index += 2 if word in XARGS_VALUED else 1
    rest = args[index:] or ["echo"]
    for word in fed:
        argv = [part.replace(placeholder, word) for part in rest] if placeholder else [*rest, word]
        yield command._replace(argv=tuple(argv), redirects=(), input=Input())


def _find(command: Command, args: list[str]) -> Iterator[Command]:
    index = 0
    while index < len(args):
        if args[index] in EXEC_ACTIONS:
            end = next((i for i in range(index + 1, len(args)) if args[i] in (";", "+")), None)
            if end is None:
                raise Unparsable("`find -exec` has no end")
            for path in found(args) or (ANY,):
                argv = tuple(word.replace("{}", path) for word in args[index + 1 : end])
                yield command._replace(argv=argv, redirects=(), input=Input())
            index = end
        index += 1


def _shell(command: Command, args: list[str]) -> Iterator[Nested | ScriptFile]:
    index = 0
    while index < len(args) and args[index].startswith(("-", "+")) and args[index] not in ("-", "--"):
        word = args[index]
        if word in ("--version", "--help"):
            return
        if re.fullmatch(r"-\w*c\w*", word):
            rest = [part for part in args[index + 1 :] if not re.fullmatch(r"[-+]\w+", part)]
            if not rest or not is_exact(rest[0]):
                raise Unparsable("the script of a shell's -c isn't known before it runs")
            yield Nested(rest[0], command)
            return
        if "rcfile" in word or "init-file" in word:
            raise Unparsable("a shell is given a start-up file")
        if re.fullmatch(r"-\w*s\w*", word):
            break
        index += 2 if word in SHELL_VALUED or re.fullmatch(r"[-+][a-zA-Z]*[oO]", word) else 1
    rest = [word for word in args[index:] if word not in ("-", "--", "-s")]
    if rest and "-s" not in args:
        yield ScriptFile(rest[0], command)
    elif command.input.text is not None:
        yield Nested(command.input.text, command)
    elif command.input.piped and command.input.feeds and all(map(is_exact, command.input.feeds)):
        yield Nested("\n".join(command.input.feeds), command)
    else:
        raise Unparsable(f"what `{program(command)}` would run isn't known before it runs")


def _source(command: Command, args: list[str]) -> Iterator[ScriptFile]:
    if args:
        yield ScriptFile(args[0], command, sourced=True)


def _trap(command: Command, args: list[str]) -> Iterator[Nested]:
    operands = [word for word in args if word not in ("--", "-")]
    if not operands or operands[0] in ("-l", "-p"):
        return
    if not is_exact(operands[0].replace(JOB, "")):
        raise Unparsable(f"the trap {shown(operands[0])!r} isn't known before it runs")
    yield Nested(operands[0].replace(JOB, "$!"), command)


def _started(name: str, args: list[str]) -> Iterator[str]:
    """The command lines that nodemon, pm2 and hyperfine are given as text."""
    valued = name_set("-w --warmup -r --runs -m --min-runs -M --max-runs -n --command-name --export-json")
    if name == "nodemon":
        for word, after in itertools.pairwise((*args, "")):
            if word in ("-x", "--exec"):
                yield after
            elif word.startswith("--exec="):
                yield word.partition("=")[2]
    elif name == "hyperfine":
        for before, word in itertools.pairwise(("", *args)):
            if not word.startswith("-") and before not in valued:
                yield word
    elif name == "pm2" and args[:1] == ["start"]:
        started = next((word for word in args[1:] if not word.startswith("-")), "")
        if " " in started or not re.search(r"[./]", started):
            yield started


def _watched(command: Command, args: list[str], name: str) -> Iterator[Nested]:
    if name == "watch":
        _, rest = operands_after(args, name_set("-n --interval"))
        scripts = [" ".join(rest)] if rest else []
    elif name == "concurrently":
        valued = name_set(
            "-n --names -c --prefix-colors -p --prefix --restart-tries -m --max-processes -s --success"
        )
        scripts = [
            w for i, w in enumerate(args) if not w.startswith("-") and (i == 0 or args[i - 1] not in valued)
        ]
    else:
        scripts = list(_started(name, args))
    for script in scripts:
        if not is_exact(script):
            raise Unparsable(f"what `{name}` would run isn't known before it runs")
        short = re.fullmatch(r"(?:npm|pnpm|yarn|bun):([\w:*-]+)", script)
        yield Nested(
            f"npm run {short[1]}" if short and "*" not in short[1] else "npm run all" if short else script,
            command,
        )

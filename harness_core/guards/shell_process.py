"""Rules for signals: a session ends its own processes, never the harness, the CLI or a neighbour's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from harness_core.guards import GuardContext, Process
from harness_core.guards.patterns import lazy
from harness_core.guards.shell_script import Command
from harness_core.guards.shell_unwrap import program
from harness_core.guards.shell_words import JOB, PIDS, SPACE, is_exact, shown

HARNESS_SAMPLES = (
    "claude",
    "claude --output-format stream-json --verbose",
    "longwatch",
    "longwatch run . --headless",
    "/usr/bin/longwatch attach",
    "python -m harness_core .",
    "python3 -m harness_core .",
    "python3 -m tui",
    "bash",
    "sshd",
    "systemd",
)
"""Command lines that a pattern must not match: the harness, its CLI, the machine's own."""
DEV_SERVERS = frozenset({"node", "npm", "npx", "vite", "next"})
"""What `pkill` may name in the profile `quickstart`."""

OWN = (
    "A session ends only what it started: use `kill %1`, `kill $!`, "
    "or a pattern that matches only your own process."
)
_SIGNAL = lazy(
    r"-(\d+|(SIG)?(HUP|INT|QUIT|ILL|TRAP|ABRT|BUS|FPE|KILL|USR[12]|SEGV|PIPE|ALRM|TERM|CHLD|CONT|STOP|TSTP"
    r"|TTIN|TTOU|WINCH)|s|n)"
)


def process_problem(command: Command, ctx: GuardContext) -> str | None:
    """Why a kill, pkill, killall or fuser may not run, or None."""
    name = program(command)
    args = list(command.argv[1:])
    if name == "kill":
        return _kill(args, ctx)
    if name == "pkill":
        return _pkill(args, ctx)
    if name == "killall":
        return _killall(args, ctx)
    if name == "fuser" and any(re.fullmatch(r"-\w*[kK]\w*|--kill", word) for word in args):
        return _fuser(args, ctx)
    return None


def _kill(args: list[str], ctx: GuardContext) -> str | None:
    if args[:1] and args[0] in ("-l", "-L", "--list"):
        return None
    probes = args[:1] == ["-0"] or args[:2] in (["-s", "0"], ["-n", "0"])
    if args and args[0] in ("-s", "-n", "--signal"):
        args = args[2:]
    elif args and (_SIGNAL.fullmatch(args[0]) or args[0].startswith("--signal=")) and len(args) > 1:
        args = args[1:]
    targets = [word for word in args if word != "--"]
    if probes:
        return None
    if not targets:
        return f"`kill` names no process. {OWN}"
    own = {process.pid for process in ctx.own_processes()}
    for word in targets:
        if word.startswith(PIDS):
            problem = _asked_for(word.removeprefix(PIDS), ctx)
            if problem:
                return problem
            continue
        if re.fullmatch(r"%(\d+|[%+-]?|\??[\w-]+)", word) or word == JOB:
            continue
        if not word.isdigit() or int(word) not in own or int(word) <= 1:
            return f"`kill {shown(word)}`: that isn't known to be a process of this session. {OWN}"
    return None


def _asked_for(query: str, ctx: GuardContext) -> str | None:
    """Whether processes that `lsof` or `pgrep` will name may be ended."""
    kind, _, text = query.partition(":")
    if kind == "port":
        return _port(int(text), ctx)
    words = text.replace(SPACE * 2, "\n").split(SPACE)
    return _pkill([word.replace("\n", " ") for word in words], ctx)


def _port(port: int, ctx: GuardContext) -> str | None:
    own = {process.pid for process in ctx.own_processes()}
    foreign = sorted(ctx.port_holders(port) - own)
    if foreign:
        return f"port {port} is held by process {foreign[0]}, which isn't this session's. {OWN}"
    return None


def _fuser(args: list[str], ctx: GuardContext) -> str | None:
    operands = [word for word in args if not word.startswith("-") and word not in ("tcp", "udp")]
    ports = [re.fullmatch(r"(\d+)(/(tcp|udp))?", word) for word in operands]
    if not operands or not all(ports) or not ("tcp" in " ".join(args) or "udp" in " ".join(args)):
        return f"`fuser -k` ends whatever holds a file. {OWN}"
    problems = (_port(int(found[1]), ctx) for found in ports if found)
    return next((problem for problem in problems if problem), None)


def _pkill(args: list[str], ctx: GuardContext) -> str | None:
    full = exact = ignore = False
    patterns: list[str] = []
    for word in args:
        if _SIGNAL.fullmatch(word) and word not in ("-s", "-n"):
            continue
        if re.fullmatch(r"-[fxinoe]+|--(full|exact|ignore-case|newest|oldest|echo|signal=\w+)", word):
            full |= ("f" in word and not word.startswith("--")) or word == "--full"
            exact |= ("x" in word and not word.startswith("--")) or word == "--exact"
            ignore |= ("i" in word and not word.startswith("--")) or word == "--ignore-case"
        elif word.startswith("-") and word != "--":
            return f"`pkill {shown(word)}` chooses processes by more than their name. {OWN}"
        elif word != "--":
            patterns.append(word)
    if len(patterns) != 1 or not is_exact(patterns[0]) or not patterns[0].strip():
        return f"`pkill` needs one plain pattern. {OWN}"
    pattern = patterns[0]
    if ctx.profile == "quickstart" and pattern.split()[0] not in DEV_SERVERS:
        return f"`pkill {pattern}`: this profile ends only {', '.join(sorted(DEV_SERVERS))}. {OWN}"
    try:
        matcher = lazy(pattern, re.IGNORECASE if ignore else 0)
    except re.error:
        return f"`pkill {pattern}`: the pattern can't be read. {OWN}"

    def hits(line: str) -> bool:
        text = line if full else _short(line)
        return bool(matcher.fullmatch(text) if exact else matcher.search(text))

    if any(hits(sample) for sample in HARNESS_SAMPLES):
        return f"`pkill {pattern}` would match the harness or the shell it runs in. {OWN}"
    matched = (process for process in ctx.all_processes() if hits(process.command))
    return _foreign(matched, ctx, f"pkill {pattern}")


def _killall(args: list[str], ctx: GuardContext) -> str | None:
    names = [word for word in args if not word.startswith("-")]
    odd = [
        w
        for w in args
        if w.startswith("-") and not _SIGNAL.fullmatch(w) and w not in ("-q", "-e", "-w", "-v")
    ]
    if odd or not names or not all(is_exact(word) for word in names):
        return f"`killall` needs plain names and no other choice. {OWN}"
    for name in names:
        if any(_short(sample) == name for sample in HARNESS_SAMPLES):
            return f"`killall {name}` would match the harness or the shell it runs in. {OWN}"
        problem = _foreign(
            (p for p in ctx.all_processes() if _short(p.command) == name), ctx, f"killall {name}"
        )
        if problem:
            return problem
    return None


def _short(line: str) -> str:
    """The process name as the kernel keeps it."""
    words = line.split()
    return PurePosixPath(words[0]).name[:15] if words else ""


def _foreign(matched: Iterable[Process], ctx: GuardContext, what: str) -> str | None:
    own = {process.pid for process in ctx.own_processes()}
    foreign = [process for process in matched if process.pid not in own]
    if foreign:
        return f"`{what}` would also end process {foreign[0].pid}, which isn't this session's. {OWN}"
    return None

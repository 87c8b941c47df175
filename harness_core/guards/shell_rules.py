"""Rules by argument: what a program that is on the list may still not be asked to do."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from harness_core.guards import GuardContext
from harness_core.guards.patterns import lazy
from harness_core.guards.shell_code import inline_code, without_joins
from harness_core.guards.shell_environment import (
    declare_problem,
    env_problem,
    envsubst_problem,
    jq_problem,
    printenv_problem,
    secrets_problem,
    set_problem,
)
from harness_core.guards.shell_filters import awk_problem, script_files, sed_problem
from harness_core.guards.shell_network import network_problem
from harness_core.guards.shell_options import split_options
from harness_core.guards.shell_packages import package_problem
from harness_core.guards.shell_process import process_problem
from harness_core.guards.shell_profiles import FORBIDDEN
from harness_core.guards.shell_script import Command
from harness_core.guards.shell_targets import (
    STREAMS,
    copies_problem,
    reading_problem,
    target_problem,
    whole_reading_problem,
)
from harness_core.guards.shell_unwrap import program
from harness_core.guards.shell_variables import setting_problem
from harness_core.guards.shell_words import exact_prefix, is_exact, name_set, shown
from harness_core.guards.shell_writes import writes

EXECUTING: Mapping[str, re.Pattern[str]] = {
    "tar": lazy(
        r"--checkpoint-action.*|--to-command.*|--use-compress-program.*|-I.*"
        r"|--rsh-command.*|-F.*|--info-script.*|--absolute-names|-[A-Za-z]*P[A-Za-z]*|[cxtru][A-Za-z]*P[A-Za-z]*"
    ),
    "sort": lazy(r"--compress-program.*"),
    "zip": lazy(r"-TT|--unzip-command.*"),
    "rg": lazy(r"--pre(=.*)?|--hostname-bin.*"),
    "fd": lazy(r"-[xX].*|--exec.*"),
    "fdfind": lazy(r"-[xX].*|--exec.*"),
    "man": lazy(r"-P.*|--pager.*|-H.*"),
    "less": lazy(r"\+!.*|-[kK].*"),
    "split": lazy(r"--filter.*"),
    "shopt": lazy(r"expand_aliases"),
    "hash": lazy(r"-p"),
    "history": lazy(r"-[a-zA-Z]*[anrw][a-zA-Z]*"),
    "mapfile": lazy(r"-C.*"),
    "readarray": lazy(r"-C.*"),
    "declare": lazy(r"-\w*n\w*"),
    "typeset": lazy(r"-\w*n\w*"),
    "local": lazy(r"-\w*n\w*"),
    "psql": lazy(r"--set=.*HOOK.*"),
    "go": lazy(r"--?(exec|toolexec|vettool)(=.*)?"),
    **dict.fromkeys(
        ("gcc", "g++", "cc", "c++", "clang", "clang++"), lazy(r"-wrapper|-B.*|-specs=.*|-fplugin.*")
    ),
    "cargo": lazy(r".*(runner|linker|wrapper|rustc)\s*=.*"),
    **dict.fromkeys(
        ("make", "gmake"), lazy(r".*\$[({]shell.*|-[a-zA-Z]*p[a-zA-Z]*|--print-data-base", re.DOTALL)
    ),
    "php": lazy(r"-i|--info"),
    "unset": lazy(r"LONGWATCH\w*"),
    "node": lazy(r"--inspect-brk=0\.0\.0\.0.*"),
    "ps": lazy(r"(?!-)[a-zA-Z]*e[a-zA-Z]*|-[a-zA-Z]*E[a-zA-Z]*"),
}
"""Options that run another program, or show what is hidden; matched against each whole argument."""
RECURSIVE: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(("grep", "egrep", "fgrep", "zip"), lazy(r" -\w*[rR]| --recursive")),
    "cp": lazy(r" -\w*[rRa]| --recursive| --archive"),
    **dict.fromkeys(("rg", "ag", "tar", "rsync"), lazy("")),
}
"""Programs that read all files below a folder, and the arguments that make them."""
TEXT_ONLY = name_set("echo printf : true false test [ export unset set trap")
"""Programs whose words aren't files that they read."""
PATTERN_FIRST = name_set("grep egrep fgrep rg ag ack sed awk gawk mawk jq yq perl")

MODE_FREE = lazy(r"[ugoa]*[+-][rwxX]*(,[ugoa]*[+-][rwxX]*)*|[ugoa]*=[rwxX]*(,[ugoa]*[=+-][rwxX]*)*")
ONLY_EXECUTABLE = lazy(r"[ugoa]*\+x")

Rule = Callable[[Command, GuardContext], str | None]


def redirect_problem(command: Command, ctx: GuardContext) -> str | None:
    """Why a redirection may not happen, or None."""
    for redirect in command.redirects:
        target = redirect.target
        if exact_prefix(target).startswith(("/dev/tcp", "/dev/udp")):
            return f"{shown(target)} is a network connection. Only curl to loopback is open."
        if redirect.writes:
            if ctx.read_only and not STREAMS.fullmatch(target):
                return f"writing to {shown(target)}: this role only reads. Let the output come to you."
            problem = target_problem(target, command.cwds, ctx.root)
        else:
            problem = reading_problem(target, command.cwds, ctx.root)
        if problem:
            return problem
    return None


def argument_problem(command: Command, ctx: GuardContext) -> str | None:
    """Why a program may not be run with these arguments, or None. Its name has been judged before."""
    name = program(command)
    hidden = EXECUTING.get(name)
    for word in command.argv[1:]:
        if hidden and hidden.fullmatch(word):
            return (
                f"`{name} {shown(word)}` runs another program or shows what is hidden. Leave that option out."
            )
    rule = RULES.get(name)
    return (
        (rule(command, ctx) if rule else None)
        or secrets_problem(command)
        or network_problem(command)
        or package_problem(command, ctx)
        or files_problem(command, ctx)
    )


def files_problem(command: Command, ctx: GuardContext) -> str | None:
    """Why the files that a command names may not be read or written, or None."""
    root, cwds = ctx.root, command.cwds
    name = program(command)
    for write in writes(command):
        if ctx.read_only and not STREAMS.fullmatch(write.target):
            return f"`{name}` would write {shown(write.target)}: this role only reads."
        if write.source is not None:
            problem = copies_problem(write.target, write.source, cwds, root)
        elif name == "mkdir" and write.target.rstrip("/") in (".", str(root)):
            problem = None
        else:
            problem = target_problem(write.target, cwds, root, whole=write.whole)
        if problem:
            return f"`{name}`: {problem}"
    for word in reading_words(command):
        problem = reading_problem(word, cwds, root)
        if not problem and name in RECURSIVE and RECURSIVE[name].search(" ".join(command.argv)):
            problem = whole_reading_problem(word, cwds, root)
        if problem:
            return f"`{name}`: {problem}"
    return None


def reading_words(command: Command) -> list[str]:
    """The arguments that may be files to read."""
    name = program(command)
    args = list(command.argv[1:])
    if name in TEXT_ONLY:
        return []
    words = []
    patterned = name in PATTERN_FIRST and not any(
        re.match(r"-e|--expression|-f|--regexp", word) for word in args
    )
    previous = ""
    for word in args:
        if patterned and not word.startswith("-"):
            patterned = False
        elif not (
            word.startswith((":!", ":(exclude)", ":^", "!"))
            or word.startswith(("--exclude", "--ignore"))
            or previous.startswith(("--exclude", "--ignore"))
            or (
                name in ("find", "fd")
                and previous in ("-path", "-name", "-iname", "-wholename", "-ipath", "-regex", "-E")
            )
            or (name == "git" and previous in ("-m", "--message", "-F"))
        ):
            words.append(word)
        previous = word
    return words


# -- single programs ---------------------------------------------------------------------------------


def _chmod(command: Command, ctx: GuardContext) -> str | None:
    args = list(command.argv[1:])
    if ctx.profile == "quickstart":
        if (
            len(args) < 2
            or not ONLY_EXECUTABLE.fullmatch(args[0])
            or any(word.startswith("-") for word in args)
        ):
            return "`chmod`: this profile only makes files executable: `chmod +x FILE`."
        return None
    operands = [word for word in args if not re.fullmatch(r"-[RvcfHLP]+|--[\w-]+(=.*)?", word)]
    return _mode(operands[0], "chmod") if operands else None


def _mode(mode: str, name: str) -> str | None:
    """Set-id bits and modes that let anyone write are refused."""
    if re.fullmatch(r"[0-7]{1,5}", mode):
        number = int(mode, 8)
        refused = bool(number & 0o6002)
    else:
        refused = not MODE_FREE.fullmatch(mode) or any(
            "w" in clause and re.match(r"[ug]*[oa][ugoa]*[+=]", clause) for clause in mode.split(",")
        )
    if refused:
        return (
            f"`{name} {shown(mode)}` opens a file to everyone or gives it another's rights. "
            "Use 755, 644, +x or u+w."
        )
    return None


def _with_mode(command: Command, ctx: GuardContext) -> str | None:
    options, _ = split_options(command.argv[1:], "-m --mode -o -g -t")
    mode = options.get("-m") or options.get("--mode")
    return _mode(mode, program(command)) if mode else None


def _umask(command: Command, ctx: GuardContext) -> str | None:
    if any(re.fullmatch(r"0*[0-7]?[01]|u=rwx,g=rwx,o=rwx", word) for word in command.argv[1:]):
        return "`umask` would make new files writable for everyone. Leave it as it is."
    return None


def _scripted(command: Command, ctx: GuardContext) -> str | None:
    args = list(command.argv[1:])
    texts: list[str] = []
    for name in script_files(args):
        text = _text_of(name, command)
        if text is None:
            return f"`{program(command)} -f {shown(name)}`: it can't be read beforehand. Give it as text."
        texts.append(text)
    problem, files = (sed_problem if program(command) == "sed" else awk_problem)(args, texts)
    if problem:
        return f"`{program(command)}`: {problem}"
    for name in files:
        if ctx.read_only and not STREAMS.fullmatch(name):
            return f"`{program(command)}` would write {shown(name)}: this role only reads."
        found = target_problem(name, command.cwds, ctx.root)
        if found:
            return f"`{program(command)}`: {found}"
    return None


def _text_of(name: str, command: Command) -> str | None:
    for cwd in command.cwds:
        path = (cwd or Path("/")) / name
        try:
            return path.read_text("utf-8", "replace") if is_exact(name) and path.is_file() else None
        except OSError:
            return None
    return None


def _link(command: Command, ctx: GuardContext) -> str | None:
    """A link must not become another name for something closed, or a door out of the run."""
    options, operands = split_options(command.argv[1:], "-t --target-directory -S --suffix")
    folder = options.get("-t") or options.get("--target-directory")
    sources = operands if folder or len(operands) == 1 else operands[:-1]
    link = folder or (operands[-1] if len(operands) > 1 else ".")
    symbolic = "-s" in options or "--symbolic" in options
    bases = tuple(_folder_of_link(link, cwd) for cwd in command.cwds) if symbolic else command.cwds
    for source in sources:
        problem = target_problem(source, bases, ctx.root, whole=True)
        if problem:
            return f"`ln` to {shown(source)} would make another way to a place that is closed: {problem}"
    return None


def _folder_of_link(link: str, cwd: Path | None) -> Path | None:
    """Where a relative target of a symbolic link starts."""
    if not is_exact(link) or cwd is None:
        return None
    path = cwd / link
    return path if path.is_dir() else path.parent


HARNESS_CODE = lazy(r"(?:^|.*/)(?:harness_core|tui)/.*\.pyc?")
HARNESS_IMPORT = lazy(
    r"\b(?:from|import)\s+(?:[\w.]+(?:\s+as\s+\w+)?\s*,\s*)*(harness_core|tui)\b"
    r"|(?:__import__|import_module|run_module|find_spec)\s*\(\s*['\"](harness_core|tui)\b"
)


def _python(command: Command, ctx: GuardContext) -> str | None:
    for module in _modules(command):
        reason = FORBIDDEN.get(module)
        package = module.partition(".")[0]
        if package == "harness_core" or (package == "tui" and not _has_own("tui", command)):
            reason = FORBIDDEN["longwatch"]
        if reason:
            return f"`python` with {shown(module)}: {reason}."
    for word in command.argv[1:]:
        if HARNESS_CODE.fullmatch(word) and target_problem(word, command.cwds, ctx.root):
            return f"`python {shown(word)}`: {FORBIDDEN['longwatch']}."
    return None


def _modules(command: Command) -> Iterator[str]:
    """The module that Python is to run, and those of the harness that its inline code imports."""
    for word, after in itertools.pairwise((*command.argv[1:], "")):
        found = re.fullmatch(r"-[bBdEiIOPqsSuvx]*m(.*)", word)
        if found:
            yield found[1] or after
            break
    for code in inline_code(command):
        for package, named in HARNESS_IMPORT.findall(without_joins(code)):
            yield package or named


def _has_own(package: str, command: Command) -> bool:
    """Whether Python, started where the command starts it, finds a package of the run by that name."""
    if any(re.fullmatch(r"-\w*[IP]\w*", word) for word in command.argv[1:]):
        return False
    return all(
        cwd is not None and ((cwd / package / "__init__.py").is_file() or (cwd / f"{package}.py").is_file())
        for cwd in command.cwds
    )


def _shells_out(command: Command, ctx: GuardContext) -> str | None:
    """Database shells have commands that start programs or write files."""
    texts = [*command.argv[1:], command.input.text or "", *command.input.feeds]
    for text in texts:
        if re.search(
            r"(?m)^\s*\\!|;\s*\\!|^\s*\.(shell|system|load)\b|\bsystem\s+\w|\bFROM\s+PROGRAM\b"
            r"|\bTO\s+PROGRAM\b|\\copy.*program|(?m:^\s*\\\w+[^\n]*`)"
            r"|(?m:^\s*\.(?:import|output|once|excel|read)\s+['\"]*\|)|\bload_extension\s*\(|\bwritefile\s*\((?!\s*')",
            text,
            re.I,
        ):
            return f"`{program(command)}`: its shell escape runs another program. Run the program plainly."
        for found in re.finditer(
            r"(?mi)(?:^\s*(?:\.(?:output|once|save|backup|log|excel|dump)|\\o)\s+"
            r"|\bwritefile\s*\(\s*(?=')|\b(?:to|outfile|dumpfile|attach(?:\s+database)?)\s+(?='))([^\s,)]+)",
            text,
        ):
            problem = target_problem(found[1].strip("'\""), command.cwds, ctx.root)
            if problem:
                return f"`{program(command)}`: {problem}"
    return None


def _git(command: Command, ctx: GuardContext) -> str | None:
    from harness_core.guards.shell_git import git_problem  # noqa: PLC0415  (only where a command is git)

    return git_problem(command, ctx)


RULES: Mapping[str, Rule] = {
    "git": _git,
    "chmod": _chmod,
    "install": _with_mode,
    "mkdir": _with_mode,
    "mkfifo": _with_mode,
    "umask": _umask,
    "printenv": printenv_problem,
    "env": env_problem,
    "set": set_problem,
    "jq": jq_problem,
    "envsubst": envsubst_problem,
    **dict.fromkeys(("export", "declare", "typeset", "readonly", "local"), declare_problem),
    **dict.fromkeys(("read", "mapfile", "readarray", "printf", "getopts"), setting_problem),
    **dict.fromkeys(("sed", "awk", "gawk", "mawk", "nawk"), _scripted),
    **dict.fromkeys(("kill", "pkill", "killall", "fuser"), process_problem),
    **dict.fromkeys(("python", "python2", "python3"), _python),
    **dict.fromkeys(("sqlite3", "psql", "mysql", "mariadb", "duckdb", "mongosh"), _shells_out),
    "ln": _link,
}
"""The rule of each program that has one of its own."""

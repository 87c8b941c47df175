"""Rules by argument: what a program that is on the list may still not be asked to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from harness_core.guards import GuardContext
from harness_core.guards.shell_code import is_secret_name
from harness_core.guards.shell_filters import awk_problem, script_files, sed_problem
from harness_core.guards.shell_git import git_problem
from harness_core.guards.shell_network import network_problem
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
from harness_core.guards.shell_words import HIDDEN_RUN, exact_prefix, is_exact, name_set, shown
from harness_core.guards.shell_writes import split_options, writes

WHOLE_ENVIRONMENT = (
    "it prints the whole environment, and the credentials in it. Ask for one variable: `printenv NAME`."
)
LINKING = frozenset({"ln"})
EXECUTING: Mapping[str, re.Pattern[str]] = {
    "tar": re.compile(
        r"--checkpoint-action.*|--to-command.*|--use-compress-program.*|-I.*"
        r"|--rsh-command.*|-F.*|--info-script.*"
    ),
    "sort": re.compile(r"--compress-program.*"),
    "zip": re.compile(r"-TT|--unzip-command.*"),
    "rg": re.compile(r"--pre(=.*)?|--hostname-bin.*"),
    "fd": re.compile(r"-[xX].*|--exec.*"),
    "fdfind": re.compile(r"-[xX].*|--exec.*"),
    "man": re.compile(r"-P.*|--pager.*|-H.*"),
    "less": re.compile(r"\+!.*|-[kK].*"),
    "split": re.compile(r"--filter.*"),
    "shopt": re.compile(r"expand_aliases"),
    "hash": re.compile(r"-p"),
    "history": re.compile(r"-[a-zA-Z]*[anrw][a-zA-Z]*"),
    "mapfile": re.compile(r"-C.*"),
    "readarray": re.compile(r"-C.*"),
    "declare": re.compile(r"-\w*n\w*"),
    "typeset": re.compile(r"-\w*n\w*"),
    "local": re.compile(r"-\w*n\w*"),
    "psql": re.compile(r"--set=.*HOOK.*"),
    "go": re.compile(r"--?(exec|toolexec|vettool)(=.*)?"),
    **dict.fromkeys(
        ("gcc", "g++", "cc", "c++", "clang", "clang++"), re.compile(r"-wrapper|-B.*|-specs=.*|-fplugin.*")
    ),
    "cargo": re.compile(r".*(runner|linker|wrapper|rustc)\s*=.*"),
    **dict.fromkeys(("make", "gmake"), re.compile(r".*\$[({]shell.*", re.DOTALL)),
    "unset": re.compile(r"LONGWATCH\w*"),
    "node": re.compile(r"--inspect-brk=0\.0\.0\.0.*"),
    "ps": re.compile(r"(?!-)[a-zA-Z]*e[a-zA-Z]*|-[a-zA-Z]*E[a-zA-Z]*"),
}
"""Options that run another program, or show what is hidden; matched against each whole argument."""
RECURSIVE: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(("grep", "egrep", "fgrep", "zip"), re.compile(r" -\w*[rR]| --recursive")),
    "cp": re.compile(r" -\w*[rRa]| --recursive| --archive"),
    **dict.fromkeys(("rg", "ag", "tar", "rsync"), re.compile("")),
}
"""Programs that read all files below a folder, and the arguments that make them."""
EVALUATING = name_set("let test [ printf read unset declare typeset local export readonly mapfile readarray")
"""Builtins that evaluate array indices in their arguments."""
TEXT_ONLY = name_set("echo printf : true false test [ export unset set trap")
"""Programs whose words aren't files that they read."""
PATTERN_FIRST = name_set("grep egrep fgrep rg ag ack sed awk gawk mawk jq yq perl")

MODE_FREE = re.compile(r"[ugoa]*[+-][rwxX]*(,[ugoa]*[+-][rwxX]*)*|[ugoa]*=[rwxX]*(,[ugoa]*[=+-][rwxX]*)*")
ONLY_EXECUTABLE = re.compile(r"[ugoa]*\+x")

_SYSTEM_BIN = r"/(usr/(local/)?)?s?bin|/opt/[\w./-]*bin|/home/linuxbrew/[\w./-]*bin|/snap/bin"
_HOME_BIN = (
    r"/[\w./-]+/(\.cargo|\.local|go|\.go|\.bun|\.deno|\.volta|\.dotnet|\.npm-global|\.poetry|\.yarn|\.rbenv"
    r"|\.pyenv|\.nvm|\.fnm|\.asdf|\.composer/vendor|flutter)(/[\w./-]*)?(bin|shims)?"
)
SAFE_PATH_ENTRY = re.compile(
    rf"({_SYSTEM_BIN}|{_HOME_BIN}|\ue000|[\w./-]*node_modules/\.bin/?|[\w./-]*\.?venv/bin/?)"
)
_HARMLESS_PROGRAM = re.compile(r"(cat|less|more|true|:|none|/bin/true|/usr/bin/true|echo|)( -[A-Za-z]+)*")
_NEVER = re.compile(r"(?!)")
_ANYTHING = re.compile(r".*", re.DOTALL)
_NODE_OPTIONS = re.compile(
    r"(\s*--(max[-_]old[-_]space[-_]size=\S+|experimental-[\w-]+|no-[\w-]+"
    r"|enable-source-maps|trace-[\w-]+|stack-trace-limit=\d+"
    r"|openssl-legacy-provider|unhandled-rejections=\w+|dns-result-order=\w+"
    r"|inspect(=\S+)?|expose-gc|conditions=\S+))*\s*"
)
_LOCAL_ADDRESS = re.compile(r"(https?://)?(localhost|127\.0\.0\.1|\[?::1\]?|/[\w./-]*)?(:\d+)?/?")
_COMPILER = re.compile(
    r"((ccache|zig) )?(([\w-]+-)?(gcc|g\+\+|cc|c\+\+|clang|clang\+\+|tcc|cpp|ld|lld|ar|as|gfortran)"
    r"|emcc|em\+\+|emar)"
    r"([-.\d]*)( -[\w=.,+/-]+)*"
)
VARIABLES: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = (
    (
        re.compile(
            r"LD_\w+|DYLD_\w+|BASH_ENV|ENV|PROMPT_COMMAND|SHELLOPTS|BASHOPTS|PS4|CDPATH"
            r"|GLOBIGNORE|EXECIGNORE|BASH_FUNC.*"
        ),
        _NEVER,
    ),
    (
        re.compile(
            r"GIT_(AUTHOR|COMMITTER)_\w+|GIT_(TERMINAL_PROMPT|MERGE_AUTOEDIT"
            r"|OPTIONAL_LOCKS|TRACE\w*|CURL_VERBOSE)"
        ),
        _ANYTHING,
    ),
    (
        re.compile(r"GIT_(PAGER|EDITOR|SEQUENCE_EDITOR)|PAGER|MANPAGER|EDITOR|VISUAL|BROWSER|BAT_PAGER"),
        _HARMLESS_PROGRAM,
    ),
    (re.compile(r"GIT_\w+|SSH_\w+|LESSOPEN|LESSCLOSE|LESS_\w+"), _NEVER),
    (re.compile(r"NODE_OPTIONS"), _NODE_OPTIONS),
    (
        re.compile(
            r"PYTHONSTARTUP|PYTHONHOME|PYTHONBREAKPOINT|PERL5(OPT|DB)|RUBYOPT"
            r"|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS"
        ),
        _NEVER,
    ),
    (
        re.compile(
            r"(?i)npm_config_(script_shell|node_options|shell|userconfig|globalconfig|yes)"
            r"|RUSTC(_WORKSPACE)?_WRAPPER|MAKEFLAGS|MAKE"
        ),
        _NEVER,
    ),
    (
        re.compile(r"HOME|SHELL|CLAUDE_\w+|ANTHROPIC_\w+|LONGWATCH\w*|IS_SANDBOX|XDG_CONFIG_HOME|TMPDIR"),
        _NEVER,
    ),
    (re.compile(r"(?i)(https?|all|ftp)_proxy"), _LOCAL_ADDRESS),
    (re.compile(r"PGHOST(ADDR)?|MYSQL_HOST|REDIS_HOST"), _LOCAL_ADDRESS),
    (
        re.compile(
            r"PIP_(EXTRA_)?INDEX_URL|PIP_(FIND_LINKS|CONFIG_FILE)|UV_\w*INDEX\w*|(?i:npm_config_\w*registry)"
            r"|YARN_\w*REGISTRY\w*|RUSTC|RUSTDOC|CARGO_BUILD_RUSTC|CARGO_TARGET_\w+_(RUNNER|LINKER)|TAR_OPTIONS"
            r"|RSYNC_RSH|PSQL_\w+|PGSERVICE\w*|DOCKER_(HOST|CONTEXT|CONFIG)|UNZIP|ZIPOPT|GREP_OPTIONS"
        ),
        _NEVER,
    ),
    (re.compile(r"LESS"), re.compile(r"-?\w*")),
    (re.compile(r"GOFLAGS"), re.compile(r"(?!.*(exec|vettool)).*")),
    (re.compile(r"RUSTFLAGS"), re.compile(r"(?!.*linker).*")),
    (re.compile(r"CC|CXX|CPP|LD|AR|AS|FC"), _COMPILER),
    (re.compile(r"IFS"), re.compile(r"\s*|,|:|;|\||=")),
)
"""Variables that change what programs do: (name, values that are harmless). Others are free."""

Rule = Callable[[Command, GuardContext], str | None]


def assignment_problem(command: Command) -> str | None:
    """Why an assignment may not be made, or None."""
    evaluated = (value for _, value in command.assigns)
    words = (*command.argv[1:], command.input.text or "") if program(command) in EVALUATING else ()
    if any(HIDDEN_RUN.search(text) for text in (*evaluated, *words)):
        return (
            "a value with a substitution as an array index runs when arithmetic reads it. Write it plainly."
        )
    for name, value in command.assigns:
        if name == "PATH":
            if not all(
                SAFE_PATH_ENTRY.fullmatch(entry) for entry in value.split(":") if entry
            ) or value.startswith(":"):
                return (
                    "this PATH would put other programs before the known ones. Call the "
                    "program by its path, or leave PATH."
                )
            continue
        for pattern, harmless in VARIABLES:
            if pattern.fullmatch(name):
                if not harmless.fullmatch(value) or (
                    name == "IFS" and value.strip() and program(command) != "read"
                ):
                    return (
                        f"setting {name} changes which programs run or where they look. Run "
                        "the command without it."
                    )
                break
    return None


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


def secrets_problem(command: Command) -> str | None:
    """Why a command would show a credential of the environment, or None."""
    name = program(command)
    if name in ("[", "test"):
        return None
    for variable in sorted(command.reveals | command.input.reveals):
        if is_secret_name(variable):
            check = f'`[ -n "${{{variable}:+x}}" ]`'
            return f"`${variable}` is a credential of the environment. To check whether it is set: {check}."
    return None


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


def _printenv(command: Command, ctx: GuardContext) -> str | None:
    names = [word for word in command.argv[1:] if not word.startswith("-")]
    if not names:
        return f"`printenv`: {WHOLE_ENVIRONMENT}"
    return _shows(names)


def _shows(names: list[str]) -> str | None:
    for name in names:
        if not is_exact(name) or is_secret_name(name):
            return (
                f"{shown(name)} is or may be a credential, which isn't printed. Check only whether it is set."
            )
    return None


def _env(command: Command, ctx: GuardContext) -> str | None:
    if any(re.search(r"^(--unset=|-u)?LONGWATCH\w*$", word) for word in command.argv[1:]):
        return "`env` without the marks of its session hides a process from the operator. Leave them."
    rest = [word for word in command.argv[1:] if not word.startswith("-") and not re.match(r"\w+=", word)]
    if not rest and not {"--version", "--help"} & set(command.argv):
        return f"`env`: {WHOLE_ENVIRONMENT}"
    return None


_JQ_ENVIRONMENT = re.compile(r"(?:(?<![.\w\"$])env\b|\$ENV\b)(?!\s*:)(?:\s*\.\s*(\w+)|\s*\[\s*\"(\w+)\")?")


def _jq(command: Command, ctx: GuardContext) -> str | None:
    for word in command.argv[1:]:
        if re.fullmatch(r"-{1,2}[\w-]+", word):
            continue
        for found in _JQ_ENVIRONMENT.finditer(word):
            name = found[1] or found[2]
            problem = _shows([name]) if name else f"`jq {found[0]}`: {WHOLE_ENVIRONMENT}"
            if problem:
                return problem
    return None


def _envsubst(command: Command, ctx: GuardContext) -> str | None:
    given = (command.input.text or "", *command.input.feeds, *command.argv[1:])
    return _shows(sorted(name for text in given for name in re.findall(r"\$\{?(\w+)", text)))


def _set(command: Command, ctx: GuardContext) -> str | None:
    return f"`set`: {WHOLE_ENVIRONMENT}" if len(command.argv) == 1 else None


def _declare(command: Command, ctx: GuardContext) -> str | None:
    names = [word for word in command.argv[1:] if not word.startswith("-")]
    prints = any(re.fullmatch(r"-\w*p\w*", word) for word in command.argv[1:])
    if (
        not names
        and not command.assigns
        and not any(re.fullmatch(r"-[fF]+", word) for word in command.argv[1:])
    ):
        return f"`{command.name}`: {WHOLE_ENVIRONMENT}"
    return _shows(names) if prints else None


def _sets_variable(command: Command, ctx: GuardContext) -> str | None:
    args = command.argv[1:]
    names = (
        args[1:2]
        if command.name == "printf" and args[:1] == ("-v",)
        else args
        if command.name != "printf"
        else ()
    )
    for name in names:
        if name == "PATH" or any(p.fullmatch(name) and safe is not _ANYTHING for p, safe in VARIABLES):
            return f"setting {name} changes which programs run or where they look. Leave it as it is."
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


def _python(command: Command, ctx: GuardContext) -> str | None:
    args = command.argv[1:]
    if "-m" in args[:-1]:
        module = args[args.index("-m") + 1]
        reason = FORBIDDEN.get(module)
        if module.partition(".")[0] in ("harness_core", "tui"):
            reason = FORBIDDEN["longwatch"]
        if reason:
            return f"`python -m {module}`: {reason}."
    return None


def _shells_out(command: Command, ctx: GuardContext) -> str | None:
    """Database shells have commands that start programs or write files."""
    texts = [*command.argv[1:], command.input.text or ""]
    for text in texts:
        if re.search(
            r"(?m)^\s*\\!|;\s*\\!|^\s*\.(shell|system)\b|\bsystem\s+\w|\bFROM\s+PROGRAM\b"
            r"|\bTO\s+PROGRAM\b|\\copy.*program",
            text,
            re.I,
        ):
            return f"`{program(command)}`: its shell escape runs another program. Run the program plainly."
        for found in re.finditer(
            r"(?m)^\s*(?:\.(?:output|once|save|backup|log|excel|dump)|\\o)\s+(\S+)", text
        ):
            problem = target_problem(found[1].strip("'\""), command.cwds, ctx.root)
            if problem:
                return f"`{program(command)}`: {problem}"
    return None


def _git(command: Command, ctx: GuardContext) -> str | None:
    return git_problem(command, ctx)


RULES: Mapping[str, Rule] = {
    "git": _git,
    "chmod": _chmod,
    "install": _with_mode,
    "mkdir": _with_mode,
    "mkfifo": _with_mode,
    "umask": _umask,
    "printenv": _printenv,
    "env": _env,
    "set": _set,
    "jq": _jq,
    "envsubst": _envsubst,
    **dict.fromkeys(("export", "declare", "typeset", "readonly", "local"), _declare),
    **dict.fromkeys(("read", "mapfile", "readarray", "printf", "getopts"), _sets_variable),
    **dict.fromkeys(("sed", "awk", "gawk", "mawk", "nawk"), _scripted),
    **dict.fromkeys(("kill", "pkill", "killall", "fuser"), process_problem),
    **dict.fromkeys(("python", "python2", "python3"), _python),
    **dict.fromkeys(("sqlite3", "psql", "mysql", "mariadb", "duckdb", "mongosh"), _shells_out),
    "ln": _link,
}
"""The rule of each program that has one of its own."""

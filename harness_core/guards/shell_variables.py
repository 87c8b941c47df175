"""Rules for variables: none is set that changes which programs run or where they look."""

from __future__ import annotations

import re

from harness_core.guards import GuardContext
from harness_core.guards.patterns import lazy
from harness_core.guards.shell_script import Command
from harness_core.guards.shell_unwrap import program
from harness_core.guards.shell_words import HIDDEN_RUN, name_set

EVALUATING = name_set("let test [ printf read unset declare typeset local export readonly mapfile readarray")
"""Builtins that evaluate array indices in their arguments."""

_SYSTEM_BIN = r"/(usr/(local/)?)?s?bin|/opt/[\w./-]*bin|/home/linuxbrew/[\w./-]*bin|/snap/bin"
_HOME_BIN = (
    r"/[\w./-]+/(\.cargo|\.local|go|\.go|\.bun|\.deno|\.volta|\.dotnet|\.npm-global|\.poetry|\.yarn|\.rbenv"
    r"|\.pyenv|\.nvm|\.fnm|\.asdf|\.composer/vendor|flutter)(/[\w./-]*)?(bin|shims)?"
)
SAFE_PATH_ENTRY = lazy(
    rf"({_SYSTEM_BIN}|{_HOME_BIN}|\ue000|[\w./-]*node_modules/\.bin/?|[\w./-]*\.?venv/bin/?)"
)
_HARMLESS_PROGRAM = lazy(r"(cat|less|more|true|:|none|/bin/true|/usr/bin/true|echo|)( -[A-Za-z]+)*")
_NEVER = lazy(r"(?!)")
_ANYTHING = lazy(r".*", re.DOTALL)
_NODE_OPTIONS = lazy(
    r"(\s*--(max[-_]old[-_]space[-_]size=\S+|experimental-[\w-]+|no-[\w-]+"
    r"|enable-source-maps|trace-[\w-]+|stack-trace-limit=\d+"
    r"|openssl-legacy-provider|unhandled-rejections=\w+|dns-result-order=\w+"
    r"|inspect(=\S+)?|expose-gc|conditions=\S+))*\s*"
)
_LOCAL_ADDRESS = lazy(r"(https?://)?(localhost|127\.0\.0\.1|\[?::1\]?|/[\w./-]*)?(:\d+)?/?")
_COMPILER = lazy(
    r"((ccache|zig) )?(([\w-]+-)?(gcc|g\+\+|cc|c\+\+|clang|clang\+\+|tcc|cpp|ld|lld|ar|as|gfortran)"
    r"|emcc|em\+\+|emar)"
    r"([-.\d]*)( -[\w=.,+/-]+)*"
)
VARIABLES: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = (
    (
        lazy(
            r"LD_\w+|DYLD_\w+|BASH_ENV|ENV|PROMPT_COMMAND|SHELLOPTS|BASHOPTS|PS4|CDPATH"
            r"|GLOBIGNORE|EXECIGNORE|BASH_FUNC.*"
        ),
        _NEVER,
    ),
    (
        lazy(
            r"GIT_(AUTHOR|COMMITTER)_\w+|GIT_(TERMINAL_PROMPT|MERGE_AUTOEDIT"
            r"|OPTIONAL_LOCKS|TRACE\w*|CURL_VERBOSE)"
        ),
        _ANYTHING,
    ),
    (
        lazy(r"GIT_(PAGER|EDITOR|SEQUENCE_EDITOR)|PAGER|MANPAGER|EDITOR|VISUAL|BROWSER|BAT_PAGER"),
        _HARMLESS_PROGRAM,
    ),
    (lazy(r"GIT_\w+|SSH_\w+|LESSOPEN|LESSCLOSE|LESS_\w+"), _NEVER),
    (lazy(r"NODE_OPTIONS"), _NODE_OPTIONS),
    (
        lazy(
            r"PYTHONSTARTUP|PYTHONHOME|PYTHONBREAKPOINT|PERL5(OPT|DB)|RUBYOPT"
            r"|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS"
        ),
        _NEVER,
    ),
    (
        lazy(
            r"(?i)npm_config_(script_shell|node_options|shell|userconfig|globalconfig|yes)"
            r"|RUSTC(_WORKSPACE)?_WRAPPER|MAKEFLAGS|MAKE"
        ),
        _NEVER,
    ),
    (
        lazy(r"HOME|SHELL|CLAUDE_\w+|ANTHROPIC_\w+|LONGWATCH\w*|IS_SANDBOX|XDG_CONFIG_HOME|TMPDIR"),
        _NEVER,
    ),
    (lazy(r"(?i)(https?|all|ftp)_proxy"), _LOCAL_ADDRESS),
    (lazy(r"PGHOST(ADDR)?|MYSQL_HOST|REDIS_HOST"), _LOCAL_ADDRESS),
    (
        lazy(
            r"PIP_(EXTRA_)?INDEX_URL|PIP_(FIND_LINKS|CONFIG_FILE)|UV_\w*INDEX\w*|(?i:npm_config_\w*registry)"
            r"|YARN_\w*REGISTRY\w*|RUSTC|RUSTDOC|CARGO_BUILD_RUSTC|CARGO_TARGET_\w+_(RUNNER|LINKER)|TAR_OPTIONS"
            r"|RSYNC_RSH|PSQL_\w+|PGSERVICE\w*|DOCKER_(HOST|CONTEXT|CONFIG)|UNZIP|ZIPOPT|GREP_OPTIONS"
        ),
        _NEVER,
    ),
    (lazy(r"LESS"), lazy(r"-?\w*")),
    (lazy(r"GOFLAGS"), lazy(r"(?!.*(exec|vettool)).*")),
    (lazy(r"RUSTFLAGS"), lazy(r"(?!.*linker).*")),
    (lazy(r"CC|CXX|CPP|LD|AR|AS|FC"), _COMPILER),
    (lazy(r"IFS"), lazy(r"\s*|,|:|;|\||=")),
)
"""Variables that change what programs do: (name, values that are harmless). Others are free."""


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


def setting_problem(command: Command, ctx: GuardContext) -> str | None:
    """Why a builtin such as `read` may not set the variables that it names, or None."""
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

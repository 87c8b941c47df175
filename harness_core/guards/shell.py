"""The shell guard: judges a Bash command by everything that it would run.

The command is parsed with Bash's grammar; each simple command in it, and each command that one of those
runs in its turn, must be on the profile's allowlist and pass the rules by argument. What can't be told
beforehand is denied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from harness_core.guards import Denial, GuardContext, ToolCall
from harness_core.guards.paths import Unresolvable, lexical
from harness_core.guards.patterns import lazy
from harness_core.guards.shell_code import code_problem, inline_code, started, with_arguments
from harness_core.guards.shell_packages import carried
from harness_core.guards.shell_parse import parse
from harness_core.guards.shell_profiles import is_known, program_problem
from harness_core.guards.shell_rules import argument_problem, redirect_problem
from harness_core.guards.shell_script import Command, Cwds
from harness_core.guards.shell_unwrap import Nested, ScriptFile, inner, program
from harness_core.guards.shell_variables import SAFE_PATH_ENTRY, assignment_problem
from harness_core.guards.shell_words import Unparsable, is_exact, name_set, shown
from harness_core.guards.shell_writes import writes

GUARD = "shell"
MAX_DEPTH = 6
MAX_SCRIPT = 100_000
VENV_NAMES = frozenset({"venv", ".venv", "env", ".env", "virtualenv", ".virtualenv"})
WRAPPER_SCRIPTS = frozenset({"gradlew", "mvnw"})
COMPILERS = name_set(
    "gcc g++ cc c++ clang clang++ rustc go swiftc ghc zig nim crystal ocaml dune odin v tcc javac"
)
BUILDERS = name_set(
    "make gmake cmake ninja cargo meson bazel just swift stack cabal dune gradle zig go xcodebuild"
)
BINARY_MAGIC = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa\xcf")
START_FILES = frozenset(
    {".bashrc", ".profile", ".bash_profile", ".zshrc", ".zprofile", ".zshenv", "nvm.sh", "sdkman-init.sh"}
)
START_PATHS = lazy(
    r".*/(\.cargo/env|\.deno/env|\.asdf/asdf\.sh|\.ghcup/env|emsdk_env\.sh)|/etc/profile|.*/conda\.sh"
)
HELP = "Write the command out plainly, one step at a time."


class _Scope(NamedTuple):
    """What the rules may know while one script is judged."""

    ctx: GuardContext
    functions: frozenset[str]
    variables: frozenset[str]
    before: tuple[Command, ...]
    """The commands of the script that come earlier."""
    depth: int


def check(call: ToolCall, ctx: GuardContext) -> Denial | None:
    """Judge a call of the tool `Bash`. Other tools pass."""
    if call.tool != "Bash":
        return None
    command = call.input.get("command")
    if not isinstance(command, str):
        return Denial(GUARD, f"Bash came without a command. {HELP}")
    problem = script_problem(command, ctx, (ctx.cwd or ctx.root,))
    return Denial(GUARD, problem) if problem else None


def script_problem(text: str, ctx: GuardContext, cwds: Cwds | None = None, depth: int = 0) -> str | None:
    """Why a Bash script may not run in this context, as a sentence, or None."""
    try:
        script = parse(text, ctx.root, cwds)
        shadowed = next((name for name in sorted(script.functions) if is_known(name) or "/" in name), None)
        if shadowed:
            return f"the function {shadowed!r} would take the place of a program. Give it another name."
        for index, command in enumerate(script.commands):
            scope = _Scope(ctx, script.functions, script.variables, script.commands[:index], depth)
            problem = _command_problem(command, scope)
            if problem:
                return problem
    except Unparsable as error:
        return f"The command can't be judged: {error}. {HELP}"
    except Unresolvable as error:
        return f"{error}. Give a plain path inside the run's directory."
    except RecursionError:
        return f"The command is nested too deeply to be judged. {HELP}"
    return None


def _command_problem(command: Command, scope: _Scope, layers: int = 0) -> str | None:
    ctx = scope.ctx
    problem = assignment_problem(command) or redirect_problem(command, ctx)
    if problem or not command.argv:
        return problem
    if layers > MAX_DEPTH:
        return f"The command is wrapped too often to be judged. {HELP}"
    if command.name in scope.functions and layers == 0:
        return argument_problem(command, ctx)
    command, problem = _program(command, scope)
    problem = problem or argument_problem(command, ctx)
    if problem:
        return problem
    for part in (*inner(command), *carried(command)):
        problem = _part_problem(part, scope, layers)
        if problem:
            return problem
    return _code_problem(command, scope)


def _part_problem(part: Command | Nested | ScriptFile, scope: _Scope, layers: int) -> str | None:
    if isinstance(part, Command):
        return _command_problem(part, scope, layers + 1)
    if isinstance(part, Nested):
        return _nested(part.text, part.command.cwds, scope)
    return _script_file(part, scope)


def _nested(text: str, cwds: Cwds, scope: _Scope) -> str | None:
    if scope.depth >= MAX_DEPTH:
        return f"The command is nested too deeply to be judged. {HELP}"
    return script_problem(text, scope.ctx, cwds, scope.depth + 1)


def _code_problem(command: Command, scope: _Scope) -> str | None:
    for code in inline_code(command):
        problem = code_problem(with_arguments(code, command))
        if problem:
            return f"`{program(command)}`: {problem}"
        for text in started(code, program(command)):
            try:
                parse(text, scope.ctx.root)
            except Unparsable:
                continue
            problem = _nested(text, command.cwds, scope)
            if problem:
                return f"`{program(command)}`: its code starts a command. {problem}"
    return None


# -- which program it is -----------------------------------------------------------------------------


def _program(command: Command, scope: _Scope) -> tuple[Command, str | None]:
    """The command with its program's plain name, and why that program may not run."""
    word, ctx = command.name, scope.ctx
    if not is_exact(word) or not word or re.search(r"[\s{}*?$`~]", word):
        return command, f"which program {shown(word)!r} is isn't known before it runs. Write its name out."
    name = _unversioned(PurePosixPath(word).name or word)
    plain = command._replace(argv=(name, *command.argv[1:]))
    if "/" not in word:
        return plain, program_problem(name, ctx)
    if SAFE_PATH_ENTRY.fullmatch(str(PurePosixPath(word).parent)) and word.startswith("/"):
        inside = Path(word).is_relative_to(ctx.root)
        if not inside:
            return plain, program_problem(name, ctx)
    if ctx.profile == "quickstart" and name == "init.sh":
        return plain, program_problem(name, ctx)
    for cwd in command.cwds:
        problem = _own_program(word, cwd, plain, scope)
        if problem:
            return plain, problem
    return plain, None


def _unversioned(name: str) -> str:
    """`python3.12` and `gcc-13` are `python3` and `gcc`."""
    base = re.sub(r"(-\d+(\.\d+)*|(?<=\d)(\.\d+)+)$", "", name)
    return base if is_known(base) and not is_known(name) else name


def _own_program(word: str, cwd: Path | None, plain: Command, scope: _Scope) -> str | None:
    ctx, name = scope.ctx, plain.name
    if cwd is None and not word.startswith("/"):
        return f"where {word!r} lies isn't known before it runs. Call it from the run's directory."
    path = lexical(ctx.root, str((cwd or Path("/")) / word))
    if path == ctx.root / "init.sh" or (path.is_relative_to(ctx.root) and name in WRAPPER_SCRIPTS):
        return program_problem(name, ctx)
    folder = path.parent
    virtual = folder.name in ("bin", "Scripts") and (
        folder.parent.name in VENV_NAMES or (folder.parent / "pyvenv.cfg").is_file()
    )
    packaged = folder.name == ".bin" and folder.parent.name == "node_modules"
    if path.is_relative_to(ctx.root) and (virtual or packaged):
        known = is_known(name) or ctx.read_only or ctx.profile == "quickstart" or name in ctx.deny
        return program_problem(name, ctx) if known else None
    if path.is_relative_to(ctx.root) and not ctx.read_only and _compiled(path, scope.before):
        return None
    return (
        f"{word}: of the programs in the run, only init.sh at the root, gradlew, mvnw, a "
        "virtual environment's bin/, "
        "node_modules/.bin and what the same command compiles are run by path. Run a "
        "script through its interpreter."
    )


def _compiled(path: Path, before: Sequence[Command]) -> bool:
    """Whether an earlier command of the same script makes this program."""
    for command in before:
        name = program(command)
        args = command.argv[1:]
        named = {args[i + 1] for i, word in enumerate(args[:-1]) if word == "-o"} | {
            w[2:] for w in args if w[:2] == "-o"
        }
        if name in COMPILERS and any(
            (cwd or Path("/")) / text == path for cwd in command.cwds for text in named
        ):
            return True
        if name in COMPILERS and not named and path.name in _default_outputs(name, args):
            return True
        if name in BUILDERS and (name not in COMPILERS or "build" in args) and _is_binary(path):
            return True
    return False


def _default_outputs(name: str, args: Sequence[str]) -> set[str]:
    stems = {PurePosixPath(word).stem for word in args if not word.startswith("-")}
    return {"a.out"} if name in ("gcc", "g++", "cc", "c++", "clang", "clang++", "tcc") else stems


def _is_binary(path: Path) -> bool:
    """No script: a file in a binary format, or one that isn't there yet."""
    if not path.is_file():
        # A pipe would be waited for.
        return not path.exists()
    with path.open("rb") as file:
        return file.read(4) in BINARY_MAGIC


# -- scripts on disk ---------------------------------------------------------------------------------


def _script_file(part: ScriptFile, scope: _Scope) -> str | None:
    """A script that a shell runs is judged by its text; what is sourced must be well known."""
    ctx, word = scope.ctx, part.path
    name = word.rpartition("/")[2]
    if part.sourced:
        known = (
            name in START_FILES
            or START_PATHS.fullmatch(word)
            or word.endswith(("/bin/activate", "bin/activate"))
        )
        if known and is_exact(name) and not _in_root_start_file(word, part.command, ctx):
            return None
        if _sets_only(part, scope):
            return None
        return (
            f"`source {shown(word)}`: only a virtual environment's activate, nvm, the user's start-up "
            "files, and files of the run that do nothing but set other variables are sourced. "
            "Set the variables in the command itself."
        )
    if not is_exact(word):
        return f"which script {shown(word)!r} is isn't known before it runs. Name it."
    if part.command.argv[1:2] == ("-n",):
        return None
    for path, cwd in _places(word, part.command.cwds):
        if path == ctx.root / "init.sh" or (path.is_relative_to(ctx.root) and path.name in WRAPPER_SCRIPTS):
            continue
        text = _written_before(word, scope.before) or _text_of(path)
        if text is None:
            return (
                f"the script {word} can't be read beforehand. Create it first, in a call of "
                "its own, or run its commands."
            )
        problem = _nested(text, (cwd,), scope)
        if problem:
            return f"in {word}: {problem}"
    return None


def _sets_only(part: ScriptFile, scope: _Scope) -> bool:
    """Whether a sourced file of the run only sets variables, and none that the script sets itself."""
    root = scope.ctx.root
    for path, cwd in _places(part.path, part.command.cwds):
        text = _text_of(path) if is_exact(part.path) and path.is_relative_to(root) else None
        if text is None or any(_may_write(command, path.name) for command in scope.before):
            return False
        try:
            script = parse(text, root, (cwd,))
        except Unparsable:
            return False
        plain = all(command.name in ("", "export") and not command.redirects for command in script.commands)
        if not plain or script.functions or script.variables & scope.variables:
            return False
        if script_problem(text, scope.ctx, (cwd,), scope.depth + 1):
            return False
    return True


def _may_write(command: Command, name: str) -> bool:
    """Whether a command may put something into a file of that name."""
    redirects = (*command.redirects, *command.outer)
    words = [redirect.target for redirect in redirects if redirect.writes]
    words += [word for write in writes(command) for word in (write.target, write.source) if word is not None]
    return any(not is_exact(word) or PurePosixPath(word).name == name for word in words)


def _in_root_start_file(word: str, command: Command, ctx: GuardContext) -> bool:
    """Start-up files are the user's: one inside the run was written by an agent."""
    if word.endswith("bin/activate"):
        return False
    return (
        any(path.is_relative_to(ctx.root) for path, _ in _places(word, command.cwds))
        if is_exact(word)
        else False
    )


def _places(word: str, cwds: Cwds) -> Iterator[tuple[Path, Path | None]]:
    for cwd in cwds:
        yield lexical(cwd or Path("/"), word), cwd


def _written_before(word: str, before: Sequence[Command]) -> str | None:
    """The script's text, if the same command types it into the file."""
    for command in reversed(before):
        if command.name == "cat" and any(r.writes and r.target == word for r in command.redirects):
            return command.input.text
    return None


def _text_of(path: Path) -> str | None:
    try:
        if path.is_file() and path.stat().st_size <= MAX_SCRIPT:
            return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return None

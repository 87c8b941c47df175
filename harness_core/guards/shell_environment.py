"""Rules for the environment: neither all of it is printed nor a variable that holds a credential."""

from __future__ import annotations

import re

from harness_core.guards import GuardContext
from harness_core.guards.patterns import lazy
from harness_core.guards.shell_code import is_secret_name
from harness_core.guards.shell_options import operands_after
from harness_core.guards.shell_script import Command
from harness_core.guards.shell_unwrap import WRAPPERS, program
from harness_core.guards.shell_words import is_exact, shown

WHOLE_ENVIRONMENT = (
    "it prints the whole environment, and the credentials in it. Ask for one variable: `printenv NAME`."
)


def secrets_problem(command: Command) -> str | None:
    """Why a command would show a credential of the environment, or None."""
    name = program(command)
    if name in ("[", "test") or (name == "export" and all(is_secret_name(key) for key, _ in command.assigns)):
        return None
    for variable in sorted(command.reveals | command.input.reveals):
        if is_secret_name(variable):
            check = f'`[ -n "${{{variable}:+x}}" ]`'
            return f"`${variable}` is a credential of the environment. To check whether it is set: {check}."
    return None


def printenv_problem(command: Command, ctx: GuardContext) -> str | None:
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


def env_problem(command: Command, ctx: GuardContext) -> str | None:
    if any(re.search(r"^(--unset=|-u)?LONGWATCH\w*$", word) for word in command.argv[1:]):
        return "`env` without the marks of its session hides a process from the operator. Leave them."
    _, operands = operands_after(command.argv[1:], WRAPPERS["env"].valued)
    rest = [word for word in operands if not re.match(r"\w+=", word)]
    if not rest and not {"--version", "--help"} & set(command.argv):
        return f"`env`: {WHOLE_ENVIRONMENT}"
    return None


_JQ_ENVIRONMENT = lazy(r"(?:(?<![.\w\"$])env\b|\$ENV\b)(?!\s*:)(?:\s*\.\s*(\w+)|\s*\[\s*\"(\w+)\")?")


def jq_problem(command: Command, ctx: GuardContext) -> str | None:
    for word in command.argv[1:]:
        if re.fullmatch(r"-{1,2}[\w-]+", word):
            continue
        for found in _JQ_ENVIRONMENT.finditer(word):
            name = found[1] or found[2]
            problem = _shows([name]) if name else f"`jq {found[0]}`: {WHOLE_ENVIRONMENT}"
            if problem:
                return problem
    return None


def envsubst_problem(command: Command, ctx: GuardContext) -> str | None:
    given = (command.input.text or "", *command.input.feeds, *command.argv[1:])
    return _shows(sorted(name for text in given for name in re.findall(r"\$\{?(\w+)", text)))


def set_problem(command: Command, ctx: GuardContext) -> str | None:
    return f"`set`: {WHOLE_ENVIRONMENT}" if len(command.argv) == 1 else None


def declare_problem(command: Command, ctx: GuardContext) -> str | None:
    names = [word for word in command.argv[1:] if not word.startswith("-")]
    prints = any(re.fullmatch(r"-\w*p\w*", word) for word in command.argv[1:])
    if (
        not names
        and not command.assigns
        and not any(re.fullmatch(r"-[fF]+", word) for word in command.argv[1:])
    ):
        return f"`{command.name}`: {WHOLE_ENVIRONMENT}"
    return _shows(names) if prints else None

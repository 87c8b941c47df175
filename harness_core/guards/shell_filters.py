"""What sed and awk programs would run and write: they are small languages with commands of their own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

_SED_COMMAND = re.compile(
    r"\s*(?:\d+|\$|/(?:\\.|[^/\\])*/[IM]*|\\(.)(?:.*?)\1)?(?:\s*,\s*(?:\d+|\$|\+\d+"
    r"|/(?:\\.|[^/\\])*/[IM]*))?\s*!?\s*",
    re.DOTALL,
)


def sed_problem(args: Sequence[str], files: Sequence[str] = ()) -> tuple[str | None, list[str]]:
    """What a sed command would run (as a reason) and which files its scripts write (`w`).

    `files` are the texts of its script files.
    """
    written: list[str] = []
    for script in (*_sed_scripts(args), *files):
        runs, names = _sed_script(script)
        if runs:
            return "a sed script with `e` runs commands. Run the command plainly.", written
        written += names
    return None, written


def _sed_scripts(args: Sequence[str]) -> list[str]:
    scripts: list[str] = []
    from_file = bool(script_files(args))
    operands: list[str] = []
    before = ""
    for word in args:
        attached = re.fullmatch(r"(?:-[nErsuz]*e|--expression=)(.*)", word, re.DOTALL)
        if re.fullmatch(r"-[nErsuz]*[ef]|--expression|--file", before):
            scripts += [word] if "e" in before and "fil" not in before else []
        elif attached and attached[1]:
            scripts.append(attached[1])
        elif not word.startswith("-"):
            operands.append(word)
        before = word
    given = scripts or from_file or any(re.fullmatch(r"-[nErsuz]*e", word) for word in args)
    return scripts if given else operands[:1]


def script_files(args: Sequence[str]) -> list[str]:
    """The script files that sed or awk are given with `-f`."""
    named = [after for word, after in itertools.pairwise(args) if re.fullmatch(r"-[nErsuz]*f|--file", word)]
    named += [found[1] for word in args if (found := re.fullmatch(r"(?:--file=|-f)(.+)", word))]
    return named


def _sed_script(script: str) -> tuple[bool, list[str]]:
    at, runs = 0, False
    files: list[str] = []
    while at < len(script):
        head = _SED_COMMAND.match(script, at)
        at = head.end() if head else at
        if at >= len(script):
            break
        verb = script[at]
        at += 1
        if verb == "e":
            return True, files
        if verb in "sy" and at < len(script):
            at = _sed_delimited(script, at)
            flags = re.compile(r"[gpiImMe0-9]*").match(script, at)
            text = flags[0] if flags else ""
            runs |= verb == "s" and "e" in text
            at += len(text)
            if script[at : at + 1] == "w":
                at, name = _sed_line(script, at + 1)
                files.append(name)
        elif verb in "wW":
            at, name = _sed_line(script, at)
            files.append(name)
        elif verb in "aicrRbtT:":
            at = _sed_line(script, at)[0] if verb not in "btT" else _sed_label(script, at)
    return runs, files


def _sed_delimited(script: str, at: int) -> int:
    delimiter = script[at]
    at += 1
    seen = 0
    while at < len(script) and seen < 2:
        if script[at] == "\\":
            at += 1
        elif script[at] == delimiter:
            seen += 1
        at += 1
    return at


def _sed_line(script: str, at: int) -> tuple[int, str]:
    end = script.find("\n", at)
    end = len(script) if end < 0 else end
    return end, script[at:end].strip()


def _sed_label(script: str, at: int) -> int:
    found = re.compile(r"[^;\n}]*").match(script, at)
    return found.end() if found else at


def awk_problem(args: Sequence[str], files: Sequence[str] = ()) -> tuple[str | None, list[str]]:
    """What an awk command would run (as a reason) and which files its programs write.

    `files` are the texts of its program files.
    """
    loaded = re.compile(r"-l.*|--load.*|-E.*|--exec.*|-i(?! inplace).*|--include[= ](?!inplace).*")
    for word, after in itertools.pairwise((*args, "")):
        if loaded.fullmatch(f"{word} {after}" if word in ("-i", "--include") else word):
            return "options that load code from elsewhere. Give the program as text.", []
    written: list[str] = []
    for text in (*files,) if script_files(args) else (_awk_program(args),):
        problem, names = _awk_text(text)
        if problem:
            return problem, written
        written += names
    return None, written


def _awk_program(args: Sequence[str]) -> str:
    valued = ("-F", "-v", "-i", "--include", "--assign", "--field-separator")
    return next(
        (
            word
            for index, word in enumerate(args)
            if not word.startswith("-") and (index == 0 or args[index - 1] not in valued)
        ),
        "",
    )


def _awk_text(text: str) -> tuple[str | None, list[str]]:
    bare = re.sub(
        r"/(?:\\.|[^/\\\n])+/",
        "/re/",
        re.sub(
            r'"(?:\\.|[^"\\])*"',
            lambda s: s[0].replace("|", " ").replace(">", " ") if len(s[0]) > 2 else s[0],
            text,
        ),
    )
    runs = r"\bsystem\s*\(|\|\s*getline|\|&|\|\s*\"|(?<!\|)\|(?!\|)\s*[A-Za-z\"(]|@load|@include"
    if re.search(runs, bare):
        return "an awk program that starts commands. Use a pipe of the shell.", []
    files = re.findall(r'>>?\s*"([^"]+)"', text)
    if re.search(r"\bprintf?\b[^;}\n]*>>?\s*[A-Za-z$(]", bare):
        return "an awk program that writes to files it computes. Redirect its output in the shell.", files
    return None, files

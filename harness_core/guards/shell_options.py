"""Arguments as most programs read them: options with their values, and operands."""

from __future__ import annotations

import re
from collections.abc import Sequence


def split_options(args: Sequence[str], valued: str = "") -> tuple[dict[str, str], list[str]]:
    """Options with their values, and operands, wherever they stand. `-abc` counts as `-a -b -c`.

    `valued` lists the options that take a value, with spaces between.
    """
    takes = valued.split()
    short = {word[1] for word in takes if re.fullmatch(r"-\w", word)}
    options: dict[str, str] = {}
    operands: list[str] = []
    index = 0
    while index < len(args):
        word = args[index]
        index += 1
        if word == "--":
            operands += args[index:]
            break
        if not word.startswith("-") or word == "-":
            operands.append(word)
        elif word.startswith("--") or word in takes:
            name, equals, value = word.partition("=")
            if not equals and name in takes and index < len(args):
                value = args[index]
                index += 1
            options[name] = value
        else:
            for place, letter in enumerate(word[1:], start=2):
                if letter in short:
                    value = word[place:]
                    if not value and index < len(args):
                        value = args[index]
                        index += 1
                    options[f"-{letter}"] = value
                    break
                options[f"-{letter}"] = ""
    return options, operands


def operands_after(args: Sequence[str], valued: frozenset[str]) -> tuple[list[str], list[str]]:
    """Split arguments at the first operand: (options with their values, the rest)."""
    index = 0
    while index < len(args):
        word = args[index]
        if word == "--":
            return list(args[:index]), list(args[index + 1 :])
        if not word.startswith("-") or word == "-":
            break
        index += 2 if word in valued else 1
    return list(args[:index]), list(args[index:])

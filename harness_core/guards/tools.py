"""What tools that work on files are called, and what their inputs mean: the same to all guards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from harness_core.guards.patterns import lazy

READERS: Mapping[str, tuple[str, ...]] = {
    "Read": ("file_path",),
    "Grep": ("path",),
    "Glob": ("path",),
    "NotebookRead": ("notebook_path",),
    "LS": ("path",),
}
"""Claude Code's tools that read, and the inputs that say what."""
PATTERN_KEYS: Mapping[str, tuple[str, ...]] = {"Glob": ("pattern",), "Grep": ("glob",)}
WRITERS: Mapping[str, str] = {
    "Write": "file_path",
    "Edit": "file_path",
    "MultiEdit": "file_path",
    "NotebookEdit": "notebook_path",
}
"""Claude Code's tools that write a file, and the input that says which."""
OLD_KEYS = ("old_string", "oldText", "old_text", "old_str")
"""Inputs that hold the text which an edit replaces; servers of MCP have names of their own for it."""
CONTENT_KEY = lazy(r"(?i)(.*_)?(content|contents|text|new_string|newtext|new_str|new_source|data|body|code)$")
"""An input that holds what is written."""
FILE_KEYS = ("path", "file_path", "filename", "file")
"""Inputs that say what file a tool of an MCP server writes."""
_PATH_KEY = lazy(
    r"(?i)^(.*_)?(paths?|files?|filenames?|dir|directory|folder|source|src|destination"
    r"|dest|dst)$|.*(Path|Paths|File|Dir)$"
)
_MCP_PREFIX = "mcp__"
_OWN_SERVER = "mcp__longwatch__"
_READING = lazy(r"read|list|search|get|find|stat|view|show|info|tree|glob|grep|upload")
_WRITING = lazy(
    r"(over|re)?write|edit|create|move|delete|remove|rename|copy|append|insert|replace|update|patch|save|put|set"
    r"|make|mkdir|modify|apply|truncate"
)


def target(tool: str, given: Mapping[str, object]) -> str:
    """The file that a call of one of WRITERS writes, as it is named; "" where it names none."""
    path = given.get(WRITERS[tool])
    return path if isinstance(path, str) else ""


def is_served(tool: str) -> bool:
    """Whether the tool is one of an MCP server, Longwatch's own included."""
    return tool.startswith(_MCP_PREFIX)


def is_foreign(tool: str) -> bool:
    """Whether the tool is one of somebody else's MCP server."""
    return is_served(tool) and not tool.startswith(_OWN_SERVER)


def bare(tool: str) -> str:
    """A tool's name without that of its MCP server."""
    return tool.rpartition("__")[2] if is_served(tool) else tool


def words(tool: str) -> set[str]:
    """The words that a tool's name is made of, in small letters: `mcp__fs__searchAndReplace` has three."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+", bare(tool))}


def only_reads(tool: str) -> bool:
    """Whether a tool changes no file, by its name. Doubt is a no."""
    if not is_served(tool):
        return tool in READERS
    said = words(tool)
    return any(map(_READING.fullmatch, said)) and not any(map(_WRITING.fullmatch, said))


def path_values(value: object, key: str = "") -> Iterator[str]:
    """Every text in a tool's input that sits under a key which means a path."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from path_values(inner, str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from path_values(inner, key)
    elif isinstance(value, str) and value:
        if value.startswith("file://"):
            yield value.removeprefix("file://").removeprefix("localhost")
        elif _PATH_KEY.match(key) and "://" not in value and "\n" not in value:
            yield value

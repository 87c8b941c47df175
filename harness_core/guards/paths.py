"""The path guard: which files the file tools may read and write, and the names no agent may touch.

The shell guard shares the resolver and the tables, so that a name is closed to every tool or to none.
"""

from __future__ import annotations

import re
import unicodedata
from fnmatch import fnmatchcase
from pathlib import Path

from harness_core.guards import Denial, GuardContext, ToolCall
from harness_core.guards.patterns import lazy
from harness_core.guards.tools import (
    PATTERN_KEYS,
    READERS,
    WRITERS,
    bare,
    is_foreign,
    only_reads,
    path_values,
    target,
    words,
)
from harness_core.layout import (
    CONFIG_NAME,
    CONTRACT_NAMES,
    FINISH_NAME,
    PRIVATE,
    STEER_NAME,
    STEER_NEXT_NAME,
    STOP_NAME,
)

CLOSED_DIRS = (PRIVATE, ".git", ".claude")
"""Folders at the root that no tool writes into."""
CLOSED_FILES = (".mcp.json", CONFIG_NAME, STOP_NAME, FINISH_NAME, "STEER", STEER_NAME, STEER_NEXT_NAME)
"""Files at the root that only the operator writes; compared in canonical form."""
CLOSED_PATTERNS = ("AGENT_*", "STEER*")
"""The same as patterns, compared exactly: `agent_server.py` is an ordinary file."""
CLOSED_SAMPLES = (
    *CONTRACT_NAMES,
    *CLOSED_DIRS,
    *CLOSED_FILES,
    f"{PRIVATE}/journal.jsonl",
    f"{PRIVATE}/contract.json",
    f"{PRIVATE}/run.json",
    ".git/HEAD",
    ".git/config",
    ".git/index",
    ".git/hooks/pre-commit",
    ".claude/settings.json",
    ".claude/settings.local.json",
)
"""Representatives that a glob pattern is tried on."""

SECRET_DIRS = frozenset(
    {".ssh", ".aws", ".gnupg", ".azure", ".kube", ".password-store", ".docker", "gcloud", "gh"}
)
"""Folders whose files hold credentials, wherever they lie outside the run."""
SECRET_NAMES = (
    ".credentials.json",
    "credentials.json",
    "credentials.toml",
    ".claude.json",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".vault-token",
    ".*_history",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.kdbx",
)
"""File names that mean a credential outside the run."""
PUBLIC_NAMES = frozenset({"cacert.pem", "cert.pem", "ca-bundle.pem", "roots.pem"})
"""Certificate bundles, which match a pattern above and hold nothing secret."""
SECRET_PLACES = lazy(
    r"/proc/[^/]+(/task/[^/]+)?/(environ|mem)|/etc/(g?shadow-?|sudoers(\.d(/.*)?)?)"
    r"|/etc/ssl/private(/.*)?|/dev/(mem|kmem)|.*/\.config/git/credentials"
)
_BROWSERS_FILE = "filename"
"""Where a browser's tool writes, whatever its name says: the browser guard judges it."""


class Unresolvable(ValueError):
    """A path that names nothing definite: a symlink loop, a null byte, an unknown user's home."""


def canonical(name: str) -> str:
    """One path component as a forgiving file system compares it.

    Case, Unicode forms, invisible characters, and trailing spaces and dots don't distinguish names.
    """
    visible = "".join(
        char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) != "Cf"
    )
    return visible.casefold().rstrip(" .") or name


def resolve(root: Path, text: str) -> Path:
    """The file that `text` means, absolute, for a tool working in `root`.

    Symbolic links are followed, also those of parents of a path that doesn't exist yet. A hard link to
    the contract resolves to the contract. Raises Unresolvable.
    """
    try:
        path = (root / Path(text).expanduser()).resolve()
        return _behind_hard_link(root, path)
    except (OSError, RuntimeError, ValueError) as error:
        raise Unresolvable(f"{text!r} can't be resolved to a file") from error


def _behind_hard_link(root: Path, path: Path) -> Path:
    if not path.is_file():
        return path
    status = path.stat()
    if status.st_nlink < 2:
        return path
    for name in (*CONTRACT_NAMES, CONFIG_NAME, STEER_NAME):
        original = root / name
        if original.is_file() and original.stat().st_ino == status.st_ino and original.samefile(path):
            return original
    return path


def lexical(root: Path, text: str) -> Path:
    """Where the last component of `text` itself lies, with only its parents' links followed."""
    try:
        path = root / Path(text).expanduser()
        return path.parent.resolve() / path.name if path.name not in ("", "..") else path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise Unresolvable(f"{text!r} can't be resolved to a file") from error


def closed_name(root: Path, path: Path) -> str | None:
    """The closed name that an absolute `path` lies at or under, or None. The contract isn't one."""
    parts = _below(root, path)
    if not parts:
        return None
    first = canonical(parts[0])
    for name in CLOSED_DIRS:
        if first == name:
            return f"{name}/"
    if len(parts) > 1:
        return None
    for name in CLOSED_FILES:
        if first == canonical(name):
            return name
    return parts[0] if any(fnmatchcase(parts[0], p) for p in CLOSED_PATTERNS) else None


def contract_name(root: Path, path: Path) -> str | None:
    """The contract's name if `path` is a contract file at the root, under any spelling."""
    parts = _below(root, path)
    if parts is None or len(parts) != 1:
        return None
    return next((name for name in CONTRACT_NAMES if canonical(parts[0]) == name), None)


def is_secret(root: Path, path: Path) -> bool:
    """Whether an absolute path holds credentials of the user or the machine."""
    if SECRET_PLACES.fullmatch(path.as_posix()):
        return True
    if _below(root, path) is not None or path.name in PUBLIC_NAMES:
        return False
    return not SECRET_DIRS.isdisjoint(path.parts) or any(
        fnmatchcase(path.name, name) for name in SECRET_NAMES
    )


def write_problem(
    root: Path, text: str, *, contract: bool = False, also: tuple[Path, ...] = (), base: Path | None = None
) -> str | None:
    """Why `text` may not be written, as a sentence, or None.

    `contract`: whether the contract's own name is closed too, not only variants of it. `also`: folders
    outside the root that may be written. `base`: where a relative path starts, if not at the root.
    """
    if "\\" in text and _slashed_problem(root, text, base):
        return f"{text!r} spells a closed file with backslashes. Write the plain path of a file of your own."
    full = text if base is None or text.startswith("~") else str(base / text)
    for path in dict.fromkeys((lexical(root, full), resolve(root, full))):
        problem = _written(root, path, text, contract, also)
        if problem:
            return problem
    return None


def _written(root: Path, path: Path, text: str, contract: bool, also: tuple[Path, ...]) -> str | None:
    parts = _below(root, path)
    if parts is None:
        if any(path != place and path.is_relative_to(place) for place in also):
            return None
        return f"{text} lies outside the run's directory {root}. Write inside it, with a path relative to it."
    closed = closed_name(root, path)
    if closed:
        return (
            f"{closed} belongs to the operator and the harness; no agent writes it. Put your "
            "own files elsewhere."
        )
    name = contract_name(root, path)
    if name and (contract or parts[0] != name):
        return (
            f"{name} is the contract; it is changed only by claiming a feature with evidence "
            "(mcp__longwatch__claim_feature) or by an Edit of one feature's `passes`."
        )
    return None


def _slashed_problem(root: Path, text: str, base: Path | None) -> bool:
    path = lexical(base or root, text.replace("\\", "/"))
    return bool(closed_name(root, path) or contract_name(root, path))


def read_problem(root: Path, text: str, *, base: Path | None = None) -> str | None:
    """Why `text` may not be read, as a sentence, or None."""
    full = text if base is None or text.startswith("~") else str(base / text)
    for path in dict.fromkeys((lexical(root, full), resolve(root, full))):
        if is_secret(root, path):
            return f"{text} holds credentials, which no agent reads. Use a placeholder or ask the operator."
        parts = _below(root, path)
        if parts and canonical(parts[0]) == PRIVATE:
            return (
                f"{PRIVATE}/ is the harness's own folder and closed to agents. Read the "
                "project's files instead."
            )
    return None


def _below(root: Path, path: Path) -> tuple[str, ...] | None:
    return path.relative_to(root).parts if path.is_relative_to(root) else None


def check(call: ToolCall, ctx: GuardContext) -> Denial | None:
    """Judge the paths of a file tool, of Claude Code or of an MCP server. Other tools pass."""
    try:
        problem = _problem(call, ctx)
    except Unresolvable as error:
        problem = f"{error}. Give the plain path of a file in the run's directory."
    return Denial("path", problem) if problem else None


def _problem(call: ToolCall, ctx: GuardContext) -> str | None:
    if call.tool in WRITERS:
        path = target(call.tool, call.input)
        if not path:
            return f"{call.tool} came without a path. Name the file to write."
        return _read_only(ctx) or write_problem(ctx.root, path)
    if call.tool in READERS:
        texts = [text for key in READERS[call.tool] if isinstance(text := call.input.get(key), str) and text]
        return _first_problem(ctx, texts) or _pattern_problem(call, ctx)
    if is_foreign(call.tool):
        return _mcp_problem(call, ctx)
    return None


def _first_problem(ctx: GuardContext, texts: list[str]) -> str | None:
    return next((problem for text in texts if (problem := read_problem(ctx.root, text))), None)


def _pattern_problem(call: ToolCall, ctx: GuardContext) -> str | None:
    """A glob is judged by its literal beginning and by the folders that it names."""
    start = call.input.get("path")
    base = start if isinstance(start, str) and start else "."
    for key in PATTERN_KEYS.get(call.tool, ()):
        pattern = call.input.get(key)
        if not isinstance(pattern, str) or pattern.startswith("!"):
            continue
        named = re.split(r"[/,{}]", pattern)
        if any(canonical(part) == PRIVATE for part in named if part):
            return (
                f"{PRIVATE}/ is the harness's own folder and closed to agents. Search the "
                "project's files instead."
            )
        literal = re.split(r"[*?\[{]", pattern, maxsplit=1)[0]
        problem = read_problem(ctx.root, literal if literal.startswith(("/", "~")) else f"{base}/{literal}")
        if problem:
            return problem
    return None


def _mcp_problem(call: ToolCall, ctx: GuardContext) -> str | None:
    browses = bare(call.tool).startswith("browser_")
    reads = only_reads(call.tool)
    shoots = "screenshot" in words(call.tool)
    given = {name: value for name, value in call.input.items() if name != _BROWSERS_FILE or not browses}
    for text in path_values(given):
        bare_name = shoots and "/" not in text and "\\" not in text and not text.startswith((".", "~"))
        if bare_name:
            continue
        if reads:
            problem = read_problem(ctx.root, text)
        else:
            problem = _read_only(ctx) or write_problem(ctx.root, text, contract=True)
        if problem:
            return problem
    return None


def _read_only(ctx: GuardContext) -> str | None:
    return (
        "This role only reads; it changes no file. Report what should change instead."
        if ctx.read_only
        else None
    )

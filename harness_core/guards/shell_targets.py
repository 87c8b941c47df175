"""Judging the words of a command as files: may it write here, may it read there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

from harness_core.guards.paths import CLOSED_SAMPLES, Unresolvable, is_secret, read_problem, write_problem
from harness_core.guards.patterns import lazy
from harness_core.guards.shell_script import Cwds
from harness_core.guards.shell_words import ANY, exact_prefix, is_exact, may_be, shown
from harness_core.layout import PRIVATE

STREAMS = lazy(r"/dev/(null|stdout|stderr|stdin|tty|fd/\d+)")
SENSITIVE = lazy(
    r"(?i)\.ssh|\.aws|\.gnupg|\.azure|\.kube|\.docker|\.password-store|gcloud|credentials"
    r"|\.claude\.json|netrc|\.pgpass"
    r"|\.npmrc|\.pypirc|vault-token|\w_history\b|id_(rsa|dsa|ecdsa|ed25519)|\.(pem|key|p12|pfx|kdbx)\b"
    r"|/proc/|shadow|sudoers"
    r"|/dev/k?mem|ssl/private|/gh/|\.longwatch"
)
SECRET_SAMPLES = (
    "/etc/shadow",
    "/proc/self/environ",
    "/proc/1/environ",
    "/proc/self/task/1/environ",
    "~/.ssh/id_rsa",
    "~/.ssh/id_ed25519",
    "~/.aws/credentials",
    "~/.netrc",
    "~/.claude/.credentials.json",
    "~/.git-credentials",
    "~/.npmrc",
    "~/.config/server.pem",
    "~/.config/server.key",
)
"""Representatives that a glob pattern is tried on."""


@lru_cache
def temporary() -> tuple[Path, ...]:
    """The folders for temporary files, resolved, that a command may write into."""
    import tempfile  # noqa: PLC0415  (only where a path lies outside the run)

    places = (Path("/tmp"), Path("/var/tmp"), Path(tempfile.gettempdir()))
    return tuple(dict.fromkeys(place.resolve() for place in places))


def _open_places(root: Path, word: str, base: Path) -> tuple[Path, ...]:
    """Where `word` may lie outside the root.

    A run that itself lies in a temporary folder has neighbours there that aren't its own: then only
    names directly in that folder, or below one that doesn't exist yet, are free.
    """
    free = []
    for place in temporary():
        if root.is_relative_to(place):
            path = (base / word).resolve()
            if not path.is_relative_to(place) or path == place:
                continue
            top = place / path.relative_to(place).parts[0]
            if root.is_relative_to(top) or (top.exists() and path.parent != place):
                continue
        free.append(place)
    return tuple(free)


def target_problem(word: str, cwds: Cwds, root: Path, *, whole: bool = False) -> str | None:
    """Why a command may not write to the file that `word` means, or None.

    `whole`: the command also changes what lies below the target, or moves or removes it.
    """
    if STREAMS.fullmatch(word):
        return None
    for cwd in cwds:
        problem = _target_problem(word, cwd, root, whole)
        if problem:
            return problem
    return None


def _target_problem(word: str, cwd: Path | None, root: Path, whole: bool) -> str | None:
    absolute = word.startswith("/")
    if (cwd is None and not absolute) or word.startswith(ANY):
        return (
            f"where {shown(word)!r} lies can't be told before the command runs, and it writes there. "
            "Name the files, or start the path with a folder of the project."
        )
    base = cwd or Path("/")
    try:
        if is_exact(word):
            problem = write_problem(root, word, contract=True, also=_open_places(root, word, base), base=base)
            if problem or not whole:
                return problem
            path = (base / word).resolve()
            return _whole_problem(word) if root.is_relative_to(path) else None
        return _pattern_problem(word, base, root)
    except (Unresolvable, OSError, RuntimeError, ValueError):
        return f"{shown(word)!r} can't be resolved to a file. Give a plain path inside the run's directory."


def _whole_problem(word: str) -> str:
    return (
        f"{shown(word)!r} takes in the whole run, its contract, history and control files with it. "
        "Name the files or folders that you mean."
    )


def _pattern_problem(word: str, base: Path, root: Path) -> str | None:
    prefix = exact_prefix(word)
    folder, _, start = prefix.rpartition("/")
    anchor = base / (folder or ("/" if prefix.startswith("/") else "."))
    resolved = anchor.resolve()
    rest = word[len(prefix) - len(start) :]
    if resolved != root:
        probe = f"{anchor}/{start or 'probe'}"
        problem = write_problem(root, probe, contract=True, also=_open_places(root, probe, base), base=base)
        if problem:
            return problem
    if "/.." in rest or rest.startswith(".."):
        return f"where {shown(word)!r} leads can't be told before the command runs. Name the files."
    pattern = f"{str(resolved).rstrip('/')}/{rest}".casefold().rstrip("/")
    if any(may_be(pattern, str(place).casefold()) for place in (root, *root.parents)):
        return _whole_problem(word)
    for sample in CLOSED_SAMPLES:
        if may_be(pattern, str(root / sample).casefold()):
            return (
                f"{shown(word)!r} may match {sample}, which the command would change. Name the "
                "files that you mean."
            )
    return None


def copies_problem(target: str, source: str, cwds: Cwds, root: Path) -> str | None:
    """Why `source` may not be copied to `target`, which gives its names to what lands in a folder."""
    problem = target_problem(target, cwds, root)
    if problem or not is_exact(target):
        return problem
    for cwd in cwds:
        folder = (cwd or Path("/")) / target
        if not folder.is_dir() and not target.endswith("/"):
            continue
        for name in _landing(source, cwd):
            problem = target_problem(f"{target.rstrip('/') or '/'}/{name}", cwds, root)
            if problem:
                return problem
    return None


def _landing(source: str, cwd: Path | None) -> Iterator[str]:
    """The names that a source has when it is copied into a folder."""
    base, _, last = source.rstrip("/").rpartition("/")
    contents = source.endswith("/.") or last in ("", ".")
    folder = (cwd or Path("/")) / (base or ("/" if source.startswith("/") else "."))
    if contents or not is_exact(last):
        try:
            listed = (
                sorted(path.name for path in folder.iterdir()) if is_exact(base) and folder.is_dir() else None
            )
        except OSError:
            listed = None
        if listed is None:
            yield ANY if contents else last
            return
        yield from (name for name in listed if contents or may_be(last, name))
        return
    yield last


def reading_problem(word: str, cwds: Cwds, root: Path) -> str | None:
    """Why a command may not read what `word` names, or None. Words that are no paths pass."""
    if re.search(r"\s", word):
        return None
    if not is_exact(word):
        return _reading_pattern(word, cwds, root)
    for part in dict.fromkeys((word, *re.split(r"[=@,]|file://|:(?=[/~.])", word))):
        if not part or not SENSITIVE.search(part):
            continue
        for cwd in cwds:
            try:
                problem = read_problem(root, part, base=cwd or Path("/"))
            except Unresolvable:
                return f"{shown(word)!r} can't be resolved to a file. Give a plain path."
            if problem:
                return problem
    return None


def whole_reading_problem(word: str, cwds: Cwds, root: Path) -> str | None:
    """Why everything below `word` may not be read: a home directory holds credentials."""
    if not is_exact(word) or not word.startswith(("/", ".")):
        return None
    for cwd in cwds:
        path = ((cwd or Path("/")) / word).resolve()
        if not path.is_relative_to(root) and Path.home().is_relative_to(path):
            return (
                f"{shown(word)!r} takes in the user's home with its credentials. Name the "
                "folder that you need."
            )
    return None


def _reading_pattern(word: str, cwds: Cwds, root: Path) -> str | None:
    prefix = exact_prefix(word)
    for cwd in cwds:
        base = cwd or Path("/")
        if SENSITIVE.search(prefix):
            path = (base / prefix).resolve()
            if is_secret(root, path / "x") or is_secret(root, path):
                return (
                    f"{shown(word)!r} names credentials, which no agent reads. Use a "
                    "placeholder or ask the operator."
                )
            if PRIVATE in PurePosixPath(prefix).parts:
                return (
                    f"{PRIVATE}/ is the harness's own folder and closed to agents. Read the "
                    "project's files instead."
                )
        if word.startswith(ANY):
            continue
        pattern = word if word.startswith("/") else f"{base}/{word.removeprefix('./')}"
        samples = [str(Path(text).expanduser()) for text in SECRET_SAMPLES]
        if ANY not in word:
            samples.append(f"{root}/{PRIVATE}/journal.jsonl")
        if any(may_be(pattern, sample) for sample in samples):
            return (
                f"{shown(word)!r} may match files with credentials or of the harness. Name the "
                "files that you mean."
            )
    return None

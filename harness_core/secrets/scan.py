"""Credentials in what is about to be written or committed, as detect-secrets finds them.

The scanner is loaded when a text hints at a credential, since it takes longer to load than all else here.
Its findings are narrowed: hashes, ids, lock files, pictures, placeholders and a developer's own
`postgres:postgres` on this machine are no credentials. Its rules for mere entropy aren't used.
"""

from __future__ import annotations

import base64
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from harness_core.secrets.shapes import shapes

if TYPE_CHECKING:
    from detect_secrets.plugins.base import RegexBasedDetector
    from detect_secrets.plugins.keyword import KeywordDetector

MAX_LINE = 4000
"""A longer line is a bundle or data: only known shapes are looked for in it."""
MAX_TEXT = 5_000_000
MAX_DIFF = 20_000_000
GIT_TIMEOUT_S = 10.0

_HINT = re.compile(
    r"(?i)pass|pwd|secret|contrase|key|token|://[^\s/@]*:[^\s@]*@|eyJ[\w-]+\.|AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9]"
    r"|\bgh[pousr]_|github_pat_|glpat|xox|hooks\.slack|[sr]k_live|T3BlbkFJ|sk-|SG\.|AKC|AP[\dABCDEF]|sq0csp"
    r"|-us\d|\b(?:AC|SK)[a-z0-9]{32}|pypi-|\d{8,10}:[\w-]{35}|[MNO][\w-]{23,25}\.[\w-]{6}\."
)
_UNUSED = frozenset(
    {"Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector", "KeywordDetector"}
    | {"PrivateKeyDetector", "JwtTokenDetector", "BasicAuthDetector"}
)
"""Detectors that are too loose, or that are asked by themselves here."""
_LOCKS = re.compile(
    r"(?i)(?:package-lock\.json|npm-shrinkwrap\.json|.*\.lock|pnpm-lock\.ya?ml|bun\.lockb?|go\.sum|.*\.resolved"
    r"|packages\.lock\.json|.*\.(?:min\.js|min\.css|map|svg|snap|ipynb_checkpoints))"
)
_TRYING = re.compile(
    r"(?i)(^|[/._-])(tests?|specs?|e2e|fixtures?|mocks?|seeds?|stories|examples?|samples?|docs?|readme)([/._-]|$)"
)
"""Paths of files whose passwords are made up."""
_ENV_FILE = re.compile(r"(^|/)\.env(\.\w+)*$|\.env$")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?:\s|\\r|\\n)+[\w+/=:-]{8}")
_AUTHORITY = re.compile(r"://[^\s/@'\"]*:[^\s/'\"]*@(\[[^\]]*\]|[\w.-]*)")
_JWT = re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")
_REFERENCE = re.compile(
    r"(?i)^\$|[$#]\{|\{\{|^<|>$|process\.env|environ|getenv|import\.meta|\(|=>|\.\.\.|\*\*\*|x{4}|insecure"
    r"|^\$?(2[abxy]|argon2|scrypt|pbkdf2|sha\d|bcrypt)|^(https?|file)://|^[/.~]|^[0-9a-f]{8}-[0-9a-f]{4}-"
    r"|^[a-z]+\d{0,3}([-_.]([a-z]+\d{0,3}|\d{1,4}))+$"
)
"""What stands where a credential would, and is none: a reference, a hash, a path, words in a row."""
_SAYS_SO = re.compile(
    r"(?i)your|change|example|placeholder|dummy|sample|fake|mock|redacted|todo|replace|insert|secret|password"
)
"""Words of placeholders, which a long random value may hold by chance."""
_WORDS = re.compile(
    r"pass|test|secret|admin|welcome|qwerty|letmein|hunter|demo|user|login|correct|horse|dev|local"
)
_LEET = str.maketrans("0134$@57!", "oieasastl"[:9])


class Finding(NamedTuple):
    """A credential: where it stands (line from 1) and what kind it seems to be."""

    path: str
    line: int
    kind: str

    def __str__(self) -> str:
        path = _readable(self.path)
        where = f"{path}, line {self.line}" if path else f"line {self.line}"
        return f"{where} ({self.kind})"


def scan(
    text: str, path: str = "", *, known: Sequence[str] = (), first: int = 1, shapes_only: bool = False
) -> list[Finding]:
    """The credentials in a text that is to become (part of) the file `path`, whose first line is `first`.

    `known` are values that are credentials for certain, such as those in the environment. `shapes_only`
    leaves out what is only told by the name beside it.
    """
    if _LOCKS.fullmatch(PurePosixPath(path).name) or "\0" in text[:8000]:
        return []
    found = []
    text = text[:MAX_TEXT]
    for key in _PRIVATE_KEY.finditer(text):
        found.append(Finding(path, first + text.count("\n", 0, key.start()), "private key"))
    for number, line in enumerate(text.splitlines(), start=first):
        kind = _kind(line, path, known, shapes_only)
        if kind:
            found.append(Finding(path, number, kind))
    return found


def _kind(line: str, path: str, known: Sequence[str], shapes_only: bool) -> str | None:
    if any(value in line for value in known):
        return "a credential of the environment"
    if not _HINT.search(line):
        return None
    shaped = (shape[0] for shape in shapes().finditer(line))
    if any(_is_key(shape) for shape in shaped if not shape.startswith(("eyJ", "-----"))):
        return "access key"
    if len(line) > MAX_LINE or shapes_only:
        return None
    for plugin in _plugins():
        if any(_is_key(value) for value in plugin.analyze_string(line)):
            return plugin.secret_type
    if any(_is_foreign(token[0]) for token in _JWT.finditer(line)) and not _TRYING.search(path):
        return "JSON Web Token"
    if any(_is_password(value, path) for value in _assigned(line, path)):
        return "password or key"
    for found in _AUTHORITY.finditer(line):
        password = found[0].removeprefix("://").rpartition("@")[0].partition(":")[2]
        if "." in found[1] and not re.match(r"127\.|0\.0\.", found[1]) and _is_password(password, path):
            return "password in an address"
    return None


# -- the scanner ----------------------------------------------------------------------------------------


@cache
def _plugins() -> tuple[RegexBasedDetector, ...]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415

    classes: Mapping[str, type[RegexBasedDetector]] = get_mapping_from_secret_type_to_class()
    return tuple(found() for found in classes.values() if found.__name__ not in _UNUSED)


@cache
def _keywords() -> KeywordDetector:
    from detect_secrets.plugins.keyword import KeywordDetector  # noqa: PLC0415

    return KeywordDetector()


def _assigned(line: str, path: str) -> Iterator[str]:
    """Values that stand beside a name such as `password` or `api_key`."""
    like = f"{path}.ini" if _ENV_FILE.search(path) else path or "text"
    for secret in _keywords().analyze_line(filename=like, line=line):
        if secret.secret_value:
            yield secret.secret_value


# -- what is none ---------------------------------------------------------------------------------------


def _is_key(value: str) -> bool:
    """No key of a service has so few different characters, or says that it is a placeholder."""
    said = re.search(r"(?i)your|x{6}|\.\.\.|placeholder|redacted|<|\{", value)
    return len(set(value[-16:])) > 5 and not said


def _is_foreign(token: str) -> bool:
    """Whether a token is for something: the one of every tutorial names `1234567890`."""
    payload = token.split(".")[1]
    decoded = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    return b"1234567890" not in decoded


def _is_password(value: str, path: str) -> bool:
    """Whether a value is random enough for a credential, and isn't made up for a test."""
    value = value.strip("'\"`,; \t")
    if _REFERENCE.search(value) or (_SAYS_SO.search(value) and _entropy(value) < 4.3):
        return False
    if re.search(r"\s", value) or not re.search(r"\d", value):
        return False
    if not re.search(r"[A-Za-z]", value):
        return False
    long = len(value) >= 16 and _entropy(value) >= 3.3
    if _TRYING.search(path):
        return len(value) >= 24 and _entropy(value) >= 3.8 and not _WORDS.search(value.lower())
    classes = sum(bool(re.search(kind, value)) for kind in (r"[a-z]", r"[A-Z]", r"\d", r"[^\w]"))
    if long:
        return not re.fullmatch(r"[a-z]+([-_][a-z0-9]+)*", value) or _entropy(value) >= 4
    return len(value) >= 8 and classes >= 3 and _entropy(value) >= 2.75 and not _is_worded(value)


def _is_worded(value: str) -> bool:
    return bool(_WORDS.match(value.lower().translate(_LEET))) and len(value) < 12


def _entropy(text: str) -> float:
    """Bits per character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


# -- what is to be committed ----------------------------------------------------------------------------

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


def scan_commit(root: Path, *, everything: bool, known: Sequence[str] = ()) -> list[Finding]:
    """Credentials that a commit would add: in the index, or with `everything` in the whole working tree.

    Raises OSError or subprocess.SubprocessError when git can't tell.
    """
    head = _git(root, "rev-parse", "--verify", "-q", "HEAD").strip()
    base = head or _git(root, "hash-object", "-t", "tree", "/dev/null").strip()
    shape = (
        *("--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--diff-filter=ACMRT"),
        *("--src-prefix=a/", "--dst-prefix=b/"),
    )
    place = (base,) if everything else ("--cached", base)
    found = list(_scan_diff(_git(root, "diff", *shape, *place, "--"), known))
    if everything:
        for name in _git(root, "ls-files", "-z", "--others", "--exclude-standard").split("\0"):
            path = root / name
            if name and path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_TEXT:
                found += scan(path.read_text("utf-8", "replace"), name, known=known)
    return found


def _scan_diff(diff: str, known: Sequence[str]) -> Iterator[Finding]:
    path, lines = "", iter(diff[:MAX_DIFF].split("\n"))
    for line in lines:
        if line.startswith("+++ "):
            path = _named(line[4:])
        elif hunk := _HUNK.match(line):
            removed, start, added = (int(number or 1) for number in hunk.groups())
            text = _readable("\n".join(_added(lines, removed + added)))
            yield from scan(text, path, known=known, first=start)


def _added(lines: Iterator[str], left: int) -> Iterator[str]:
    """What the next lines add, as many as a hunk has: a line of a file can look like a diff's own."""
    while left and (line := next(lines, None)) is not None:
        if line.startswith("+"):
            yield line[1:]
        left -= not line.startswith("\\")


def _named(word: str) -> str:
    """The path that a diff names; git writes one with odd characters as a string of C."""
    if word.startswith('"'):
        written = word[1:-1].encode("utf-8", "surrogateescape").decode("unicode_escape")
        word = written.encode("latin-1").decode("utf-8", "surrogateescape")
    return word.removeprefix("b/").removesuffix("\t")


def _readable(text: str) -> str:
    """Text of git's without what isn't UTF-8 in it, which neither the scanner nor a journal takes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _git(root: Path, *words: str) -> str:
    import subprocess  # noqa: PLC0415  (most texts aren't committed, and a hook waits for this module)

    run = subprocess.run(
        ("git", "-c", "core.fsmonitor=false", "-c", "core.quotepath=off", *words),
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=GIT_TIMEOUT_S,
        check=False,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_EXTERNAL_DIFF": ""},
    )
    return run.stdout.decode("utf-8", "surrogateescape")

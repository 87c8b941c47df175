"""What evidence a run has: the files in its folder, and what the journal says of each.

Nothing here is drawn. All of it reads files, so it belongs into a thread.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness_core.evidence.claim import carries, evidence_kind, fingerprint
from harness_core.evidence.files import Kind
from harness_core.layout import EVIDENCE_DIR, RunDir
from harness_core.reading.evidence_journal import Chronicle, Claim

MOST_FILES = 5_000
"""Older files than so many new ones aren't listed."""
_MOST_FOUND = 50_000
_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class File:
    """A file of evidence as it is on the disk, or as a commit has it."""

    path: str
    """Relative to the run, with `/`."""
    size: int
    mtime_ns: int
    flaw: str = ""
    """Why it isn't looked into, "" for a file like any other."""
    commit: str = ""
    """The commit that has it, "" for the one on the disk."""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def kind(self) -> Kind | None:
        return evidence_kind(self.path)


@dataclass(frozen=True, slots=True)
class Item:
    """A file, and what is known of it."""

    file: File
    features: tuple[str, ...] = ()
    claimed: bool = False
    """The features are those of a claim with this content; else they are what its name says."""
    session: int | None = None
    sha256: str = ""
    """ "" as long as nobody has asked for it, and for what can't be read."""
    opened: tuple[str, ...] | None = None
    """The roles that have opened this content, None as long as its sha256 isn't known."""

    @property
    def key(self) -> str:
        return f"{self.file.path}\0{self.file.commit}"


@dataclass(frozen=True, slots=True)
class Listing:
    """All evidence, newest first."""

    items: tuple[Item, ...] = ()
    left_out: int = 0
    trouble: str = ""
    """Why the folder can't be listed, "" when it can."""
    earlier: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    """By path: what claims have bound that the path may not hold any more, oldest first."""

    whole: bool = True
    """The journal was read to its end; else what it says of each item may not be all."""

    def find(self, key: str) -> Item | None:
        return next((item for item in self.items if item.key == key), None)

    def before(self, item: Item) -> Item | None:
        """The newest earlier evidence of the same kind for what `item` shows: what the same path held at an
        earlier claim, else an older file of the same features, best one of a like name."""
        known = self.earlier.get(item.file.path, ())
        replaced = [
            other
            for other in known
            if other.file.mtime_ns < item.file.mtime_ns and other.sha256 != item.sha256
        ]
        if replaced:
            return replaced[-1]
        mine = set(item.features)
        older = [
            other
            for other in self.items
            if other.file.mtime_ns < item.file.mtime_ns
            and other.file.kind is item.file.kind
            and mine.intersection(other.features)
        ]
        alike = [other for other in older if _stem(other.file.path) == _stem(item.file.path)]
        return next(iter(alike or older), None)


def _stem(path: str) -> str:
    """A file's name without what tells one take from the next: its suffix, numbers at its end, and words such
    as `before`."""
    stem = os.path.splitext(path.rpartition("/")[2])[0].lower()
    return re.sub(r"([\W_]+(v?\d+|before|after|old|new|final|fixed))+$", "", stem)


# --- The folder -----------------------------------------------------------------------------------------


def scan(root: Path) -> tuple[list[File], int, str]:
    """The files in the evidence folder, newest first; how many were left out; why there are none to see."""
    try:
        found = os.lstat(root / EVIDENCE_DIR)
    except FileNotFoundError:
        return [], 0, ""
    except OSError as error:
        return [], 0, f"{EVIDENCE_DIR}/ can't be read ({error.strerror})"
    if not stat.S_ISDIR(found.st_mode):
        what = "a link, which isn't followed" if stat.S_ISLNK(found.st_mode) else "no folder"
        return [], 0, f"{EVIDENCE_DIR} is {what}"
    files = sorted(
        itertools.islice(_walk(root, EVIDENCE_DIR, _DEEPEST), _MOST_FOUND),
        key=lambda file: (-file.mtime_ns, file.path),
    )
    return files[:MOST_FILES], max(0, len(files) - MOST_FILES), ""


def _walk(root: Path, folder: str, depth: int) -> Iterator[File]:
    with contextlib.suppress(OSError), os.scandir(root / folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{folder}/{entry.name}"
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    if depth:
                        yield from _walk(root, path, depth - 1)
                    continue
                found = entry.stat(follow_symlinks=False)
                yield File(path, found.st_size, found.st_mtime_ns, _flaw(found.st_mode))


def _flaw(mode: int) -> str:
    if stat.S_ISREG(mode):
        return ""
    return "a link, not followed" if stat.S_ISLNK(mode) else "not a regular file"


# --- Both together --------------------------------------------------------------------------------------


class Evidence:
    """A run's evidence, looked at again and again, by one thread at a time."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._chronicle = Chronicle(run.journal)
        self._hashes: dict[str, tuple[int, int, str]] = {}
        """By path: time and size of what was hashed, and its sha256."""
        self._names = _Names(())
        self._folder: tuple[list[File], int, str] | None = None
        self._seen: tuple[object, ...] = ()
        self._listing = Listing()

    def look(self, features: Sequence[str], near: Collection[str] = (), *, at_files: bool = True) -> Listing:
        """All evidence now. `features` are the run's, by whose ids files are told; `near` are the paths whose
        sha256 is wanted. Without `at_files`, only the journal is read on. Where nothing has changed, the
        answer is the same object."""
        whole = self._chronicle.read()
        if at_files or self._folder is None:
            self._folder = scan(self.run.root)
        files, left_out, trouble = self._folder
        if self._names.features != tuple(features):
            self._names = _Names(tuple(features))
        wanted = [file for file in files if file.path in near and self._hash(file) is None]
        for file in wanted:
            self._take_hash(file)
        seen = (self._folder, self._chronicle.taken, whole, self._names.features)
        if not wanted and seen == self._seen:
            return self._listing
        self._seen = seen
        self._hashes = {file.path: self._hashes[file.path] for file in files if file.path in self._hashes}
        items = tuple(self._item(file) for file in files)
        claims = self._chronicle.claims.items()
        earlier = {
            path: tuple(self._as_bound(claim) for claim in known if claim.commit) for path, known in claims
        }
        self._listing = Listing(items, left_out, trouble, earlier, whole)
        return self._listing

    def _as_bound(self, claim: Claim) -> Item:
        file = File(claim.path, claim.size, claim.mtime_ns, commit=claim.commit)
        opened = self._chronicle.opened.get(claim.sha256, ())
        return Item(file, claim.features, True, claim.session, claim.sha256, opened)

    def _item(self, file: File) -> Item:
        chronicle = self._chronicle
        sha256 = self._hash(file) or ""
        claims = [
            claim
            for claim in chronicle.claims.get(file.path, ())
            if (claim.sha256 == sha256 if sha256 else _untouched(claim, file))
        ]
        named = self._names.find(file.path)
        features = tuple(dict.fromkeys(name for claim in claims for name in claim.features)) or named
        sha256 = sha256 or (claims[-1].sha256 if claims else "")
        session = chronicle.captured.get((file.path, sha256)) if sha256 else None
        if session is None:
            session = chronicle.session_at(file.mtime_ns)
        opened = chronicle.opened.get(sha256, ()) if sha256 else None
        return Item(file, features, bool(claims), session, sha256, opened)

    def _hash(self, file: File) -> str | None:
        """The sha256 that was worked out for this very file; "" for one that can't be had."""
        mtime_ns, size, sha256 = self._hashes.get(file.path, (0, -1, ""))
        return sha256 if (mtime_ns, size) == (file.mtime_ns, file.size) else None

    def _take_hash(self, file: File) -> None:
        found = None if file.flaw else fingerprint(self.run.root / file.path)
        self._hashes[file.path] = (file.mtime_ns, file.size, found.sha256 if found else "")


def _untouched(claim: Claim, file: File) -> bool:
    return (claim.mtime_ns, claim.size) == (file.mtime_ns, file.size)


class _Names:
    """Finds the features whose ids a file's name carries, without asking each feature about each file."""

    def __init__(self, features: tuple[str, ...]) -> None:
        self.features = features
        self._by_key: dict[str, list[str]] = {}
        for feature in features:
            for key in list(_keys(feature))[:1]:
                self._by_key.setdefault(key, []).append(feature)
        self._found: dict[str, tuple[str, ...]] = {}

    def find(self, path: str) -> tuple[str, ...]:
        name = path.rpartition("/")[2]
        if name not in self._found:
            keys = dict.fromkeys(_keys(os.path.splitext(name)[0]))
            likely = (feature for key in keys for feature in self._by_key.get(key, ()))
            self._found[name] = tuple(feature for feature in likely if carries(name, feature))
        return self._found[name]


def _keys(text: str) -> Iterable[str]:
    """The words of a name, a numbered one by its number alone."""
    for word in re.split(r"[\W_]+", text.lower()):
        number = re.fullmatch(r"(?:f|feat|feature)?0*(\d+)", word)
        if word:
            yield number[1] if number else word

"""Evidence: what a session has seen and typed, and whether pieces may carry a claim.

`SessionEvidence` (in `seen`) is what a session knows. `check` is the whole of the rules: it
gives the accepted pieces, or a `Refusal` that tells the agent what is missing and how to mend it.
`check_edit` is the same for a claim made by editing the contract, which names no pieces.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec

from harness_core.evidence.content import flaw
from harness_core.evidence.files import Kind, SourceFile, evidence_kind, is_closed, newest_source
from harness_core.evidence.fingerprint import MAX_BYTES, Loaded, load, relative_to
from harness_core.evidence.seen import Fingerprint, Read, SessionEvidence

__all__ = [
    "MAX_BYTES",
    "Fingerprint",
    "Kind",
    "Piece",
    "Read",
    "Refusal",
    "SessionEvidence",
    "SourceFile",
    "Spent",
    "carries",
    "check",
    "check_edit",
    "choose",
    "evidence_kind",
    "fingerprint",
    "is_made",
    "newest_source",
    "note_copied",
    "relative_to",
]

CLOCK_SLACK_NS = 20_000_000
"""File times come from a clock that ticks every few ms and lags behind the one that dates sessions."""
FUTURE_SLACK_NS = 5_000_000_000
MAX_PIECES = 32
"""More pieces than this in one claim are refused."""
KINDS = "pictures (.png .jpg .gif .webp .bmp), logs (.log .txt .out .tap), or JSON and XML results"

Spent: TypeAlias = Mapping[str, frozenset[str]]
"""Which features each content, by its sha256, was spent on."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted piece of evidence."""

    path: str
    """Relative to the run, with `/`, symbolic links resolved."""
    sha256: str
    size: int
    mtime_ns: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a claim isn't accepted: a sentence for the agent."""

    reason: str


def fingerprint(path: Path) -> Fingerprint | None:
    """The content of a regular file of at most MAX_BYTES, or None."""
    found = load(path)
    return (
        None
        if isinstance(found, str)
        else Fingerprint(hashlib.sha256(found.data).hexdigest(), len(found.data))
    )


def is_made(root: Path, path: str, session: SessionEvidence) -> bool:
    """Whether there is a file at `path` that a program made in this session, as far as is known."""
    found = load(root / path)
    return not isinstance(found, str) and _is_new(found, session) and not _is_typed(path, found, session)


def note_copied(root: Path, path: str, session: SessionEvidence) -> None:
    """Take in that the agent copied what is at `path` from a file that proves nothing."""
    found = load(root / path)
    if not isinstance(found, str):
        session.note_copied(hashlib.sha256(found.data).hexdigest(), found.mtime_ns)


def check(
    root: Path,
    feature_id: str,
    paths: Sequence[str],
    session: SessionEvidence,
    *,
    spent: Spent,
    newest: SourceFile | None,
    also_for: Collection[str] = (),
    now_ns: int | None = None,
) -> tuple[Piece, ...] | Refusal:
    """The accepted pieces, or why the claim is refused.

    `root` is absolute and resolved. `newest` is the source file that changed last. `also_for` names the other
    features that the same pieces may have been spent on. `now_ns` is the time, by default the clock's.
    """
    if not paths:
        return Refusal(
            f"A claim of {feature_id} needs evidence: run the feature so that a program makes {KINDS}, "
            "open it with Read to its end, then claim with its path."
        )
    if len(paths) > MAX_PIECES:
        return Refusal(
            f"A claim may have {MAX_PIECES} pieces of evidence, this has {len(paths)}: choose the best."
        )
    now = time.time_ns() if now_ns is None else now_ns
    pieces: dict[str, Piece] = {}
    for path in paths:
        piece = _check_piece(root, path, session, newest, now)
        if isinstance(piece, Refusal):
            return piece
        others = sorted(spent.get(piece.sha256, frozenset()) - {feature_id} - set(also_for))
        if others:
            return Refusal(
                f"{piece.path} is already spent on feature {', '.join(others)}: make evidence "
                f"of {feature_id} alone, or list those features in also_for if it truly shows both."
            )
        pieces[piece.path] = piece
    return tuple(pieces.values())


def choose(
    feature_id: str,
    session: SessionEvidence,
    spent: Spent,
    fits: Callable[[str], bool] = lambda path: True,
) -> tuple[str, ...]:
    """The pieces that a claim by edit takes: the unspent opened ones whose name carries the feature's id,
    else the oldest unspent opened one. Of either sort, those that `fits` come before those that don't, so
    that a picture from before the last change doesn't stand in the way of the one made after it; but a piece
    named for the feature that doesn't hold is never passed over for one that isn't named for it."""
    opened = [
        path
        for path, read in session.reads.items()
        if (read.picture or read.lines) and evidence_kind(path) and not spent.get(read.sha256)
    ]
    named = tuple(path for path in opened if carries(path, feature_id))
    if named:
        return tuple(path for path in named if fits(path)) or named
    # One at a time, since looking whether a piece fits means decoding it.
    first = next((path for path in opened if fits(path)), None)
    return (first,) if first else tuple(opened[:1])


def check_edit(
    root: Path,
    feature_id: str,
    session: SessionEvidence,
    *,
    spent: Spent,
    newest: SourceFile | None,
    now_ns: int | None = None,
) -> tuple[Piece, ...] | Refusal:
    """As `check`, for a claim that an edit of the contract makes: the pieces are those of `choose`."""
    now = time.time_ns() if now_ns is None else now_ns
    paths = choose(
        feature_id,
        session,
        spent,
        lambda path: not isinstance(_check_piece(root, path, session, newest, now), Refusal),
    )
    return check(root, feature_id, paths, session, spent=spent, newest=newest, now_ns=now)


def carries(path: str, feature_id: str) -> bool:
    """Whether a file's name carries a feature's id: its words stand in a row in the name's words. A number
    `1`, also in an id like `F001`, is carried by 1, 01, f1, F001, feat1 and feature1, never by 10."""
    words = _words(Path(path).stem)
    wanted = _words(feature_id)
    number = re.fullmatch(r"(f|feat|feature)?0*(\d+)", "".join(wanted)) if len(wanted) == 1 else None
    if number:
        pattern = re.compile(rf"(f|feat|feature)?0*{number.group(2)}")
        return any(pattern.fullmatch(word) for word in words)
    width = len(wanted)
    return width > 0 and any(words[at : at + width] == wanted for at in range(len(words) - width + 1))


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", text.lower()) if word]


def _check_piece(
    root: Path, text: str, session: SessionEvidence, newest: SourceFile | None, now: int
) -> Piece | Refusal:
    """One piece against every rule but the spending."""
    name = text.strip()
    if not name or "\0" in name:
        return Refusal("A path of evidence is empty or has a NUL: give paths relative to the run.")
    path = relative_to(root, name)
    if path is None:
        return Refusal(f"{name} is outside the run: make evidence inside it, for example in screenshots/.")
    lexical = os.path.relpath(os.path.normpath(root / name), root).replace(os.sep, "/")
    if is_closed(path) or is_closed(lexical):
        return Refusal(
            f"{path} lies in a dependency, build or hidden folder, which never counts: "
            "make it in screenshots/."
        )
    kind = evidence_kind(path)
    if kind is None or evidence_kind(lexical) is None:
        return Refusal(f"{path} isn't a kind of evidence: what counts are {KINDS} that a program made.")
    found = load(root / path)
    if isinstance(found, str):
        return Refusal(f"{path} {found}: make it, open it with Read, then claim.")
    piece = Piece(
        path=path,
        sha256=hashlib.sha256(found.data).hexdigest(),
        size=len(found.data),
        mtime_ns=found.mtime_ns,
        kind=kind,
    )
    return _check_content(piece, found, session, newest, now)


def _check_content(
    piece: Piece, found: Loaded, session: SessionEvidence, newest: SourceFile | None, now: int
) -> Piece | Refusal:
    path, data = piece.path, found.data
    if not _is_new(found, session):
        return Refusal(
            f"{path} is from before this session: make it again now, open it with Read, then claim."
        )
    if piece.mtime_ns > now + FUTURE_SLACK_NS:
        return Refusal(f"{path} has a time in the future: make it again, and leave its time as it is.")
    if _is_typed(path, found, session):
        return Refusal(
            f"{path} was typed by you or copied from what proves nothing, not made by a program: "
            "let a test run, the app or a browser make it."
        )
    if newest is not None and piece.mtime_ns < newest.mtime_ns:
        return Refusal(
            f"{path} is older than the last change of {newest.path}: make it again and open it with Read "
            f"(if the app itself writes {newest.path}, put that into .gitignore)."
        )
    read = session.reads.get(path)
    if read is None:
        return Refusal(f"{path} hasn't been opened in this session: open it with Read and look, then claim.")
    if read.sha256 != piece.sha256:
        return Refusal(f"{path} has changed since you opened it: open it with Read again, then claim.")
    seen = read.picture if piece.kind is Kind.PICTURE else read.reaches(_last_line(data))
    wrong = flaw(data, path, piece.kind)
    if wrong:
        return Refusal(f"{path} {wrong}: make evidence that shows the feature at work.")
    if not seen:
        return Refusal(
            f"{path} hasn't been seen to its end: open it with Read up to its last line, then claim."
        )
    return piece


def _is_new(found: Loaded, session: SessionEvidence) -> bool:
    return found.mtime_ns >= session.started_ns - CLOCK_SLACK_NS


def _is_typed(path: str, found: Loaded, session: SessionEvidence) -> bool:
    """Whether the agent typed this content: here, at another path from which it was copied, or as the
    beginning to which a program only added; or whether it is a copy of what proves nothing."""
    data, sha256 = found.data, hashlib.sha256(found.data).hexdigest()
    for typed in session.typed.get(path, ()):
        if typed is None:
            return True
        if 0 < typed.size < len(data) and hashlib.sha256(data[: typed.size]).hexdigest() == typed.sha256:
            return True
    elsewhere = (typed for known in session.typed.values() for typed in known if typed is not None)
    copied = found.mtime_ns in session.copied.get(sha256, ())
    return copied or any(typed.sha256 == sha256 for typed in elsewhere)


def _last_line(data: bytes) -> int:
    """The number of the last line that isn't blank, counted from 1."""
    return data.rstrip().count(b"\n") + 1

"""What proves a feature, kept: together in one folder, and on disk before the claim is on record.

Test runners empty their folder of results at each run, and programs drop pictures wherever they stand.
"""

from __future__ import annotations

import hashlib
import os
import re
from itertools import count
from pathlib import Path, PurePosixPath

import msgspec

from harness_core.evidence.claim import Piece, carries, fingerprint, relative_to
from harness_core.evidence.fingerprint import load
from harness_core.layout import EVIDENCE_DIR
from harness_core.machine.files import sync_file, write_whole

_MOST_OF_AN_ID = 60
"""Characters of a feature's id in a file's name, which most file systems end after 255 bytes."""


def keep(root: Path, feature_id: str, piece: Piece) -> Piece:
    """The piece as the record is to name it: in `screenshots/`, where it is copied if it lies elsewhere.

    `root` is absolute and resolved. The copy has the feature's id in its name, the original's time, and
    replaces nothing. Raises OSError where it can't be written.
    """
    if piece.path.startswith(f"{EVIDENCE_DIR}/"):
        sync_file(root / piece.path)
        return piece
    found = load(root / piece.path)
    if isinstance(found, str) or hashlib.sha256(found.data).hexdigest() != piece.sha256:
        return piece
    path = _place(root, feature_id, piece)
    if relative_to(root, path) != path:
        # The folder is a link that leads elsewhere.
        return piece
    write_whole(root / path, found.data)
    os.utime(root / path, ns=(piece.mtime_ns, piece.mtime_ns))
    return msgspec.structs.replace(piece, path=path)


def _place(root: Path, feature_id: str, piece: Piece) -> str:
    """Where the copy goes: a name that is free, or has this content already."""
    own = PurePosixPath(piece.path)
    prefix = (
        "" if carries(own.name, feature_id) else re.sub(r"[^\w.-]+", "_", feature_id)[:_MOST_OF_AN_ID] + "-"
    )
    for number in count(1):
        again = "" if number == 1 else f"-{number}"
        path = f"{EVIDENCE_DIR}/{prefix}{own.stem}{again}{own.suffix}"
        there = fingerprint(root / path)
        if there is not None and there.sha256 == piece.sha256:
            break
        if there is None and not os.path.lexists(root / path):
            break
    return path

"""The folder of evidence at a glance: what is new in it. A hook loads this at every call."""

from __future__ import annotations

import os
from collections.abc import Iterator

from harness_core.layout import RunDir

Listed = dict[str, list[int]]
"""Files by their path, with time (ns since the epoch) and size."""


def listed(run: RunDir) -> Listed:
    """The files in the folder; none where it can't be read."""
    found = {}
    try:
        with os.scandir(run.evidence) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    info = entry.stat(follow_symlinks=False)
                    found[f"{run.evidence.name}/{entry.name}"] = [info.st_mtime_ns, info.st_size]
    except OSError:
        return {}
    return found


def new_since(run: RunDir, known: Listed) -> Iterator[tuple[str, str, int]]:
    """The evidence that isn't among what is `known`, or not as it was: path, sha256, and size. What lies
    there now is what is `known` from then on."""
    now = listed(run)
    new = [path for path, state in now.items() if known.get(path) != state]
    known.clear()
    known.update(now)
    if not new:
        return
    import hashlib  # noqa: PLC0415  (most calls leave nothing behind)

    from harness_core.evidence.files import evidence_kind  # noqa: PLC0415
    from harness_core.evidence.fingerprint import load  # noqa: PLC0415

    for path in new:
        content = load(run.root / path) if evidence_kind(path) is not None else ""
        if not isinstance(content, str):
            yield path, hashlib.sha256(content.data).hexdigest(), len(content.data)

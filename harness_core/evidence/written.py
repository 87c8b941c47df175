"""What a tool call has typed or copied, which proves nothing: taken down for the evidence of its session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness_core.guards import ToolCall
from harness_core.guards.tools import WRITERS, target

if TYPE_CHECKING:
    from harness_core.evidence.claim import SessionEvidence


def note_written(call: ToolCall, root: Path, cwd: Path | None, notes: SessionEvidence) -> bool:
    """Take down in `notes` what a call that has ended filled; the session's shell stood in `cwd`.

    True when there was something.
    """
    # The first call of an engine loads these anyway; a hook often needs none of them.
    from harness_core.evidence import claim as evd  # noqa: PLC0415
    from harness_core.guards.shell_typed import Origin, unproven  # noqa: PLC0415

    if call.tool in WRITERS:
        written = {target(call.tool, call.input): Origin.TYPED}
    elif call.tool == "Bash":
        command = str(call.input.get("command", ""))
        written = unproven(command, root, lambda path: evd.is_made(root, path, notes), cwd or root)
    else:
        return False
    for item, origin in written.items():
        path = evd.relative_to(root, item)
        if path is None:
            continue
        if origin is Origin.COPIED:
            evd.note_copied(root, path, notes)
        else:
            notes.note_typed(path, evd.fingerprint(root / path))
    return bool(written)

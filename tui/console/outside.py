"""Opens a piece of evidence with the desktop's own program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from textual.widget import Widget

from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.reading.evidence_list import File
from harness_core.safe import one_line

_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")


def open_outside(run: RunDir, file: File) -> None:
    """Start the desktop's program for this file, and don't wait. Raises Mistake, in a sentence."""
    path = run.root / file.path
    if file.flaw or file.kind is None:
        # A desktop may run what it is told to open.
        raise Mistake(f"{file.name} isn't opened outside: only pictures, logs and results are")
    mac = sys.platform == "darwin"
    if not mac and not any(os.environ.get(name) for name in _SCREENS):
        raise Mistake(f"there is no desktop here to open it with: copy {path} to where there is one")
    opener = shutil.which("open" if mac else "xdg-open")
    if opener is None:
        raise Mistake(f"there is no xdg-open here: install xdg-utils, or open {path} yourself")
    try:
        subprocess.Popen(
            [opener, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise Mistake(f"{opener} can't be started ({error.strerror}): open {path} yourself") from None


def open_and_say(widget: Widget, run: RunDir, file: File) -> None:
    """The same; what comes of it is said on the screen."""
    try:
        open_outside(run, file)
    except Mistake as error:
        widget.notify(one_line(str(error)), severity="warning", markup=False)
    else:
        widget.notify(f"opened {one_line(file.name)} outside", markup=False)

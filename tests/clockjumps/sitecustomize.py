"""Loaded by an engine whose clock on the wall a test wants to jump; found by PYTHONPATH alone.

`LONGWATCH_TEST_JUMP_FILE` names a file: once there is one, the clock jumps by the seconds in it, as often as
it is made anew. The clock that nobody sets goes on as ever, as it does when a machine wakes from its sleep.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

POLL = 0.05


def _follow(file: Path) -> None:
    import time_machine  # noqa: PLC0415

    while True:
        if file.exists():
            by = timedelta(seconds=float(file.read_text()))
            time_machine.travel(datetime.now(UTC) + by, tick=True).start()
            file.unlink()
        time.sleep(POLL)


if "run" in sys.orig_argv or "resume" in sys.orig_argv:
    place = Path(os.environ["LONGWATCH_TEST_JUMP_FILE"])
    threading.Thread(target=_follow, args=(place,), daemon=True).start()

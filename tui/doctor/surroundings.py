"""Looks at what is around: the terminal, the user's own settings, the ways of messages."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from harness_core.errors import LongwatchError
from harness_core.notify.channels import channels
from harness_core.notify.settings import of_user
from tui import settings
from tui.doctor.check import Check, Patient, fail, ok, warn


def terminal(patient: Patient) -> Iterator[Check]:
    from tui.console.pictures import may_have_graphics  # noqa: PLC0415  (loads Textual)

    environ = patient.environ
    term = environ.get("TERM", "")
    if term in ("", "dumb"):
        says = "no terminal that can hold the console: streams and commands work"
        yield warn("terminal", says, "open a terminal whose TERM isn't dumb")
        return
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if encoding != "utf8":
        yield warn("terminal", f"{term}, its text is {encoding or 'unknown'}", "set LANG to a UTF-8 locale")
        return
    if may_have_graphics(environ):
        yield ok("terminal", f"{term}: pictures in its own graphics, if it answers")
    elif environ.get("TMUX") or environ.get("STY"):
        yield ok("terminal", f"{term}: pictures as half-blocks, since a multiplexer is in between")
    else:
        yield ok("terminal", f"{term}: pictures as half-blocks")


def own_settings(_: Patient) -> Iterator[Check]:
    try:
        settings.load()
    except LongwatchError as error:
        yield fail("settings", str(error), "mend the file, or move it away")
    else:
        yield ok("settings", str(settings.path()) if settings.path().exists() else "none: the defaults hold")


def messages(patient: Patient) -> Iterator[Check]:
    try:
        asked = of_user()
        if patient.run is not None:
            from harness_core import config  # noqa: PLC0415

            asked = config.load_file(patient.run.config_file).notify.over(asked)
    except LongwatchError:
        # The looks at the two files say what is wrong with them.
        return
    found = [way.name for way in channels(asked, "", patient.environ)]
    yield ok("messages", ", ".join(found) if found else "by the console alone: set [notify] for others")

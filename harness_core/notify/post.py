"""Sends one message through Apprise: `python -m harness_core.notify.post`, a letter as JSON on its input.

A process of its own, since what a service does to it, hang, crash, swell, must not happen to an engine.
"""

from __future__ import annotations

import sys

import apprise
import msgspec

from harness_core.notify.channels import UNKNOWN_ADDRESS
from harness_core.notify.messages import Kind

_TYPES = {
    Kind.DONE: apprise.NotifyType.SUCCESS,
    Kind.WAITING: apprise.NotifyType.INFO,
    Kind.FAILED: apprise.NotifyType.FAILURE,
    Kind.LIMIT: apprise.NotifyType.WARNING,
    Kind.STALL: apprise.NotifyType.WARNING,
}


class Letter(msgspec.Struct, frozen=True):
    """A message and where it goes."""

    url: str
    kind: Kind
    title: str
    body: str


def main() -> int:
    letter = msgspec.json.decode(sys.stdin.buffer.read(), type=Letter)
    sender = apprise.Apprise()
    if not sender.add(letter.url):
        return UNKNOWN_ADDRESS
    sent = sender.notify(
        body=letter.body,
        title=letter.title,
        notify_type=_TYPES[letter.kind],
        body_format=apprise.NotifyFormat.TEXT,
        interpret_escapes=False,
    )
    return 0 if sent else 1


if __name__ == "__main__":
    sys.exit(main())

"""What is told of an engine that can tell nothing any more: sent by the guardian that has outlived it."""

from __future__ import annotations

import os

import msgspec

from harness_core.layout import RunDir
from harness_core.notify.channels import channels
from harness_core.notify.messages import Kind, message
from harness_core.notify.settings import Notify


class Will(msgspec.Struct, frozen=True):
    """Whose engine it was, and how the operator wants to be told. It may hold an address with its key."""

    run: str
    directory: str
    notify: Notify
    environ: dict[str, str]


def will(run: str, directory: str, notify: Notify) -> bytes:
    """To be handed to the guardian, in one line."""
    return msgspec.json.encode(Will(run, directory, notify, dict(os.environ)))


def carry_out(left: bytes) -> None:
    """Tell that the engine is gone, unless its operator has stopped the run."""
    found = msgspec.json.decode(left, type=Will)
    if os.path.lexists(RunDir.at(found.directory).stop_file):
        return
    # The guardian has hardly any variables of its own, and a desktop or a command may need those of its user.
    os.environ.update(found.environ)
    told = message(Kind.FAILED, found.run, f"its engine died; to go on: longwatch resume {found.directory}")
    for way in channels(found.notify, found.directory):
        way.tell(told)

"""The entry point of `longwatch`: a hook goes its own short way, every other command the usual one."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn


def main() -> None:
    """Run the command that the command line names."""
    if sys.argv[1:2] == ["hook"] and "--help" not in sys.argv:
        _hook(sys.argv[2:])
    # What is loaded at a start stays: there is no need to look through it for garbage meanwhile.
    gc.disable()
    from tui import cli  # noqa: PLC0415

    gc.enable()

    cli.main()


def _hook(arguments: list[str]) -> NoReturn:
    """Answer a hook in as little time as can be: a session waits for each of these."""
    gc.disable()
    from harness_core.hooks.main import main as hook  # noqa: PLC0415

    code = hook(arguments)
    # All is said and written; taking the interpreter down in order would only take time.
    os._exit(code)


if __name__ == "__main__":
    main()

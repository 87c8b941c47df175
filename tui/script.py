"""The entry point of `longwatch`: a hook goes its own short way, every other command the usual one."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that the command line names."""
    if sys.argv[1:2] == ["hook"] and "--help" not in sys.argv:
        from harness_core.hooks.main import main as hook  # noqa: PLC0415  (a session waits for each of its hooks)

        sys.exit(hook(sys.argv[2:]))
    from tui import cli  # noqa: PLC0415

    cli.main()


if __name__ == "__main__":
    main()

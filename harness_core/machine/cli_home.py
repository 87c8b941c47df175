"""Where the CLI, and Claude Code with it, keeps what is its user's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def cli_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of its login and its transcripts."""
    home = Path(environ.get("HOME") or Path.home())
    return Path(environ.get("CLAUDE_CONFIG_DIR") or home / ".claude")


def kept_login(environ: Mapping[str, str] = os.environ) -> Path:
    """The file of what it was given when somebody logged in."""
    return cli_home(environ) / ".credentials.json"

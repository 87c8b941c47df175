"""A short look at what a run needs from this machine."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from harness_core import config
from harness_core.errors import Mistake
from harness_core.files import read_text

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_LOGINS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
)


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    good: bool
    says: str
    needed: bool = True
    """Whether a run can't do without."""


def checks(environ: Mapping[str, str] = os.environ) -> Iterator[Check]:
    """Looks at one thing after the other. Starts git once; asks nothing over the network."""
    yield Check(
        "Python", sys.version_info >= (3, 11), f"{platform.python_version()}, 3.11 or newer is needed"
    )
    yield _git()
    yield _sdk()
    yield _cli()
    yield _login(environ)
    yield _chromium(environ)


def _git() -> Check:
    try:
        done = subprocess.run(
            ["git", "--version"], capture_output=True, text=True, errors="replace", check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return Check("git", False, "not installed or not on PATH: install it")
    return Check("git", True, done.stdout.strip().removeprefix("git version "))


def _sdk() -> Check:
    try:
        return Check("Agent SDK", True, metadata.version("claude-agent-sdk"))
    except metadata.PackageNotFoundError:
        return Check("Agent SDK", False, "claude-agent-sdk is missing: install Longwatch again")


def _cli() -> Check:
    """The CLI that comes with the SDK; found without loading the SDK, which takes a second."""
    spec = importlib.util.find_spec("claude_agent_sdk")
    home = Path(spec.origin).parent if spec is not None and spec.origin else None
    if home is None or not (home / "_bundled" / "claude").is_file():
        own = shutil.which("claude")
        says = f"{own}, none comes with the SDK" if own else "none comes with the SDK, none is on PATH"
        return Check("Claude CLI", own is not None, says)
    told = re.search(r'"(.+)"', (read_text(home / "_cli_version.py") or "").partition("__cli_version__")[2])
    return Check("Claude CLI", True, f"{told[1] if told else 'unknown version'}, comes with the SDK")


def _login(environ: Mapping[str, str]) -> Check:
    try:
        config.check_login(environ)
    except Mistake as mistake:
        return Check("login", False, str(mistake))
    named = [name for name in _LOGINS if environ.get(name)]
    return Check("login", True, f"{named[0]} is set" if named else "logged in with `claude`")


def _chromium(environ: Mapping[str, str]) -> Check:
    """A browser, for the pictures that agents take of web pages with programs of their own."""
    found = next((path for name in _CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        folder = environ.get("PLAYWRIGHT_BROWSERS_PATH") or str(Path.home() / ".cache" / "ms-playwright")
        found = next((str(path) for path in sorted(Path(folder).glob("chromium*"))), None)
    says = found or "none found: only agents that take pictures of web pages need one"
    return Check("Chromium", found is not None, says, needed=False)

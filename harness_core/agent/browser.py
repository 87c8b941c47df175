"""The browser that agents use pages with: Playwright's MCP server on the Chromium of this machine.

Nothing is downloaded: what isn't installed isn't there. The browser is headless, forgets everything at its
end, and reaches this machine alone: every other address goes to a proxy that doesn't exist.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness_core.layout import RunDir
from harness_core.machine.files import write_whole

PACKAGE = "@playwright/mcp"
INSTALL = f"npm install -g {PACKAGE}"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NOWHERE = "http://127.0.0.1:9"
"""The proxy for all that isn't loopback: nothing listens on the port for discarding."""
LOOPBACK = "<-loopback>,localhost,*.localhost,127.0.0.0/8,[::1]"
"""Chromium's rules for what needs no proxy. The first one takes away its own, which have link-local
addresses among them; later ones win."""
VIEWPORT = {"width": 1280, "height": 800}
_MAC = "Applications/{0}.app/Contents/MacOS/{0}"


@dataclass(frozen=True)
class Browser:
    """What a machine has of it. None is not found."""

    chromium: Path | None = None
    node: Path | None = None
    package: Path | None = None
    """The script of Playwright's MCP server."""

    @property
    def missing(self) -> str:
        """What isn't there and how to get it, in words; "" where nothing is missing."""
        lacks = [
            *([] if self.chromium else ["Chromium is not installed"]),
            *([] if self.node else ["Node.js is not installed"]),
            *([] if self.package else [f"{PACKAGE} is not installed (`{INSTALL}`)"]),
        ]
        return ", ".join(lacks)


def find(environ: Mapping[str, str] = os.environ, closed: Path | None = None) -> Browser:
    """Look for a browser and its server. Starts nothing.

    `closed` is a folder that others write into, so nothing in it is trusted.
    """
    path = environ.get("PATH", os.defpath)
    home = Path(environ.get("HOME") or Path.home())
    node = _program("node", path)
    trusted = (item for item in _packages(path, node, home, environ) if item.is_file())
    return Browser(
        chromium=_outside(closed, _chromiums(path, home, environ)),
        node=_outside(closed, [node] if node else []),
        package=_outside(closed, trusted),
    )


def _outside(closed: Path | None, found: Iterable[Path]) -> Path | None:
    for item in found:
        if closed is None or not (item.is_relative_to(closed) or item.resolve().is_relative_to(closed)):
            return item
    return None


def _program(name: str, path: str) -> Path | None:
    found = shutil.which(name, path=path)
    return Path(found).absolute() if found else None


def _chromiums(path: str, home: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    yield from filter(None, (_program(name, path) for name in CHROMIUM_NAMES))
    for name in ("Chromium", "Google Chrome"):
        yield from (place for top in (Path("/"), home) if (place := top / _MAC.format(name)).is_file())
    caches = (home / ".cache" / "ms-playwright", home / "Library" / "Caches" / "ms-playwright")
    named = environ.get("PLAYWRIGHT_BROWSERS_PATH")
    for cache in (Path(named),) if named else caches:
        yield from sorted(cache.glob("chromium-*/chrome-linux*/chrome"), reverse=True)
        yield from sorted(cache.glob("chromium-*/chrome-mac*/*.app/Contents/MacOS/*"), reverse=True)


def _packages(path: str, node: Path | None, home: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """Where the package's script may be: behind its command, among node's global packages, in npx's cache."""
    command = _program("playwright-mcp", path)
    if command is not None:
        yield command.resolve()
    prefixes = [Path(named)] if (named := environ.get("npm_config_prefix")) else []
    prefixes += [place.parent.parent for place in (node, node and node.resolve()) if place]
    for prefix in (*prefixes, Path("/usr/local")):
        yield prefix / "lib" / "node_modules" / PACKAGE / "cli.js"
    cache = Path(environ.get("npm_config_cache") or home / ".npm")
    yield from sorted(cache.glob(f"_npx/*/node_modules/{PACKAGE}/cli.js"), key=_age)


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def command(browser: Browser, run: RunDir) -> list[str]:
    """The command line of the server for a run, which reads the settings in `.longwatch/`."""
    return [str(browser.node), str(browser.package), "--config", str(_place(run))]


def write_settings(browser: Browser, run: RunDir) -> None:
    """Put the server's settings where it looks for them."""
    write_whole(_place(run), msgspec.json.format(msgspec.json.encode(_settings(browser, run)), indent=2))


def _place(run: RunDir) -> Path:
    return run.private / "browser.json"


def _settings(browser: Browser, run: RunDir) -> dict[str, object]:
    """The settings of Playwright's server, in its own words."""
    launch = {
        "headless": True,
        "executablePath": str(browser.chromium),
        # Chromium refuses to start as root with its own sandbox on.
        "chromiumSandbox": os.geteuid() != 0 if sys.platform == "linux" else True,
        "proxy": {"server": NOWHERE, "bypass": LOOPBACK},
        "args": ["--disable-quic", "--force-webrtc-ip-handling-policy=disable_non_proxied_udp"],
    }
    return {
        "browser": {
            "browserName": "chromium",
            "isolated": True,
            "launchOptions": launch,
            "contextOptions": {"viewport": VIEWPORT},
        },
        "outputDir": str(run.evidence),
        "webmcp": False,
        "codegen": "none",
    }

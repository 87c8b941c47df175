"""Looks at what drives agents: the SDK and its CLI, what pays for a model, the way to it."""

from __future__ import annotations

import http.client
import importlib.util
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import msgspec

from harness_core import config
from harness_core.errors import Mistake
from harness_core.machine.cli_home import kept_login
from tui.doctor.check import Check, Patient, fail, ok, warn

SDK = "claude-agent-sdk"
API = "https://api.anthropic.com"
API_WITHIN = 5.0
"""Seconds that the API has for a sign of life."""
_LOGINS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
)
_CLOUDS = {"CLAUDE_CODE_USE_BEDROCK": "Bedrock", "CLAUDE_CODE_USE_VERTEX": "Vertex"}


def sdk(_: Patient) -> Iterator[Check]:
    try:
        yield ok("Agent SDK", metadata.version(SDK))
    except metadata.PackageNotFoundError:
        yield fail("Agent SDK", f"{SDK} is missing", "install Longwatch again")


def cli(patient: Patient) -> Iterator[Check]:
    """The CLI that comes with the SDK; found without loading the SDK, which takes a second."""
    spec = importlib.util.find_spec(SDK.replace("-", "_"))
    home = Path(spec.origin).parent if spec is not None and spec.origin else None
    bundled = home / "_bundled" / "claude" if home is not None else None
    if bundled is None or not bundled.is_file():
        own = shutil.which("claude", path=patient.path)
        says = f"none comes with the SDK{f'; there is {own}' if own else ''}"
        yield fail("Claude CLI", says, "install Longwatch again")
        return
    # The quiet flag keeps it from looking for news.
    ran = patient.try_out(str(bundled), "--version", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1")
    told = re.match(r"[\d.]+", ran.out)
    if ran.well and told:
        yield ok("Claude CLI", f"{told[0]}, comes with the SDK, runs")
    else:
        why = ran.why or f"it says {ran.out!r}"
        yield fail("Claude CLI", f"it doesn't run: {why}", "install Longwatch again for this kind of machine")


def guards(patient: Patient) -> Iterator[Check]:
    """Whether it was seen that this CLI asks the guards. A start sees to that itself, which takes seconds."""
    from harness_core.box import drill  # noqa: PLC0415  (much is loaded with it)

    found = drill.known(True, patient.environ) or drill.known(False, patient.environ)
    if found is None:
        yield ok("guards", "not tried with this CLI yet: the next run tries them before it starts")
    else:
        yield ok("guards", f"this CLI asks them, and they hold (tried {found.at})")


def login(patient: Patient) -> Iterator[Check]:
    try:
        config.check_login(patient.environ)
    except Mistake as mistake:
        says, _, mend = str(mistake).partition(": ")
        yield fail("login", says, mend)
        return
    named = [name for name in _LOGINS if patient.environ.get(name)]
    yield ok("login", f"{named[0]} is set") if named else _kept_login(kept_login(patient.environ))


class _Token(msgspec.Struct):
    """Of what the CLI keeps, when it ends (in ms since 1970) and by what it is renewed."""

    ends: float = msgspec.field(name="expiresAt", default=0.0)
    renewed_by: str = msgspec.field(name="refreshToken", default="")


class _Kept(msgspec.Struct):
    token: _Token = msgspec.field(name="claudeAiOauth", default_factory=_Token)


def _kept_login(path: Path) -> Check:
    """What a login with `claude` has left, by its file alone: nobody is asked whether it still holds."""
    try:
        token = msgspec.json.decode(path.read_bytes(), type=_Kept).token
    except (OSError, msgspec.DecodeError):
        return fail("login", f"{path} can't be read", "log in again with `claude`")
    ended = 0 < token.ends < time.time() * 1000
    if ended and not token.renewed_by:
        at = datetime.fromtimestamp(token.ends / 1000, UTC)
        return fail(
            "login", f"the login with `claude` ended at {at:%Y-%m-%d %H:%M} UTC", "log in again with `claude`"
        )
    return ok("login", "logged in with `claude`" + (": the CLI renews it when it next asks" if ended else ""))


def api(patient: Patient) -> Iterator[Check]:
    """Whether anything answers at the API's address. Says nothing of the key; nothing is sent."""
    cloud = next((word for name, word in _CLOUDS.items() if patient.environ.get(name)), None)
    if cloud is not None:
        yield ok("API", f"{cloud}: not asked")
        return
    base = patient.environ.get("ANTHROPIC_BASE_URL") or API
    shown = _without_login(base)
    why = _unreachable(shown, patient.environ)
    if why:
        yield warn("API", f"{shown} can't be reached ({why})", "look at the network, a proxy, the address")
    else:
        yield ok("API", f"{shown} answers")


def _without_login(address: str) -> str:
    """An address as it may be seen."""
    return re.sub(r"//[^/@]*@", "//", address).partition("?")[0]


def _unreachable(base: str, environ: Mapping[str, str]) -> str:
    """Why nothing answers there; any answer at all is one, a refusal too."""
    proxies = {
        scheme: found
        for scheme in ("http", "https")
        if (found := environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY"))
    }
    try:
        letter = urllib.request.Request(base, method="HEAD")
        if urllib.request.proxy_bypass(letter.host.partition(":")[0]):
            proxies = {}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _Stay())
        opener.open(letter, timeout=API_WITHIN).close()
    except urllib.error.HTTPError:
        return ""
    except urllib.error.URLError as error:
        return _in_words(error.reason)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return _in_words(error)
    return ""


class _Stay(urllib.request.HTTPRedirectHandler):
    """An answer that leads elsewhere is an answer."""

    def redirect_request(self, *_: object) -> None:
        return None


def _in_words(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return f"no answer within {API_WITHIN:g} s"
    if isinstance(reason, socket.gaierror):
        return "its name isn't known here"
    if isinstance(reason, ssl.SSLError):
        return f"its certificate isn't trusted: {reason.reason}"
    return (reason.strerror if isinstance(reason, OSError) else None) or str(reason) or type(reason).__name__

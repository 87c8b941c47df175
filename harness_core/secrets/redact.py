"""Secrets stay out of what is written: the values of credential variables, and well-known shapes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, TypeVar

from harness_core.secrets.shapes import HINTS, shapes

if TYPE_CHECKING:
    from harness_core.record.events import Event

E = TypeVar("E", bound="Event")

HIDDEN = "[redacted]"
CREDENTIAL_NAMES = re.compile(
    r"(?:^|_)(?:API_?KEY|AUTH_TOKEN|TOKEN|SECRET|(?:PG)?PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|ACCESS_KEY|"
    r"PRIVATE_KEY)(?:_|$)"
)
_SHORTEST = 8
_WAYS_OUT = re.compile(r"(?i).*_PROXY$|.*_INDEX(_URL)?$|GOPROXY$|(NPM_CONFIG|YARN_NPM)_REGISTRY(_SERVER)?$")
"""Variables by which programs reach the network at all, also where a password stands in one."""
_WITH_PASSWORD = re.compile(r"\w[\w+.-]*://[^\s/@:]*:[^\s/@]+@(?!localhost\b|127\.|\[::1\])")
"""An address with a password, other than for this machine."""


def known_values(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The values of the environment's credentials, which never belong into a file."""
    return tuple(v for name, v in environ.items() if CREDENTIAL_NAMES.search(name.upper()) and len(v) >= 16)


def credentials(environ: Mapping[str, str], keep: Collection[str] = ()) -> list[str]:
    """The names of the variables that hold a credential, as the name or the value says, but for `keep`."""
    return sorted(name for name, value in environ.items() if name not in keep and _is_credential(name, value))


def _is_credential(name: str, value: str) -> bool:
    if CREDENTIAL_NAMES.search(name.upper()):
        return True
    if _WAYS_OUT.match(name):
        return False
    return bool(_WITH_PASSWORD.search(value) or (HINTS.search(value) and shapes().search(value)))


class Redactor:
    """Replaces secrets in text. Built once from the environment that the engine was started with."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        secret = (value for name, value in environ.items() if CREDENTIAL_NAMES.search(name.upper()))
        values = {value for value in secret if len(value) >= _SHORTEST}
        written = {form for value in values for form in _forms(value) if form not in HIDDEN}
        self._values = sorted(written, key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text` with each secret replaced by a mark."""
        for value in self._values:
            if value in text:
                text = text.replace(value, HIDDEN)
        found = 1 if HINTS.search(text) else 0
        while found:
            # Of two that touch, the first one has an end only when the second is gone.
            text, found = shapes().subn(HIDDEN, text)
        return text

    def data(self, data: bytes) -> bytes:
        """The same for encoded text; bytes that aren't UTF-8 are kept as they are."""
        return self.text(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def event(self, event: E) -> E:
        """The event with secrets taken out of all its text."""
        # Here, since those who redact text alone have no time for loading it.
        from harness_core.record import events as ev  # noqa: PLC0415

        line = ev.encode(event).decode()
        if HINTS.search(line) or any(value in line for value in self._values):
            return ev.with_text(event, self.text)
        return event


def _forms(value: str) -> set[str]:
    """A value as it is, inside JSON, and inside JSON that is itself a string of JSON."""
    once = _inside_json(value)
    return {value, once, _inside_json(once)}


def _inside_json(value: str) -> str:
    return json.dumps(value.encode("utf-8", "replace").decode(), ensure_ascii=False)[1:-1]

"""Secrets stay out of what is written: the values of credential variables, and well-known shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from harness_core import events as ev

E = TypeVar("E", bound=ev.Event)

HIDDEN = "[redacted]"
_NAMES = re.compile(r"(?:^|_)(?:API_?KEY|AUTH_TOKEN|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|ACCESS_KEY)(?:_|$)")
_SHORTEST = 8
_SHAPES = (
    r"sk-ant-[\w-]{16,}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{30,}\b",
    r"\bgithub_pat_\w{40,}\b",
    r"\bxox[abprs]-[A-Za-z0-9-]{16,}",
    r"\bAIza[\w-]{35}\b",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----",
)
# A cheap look for any of these spares most text the full search.
_HINTS = re.compile("sk-ant-|AKIA|ASIA|gh[pousr]_|github_pat_|xox|AIza|PRIVATE KEY")


class Redactor:
    """Replaces secrets in text. Built once from the environment that the engine was started with."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        values = {
            value for name, value in environ.items() if _NAMES.search(name.upper()) and len(value) >= _SHORTEST
        }
        self._values = sorted(values, key=len, reverse=True)
        self._shapes = re.compile("|".join(_SHAPES))

    def text(self, text: str) -> str:
        """`text` with each secret replaced by a mark."""
        for value in self._values:
            if value in text:
                text = text.replace(value, HIDDEN)
        return self._shapes.sub(HIDDEN, text) if _HINTS.search(text) else text

    def data(self, data: bytes) -> bytes:
        """The same for encoded text; bytes that aren't UTF-8 are kept as they are."""
        return self.text(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def event(self, event: E) -> E:
        """The event with secrets taken out of all its text."""
        line = ev.encode(event)
        clean = self.data(line)
        if clean == line:
            return event
        decoded = ev.decode(clean)
        assert isinstance(decoded, type(event))
        return decoded

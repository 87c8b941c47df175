"""What somebody wants an engine to do: small, so that who asks needn't load what does it."""

from __future__ import annotations

import msgspec

from harness_core import config
from harness_core.errors import Mistake


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants an engine to do."""

    directory: str
    spec: str | None = None
    options: config.Options = config.Options()
    console: bool = False
    rehearsal: str | None = None
    clear_stop: bool = False
    """Take AGENT_STOP and AGENT_FINISH away, once nothing else hinders the start."""

    def encoded(self) -> str:
        """The request as JSON. Raises Mistake for text that isn't UTF-8."""
        try:
            return msgspec.json.encode(self).decode()
        except UnicodeEncodeError:
            raise Mistake("a name on the command line isn't UTF-8: use another for DIR or FILE") from None

"""How the operator wants to be told: `[notify]` in a run's longwatch.toml, over that of the user."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from harness_core.errors import Mistake
from harness_core.machine.files import read_bounded


class Notify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ways to tell the operator. None is not said."""

    terminal: bool | None = None
    """By the terminal of a console that is open (OSC 9)."""
    desktop: bool | None = None
    """By the desktop's own service, through `notify-send`. Not said: where there is one."""
    command: str | None = None
    """A shell's command; the message is in its environment, and as JSON on its standard input."""
    url: str | None = None
    """An address as Apprise understands it."""

    def over(self, other: Notify) -> Notify:
        """These ways, and those of `other` where nothing is said here."""
        said = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(other, **said)

    @property
    def secrets(self) -> dict[str, str]:
        """What must not be seen of it, as variables that hold secrets: an address has its key in it."""
        return {"URL_SECRET": self.url, "REST_SECRET": self.url.partition("://")[2]} if self.url else {}


def user_file() -> Path:
    """The user's own settings. `LONGWATCH_CONFIG` names another file."""
    named = os.environ.get("LONGWATCH_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("longwatch") / "config.toml"


def of_user() -> Notify:
    """What the user's own settings say about it; what else stands there is the console's. Raises Mistake."""
    place = user_file()
    try:
        found: dict[str, Any] = tomllib.loads((read_bounded(place) or b"").decode())
        said = found.get("notify", {})
        return Notify(terminal=said) if isinstance(said, bool) else msgspec.convert(said, Notify)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Mistake(f"{place} can't be read ({error}): mend it or take it away") from None
    except msgspec.ValidationError as error:
        raise Mistake(f"{place}: notify: {error}: mend it or take the line away") from None

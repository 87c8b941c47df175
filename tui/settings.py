"""The user's own settings of the console: `config.toml` in the user's configuration folder.

theme = "dark"          # dark, light, contrast, none (no colours)
bell = true             # the terminal's bell when something waits for you
title = true            # the terminal's title
notify = true           # the terminal's own notification (OSC 9); as a table, other ways too
images = "auto"         # as the terminal can: auto, blocks (half-blocks, everywhere), off

[keys]
pause = "space"         # an action's name (docs/console.md lists them), and its keys
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, get_args, get_origin

import msgspec

from harness_core.errors import Mistake
from harness_core.notify.settings import Notify, user_file


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the console looks and makes itself heard."""

    theme: Literal["dark", "light", "contrast", "none"] = "dark"
    bell: bool = True
    title: bool = True
    notify: bool | Notify = True
    images: Literal["auto", "blocks", "off"] = "auto"
    keys: dict[str, str] = {}

    @property
    def terminal(self) -> bool:
        """Whether the terminal's own notification is wanted."""
        return self.notify if isinstance(self.notify, bool) else self.notify.terminal is not False


def path() -> Path:
    """Where the settings lie."""
    return user_file()


def load() -> Settings:
    """The settings; all defaults when there are none. Raises Mistake for what can't be read."""
    place = user_file()
    try:
        found = tomllib.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Mistake(f"{place} can't be read ({error}): mend it or take it away") from None
    try:
        return msgspec.convert(found, Settings)
    except msgspec.ValidationError as error:
        why = _no_choice(found) or f"{error}: mend it or take the line away"
        raise Mistake(f"{place}: {why}") from None


def _no_choice(found: dict[str, object]) -> str:
    """Which setting isn't one of its choices, and what these are; "" where that isn't what is wrong."""
    for field in msgspec.structs.fields(Settings):
        choices = get_args(field.type) if get_origin(field.type) is Literal else ()
        if choices and field.name in found and found[field.name] not in choices:
            return f"{field.name} = {found[field.name]!r}: choose of {', '.join(choices)}"
    return ""

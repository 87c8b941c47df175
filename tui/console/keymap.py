"""Whether the keys that a user has chosen can be had."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from textual.keys import Keys, _normalize_key_list

from harness_core.errors import Mistake
from tui.console import keys

_MODIFIERS = {"ctrl", "shift", "alt", "super", "hyper", "meta"}
_NAMES = {key.value.rpartition("+")[2] for key in Keys} | {"space", "minus", "plus", "slash"}
_CONTEXTS: tuple[tuple[tuple[keys.Key, ...], ...], ...] = (
    (keys.RUN, keys.LINES),
    (keys.RUN, keys.LINES, keys.STREAM),
    (keys.RUN, keys.LINES, keys.PROGRESS),
    (keys.RUN, keys.LINES, keys.EVIDENCE),
    (keys.PICTURE, keys.EVIDENCE),
    (keys.LINES, keys.DIFF),
    (keys.LINES, keys.PAGE),
    (keys.START, keys.LIST),
    (keys.LOOKING, keys.LINES, keys.STREAM, keys.REPLAY),
    (keys.LOOKING, keys.LINES, keys.PROGRESS, keys.REPLAY),
    (keys.LOOKING, keys.LINES, keys.EVIDENCE, keys.REPLAY),
)
"""Keys that count at the same time."""

_TAKEN = {
    "enter": "it opens what is under the cursor, and never decides anything",
    "ctrl+m": "to a terminal it is the same as enter",
    "ctrl+c": "it copies what is marked",
    "ctrl+p": "it opens the palette",
    "ctrl+q": "it leaves",
}
"""Keys that mean something everywhere, and what."""


def check(chosen: Mapping[str, str], where: str) -> None:
    """Refuse a key for no action, what is no key, and a key for two actions at once.

    `where` begins the sentence. Raises Mistake.
    """
    known = {key.id for context in _CONTEXTS for group in context for key in group}
    own = {key.id: _split(key.keys) for context in _CONTEXTS for group in context for key in group}
    for name, given in chosen.items():
        if name not in known:
            raise Mistake(f"{where}: keys.{name}: no such action: choose of {', '.join(sorted(known))}")
        for key in _split(given):
            if not _is_key(key):
                raise Mistake(f"{where}: keys.{name}: `{key}` is no key: write x, K, space, f5 or ctrl+x")
            if key in _TAKEN and key not in own[name]:
                raise Mistake(f"{where}: keys.{name}: `{key}` can't be had: {_TAKEN[key]}")
    for context in _CONTEXTS:
        _check_context([key for group in context for key in group], chosen, where)


def _check_context(together: Iterable[keys.Key], chosen: Mapping[str, str], where: str) -> None:
    taken: dict[str, keys.Key] = {}
    for action in together:
        for key in _split(chosen.get(action.id, action.keys)):
            other = taken.setdefault(key, action)
            # Some share a key from the start: the pane's own is the nearer one.
            meant = key in _split(action.keys) and key in _split(other.keys)
            if other is not action and not meant and (other.id in chosen or action.id in chosen):
                both = f"{other.id} and {action.id}"
                raise Mistake(f"{where}: keys: `{key}` is for {both}: give one another key")


def _split(given: str) -> list[str]:
    return _normalize_key_list(given).split(",")


def _is_key(key: str) -> bool:
    *modifiers, name = key.split("+")
    if not set(modifiers) <= _MODIFIERS:
        return False
    if len(name) == 1:
        return name.isprintable() and not (modifiers and name.isupper())
    return name in _NAMES or _is_character(name)


def _is_character(name: str) -> bool:
    try:
        unicodedata.lookup(name.replace("_", " "))
    except KeyError:
        return False
    return True

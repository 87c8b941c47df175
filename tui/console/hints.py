"""What hints call the keys: as they are here, also where the user has chosen other ones."""

from __future__ import annotations

from collections.abc import Mapping

from textual.dom import DOMNode
from textual.keys import key_to_character

from tui.console import keys

_KEYS = {key.id: key for group in keys.GROUPS.values() for key in group}


class Hints:
    """The keys by the names of their actions. `chosen` are the user's own."""

    def __init__(self, chosen: Mapping[str, str]) -> None:
        self._chosen = chosen

    def __getitem__(self, name: str) -> str:
        """The key of an action; the first one where it has several."""
        own = self._chosen.get(name)
        return (not own and _KEYS[name].shown_as) or _said(self._list(name)[0])

    def __call__(self, *names: str) -> str:
        """Keys with what they do, such as `v review · a approve`."""
        return " · ".join(f"{self[name]} {_KEYS[name].label}" for name in names)

    def all(self, name: str) -> str:
        """Every key of an action."""
        if name not in self._chosen and _KEYS[name].shown_as:
            return _KEYS[name].shown_as
        return " ".join(_said(key) for key in self._list(name))

    def pressed(self, *names: str) -> frozenset[str]:
        """What Textual calls the keys of these actions."""
        return frozenset(key for name in names for key in self._list(name))

    def _list(self, name: str) -> list[str]:
        return (self._chosen.get(name) or _KEYS[name].keys).split(",")


def of(node: DOMNode) -> Hints:
    """Those of the console that a widget is in."""
    return Hints(node.app._keymap)


def _said(key: str) -> str:
    """A key as one says it: a sign where it types one."""
    sign = key_to_character(key) or ""
    return sign if sign.isprintable() and sign.strip() else {"escape": "esc"}.get(key, key)

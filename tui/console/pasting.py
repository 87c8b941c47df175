"""What is pasted is text: no control sequence in it becomes a key, of which one could approve or stop."""

from __future__ import annotations

from collections.abc import Iterable

from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.message import Message

ESCAPE = "\x1b"
BEGIN, END = f"{ESCAPE}[200~", f"{ESCAPE}[201~"
"""Between these a terminal sends what is pasted."""


class Sieve:
    """Takes the escapes out of what is pasted, in whatever pieces it comes."""

    def __init__(self) -> None:
        self._pasting = False
        self._half = ""
        """A mark's beginning at the end of the last piece: within a paste it is held back, before one it has
        gone through, since it may be a key."""

    def pass_on(self, data: str) -> str:
        """What goes through of the next piece."""
        passed = []
        while data:
            take = self._pasted if self._pasting else self._typed
            now, data = take(self._half + data, len(self._half))
            passed.append(now)
        return "".join(passed)

    def _typed(self, text: str, gone: int) -> tuple[str, str]:
        before, begins, rest = text.partition(BEGIN)
        self._pasting, self._half = bool(begins), "" if begins else _half(text, BEGIN)
        return f"{before}{begins}"[gone:], rest

    def _pasted(self, text: str, _: int) -> tuple[str, str]:
        before, ends, rest = text.partition(END)
        self._pasting, self._half = not ends, "" if ends else _half(text, END)
        return before.removesuffix(self._half).replace(ESCAPE, "") + ends, rest


def _half(text: str, mark: str) -> str:
    """The longest beginning of `mark`, short of the whole, with which `text` ends."""
    sizes = range(len(mark) - 1, 0, -1)
    return next((mark[:size] for size in sizes if text.endswith(mark[:size])), "")


class Parser(XTermParser):
    """Textual's, which ends a paste at an escape in it and takes what follows for keys."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._sieve = Sieve()

    def feed(self, data: str) -> Iterable[Message]:
        passed = self._sieve.pass_on(data)
        # Nothing would mean the end of all input.
        return super().feed(passed) if passed or not data else ()


def install() -> None:
    """Have Textual's driver read the keyboard through this parser; it has no place of its own for one."""
    linux_driver.XTermParser = Parser  # type: ignore[attr-defined]

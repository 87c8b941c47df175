"""Words of a shell command as far as they are known before it runs.

A word is text in which private-use characters stand for what only the shell will know. So a word that
has none of them is exact, and any other is a pattern for the words it may become.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache

ANY = "\ue000"
"""Any text, of any length, slashes included: an unknown variable, a program's output."""
TOKEN = "\ue001"
"""A number, a date, a hash: text that can't be the name of anything that matters."""
STAR = "\ue002"
"""An unquoted `*`."""
QUERY = "\ue003"
"""An unquoted `?` or `[…]`."""
JOB = "\ue004"
"""The pid of a job that this shell started: `$!`, `$(jobs -p)`."""
OPEN, COMMA, CLOSE = "\ue005", "\ue006", "\ue007"
"""Unquoted braces and the commas between them, until they are expanded."""
SPLIT = "\ue008"
"""Where an unquoted expansion ends one word and begins the next."""
QUOTED = "\ue009"
"""Here was a quoted part: keeps an empty word from vanishing."""
LEFT, RIGHT = "\ue00a", "\ue00b"
"""Unquoted brackets, until it is known whether they enclose a set of characters."""

PIDS, SPACE = "\ue00c", "\ue00d"
"""Processes that another program will name: the mark, then what asks for them, its words held apart."""

RESERVED = re.compile("[\ue000-\ue0ff]")
WILD = frozenset((ANY, TOKEN, STAR, QUERY, JOB))
_REGEX = {ANY: ".*", TOKEN: "[0-9a-fTZ:_+-]*", STAR: "[^/]*", QUERY: "[^/]", JOB: "[0-9]+"}
_SHOWN = {ANY: "…", TOKEN: "…", STAR: "*", QUERY: "?", JOB: "$!"}
MAX_WORDS = 128
"""Beyond this many words, what braces or lists expand to counts as unknown."""


class Unparsable(ValueError):
    """A command whose meaning can't be told before it runs. `str(error)` says why."""


def name_set(text: str) -> frozenset[str]:
    """A table of names written as running text."""
    return frozenset(text.split())


def is_exact(word: str) -> bool:
    """Whether the word is known to the last character."""
    return WILD.isdisjoint(word)


def shown(word: str) -> str:
    """The word for a reader, unknown parts as `…`."""
    return "".join(_SHOWN.get(char, char) for char in word)


def exact_prefix(word: str) -> str:
    """The part before the first unknown character."""
    return re.split(f"[{''.join(WILD)}]", word, maxsplit=1)[0]


LEFT_OVER = re.compile(r"(?<!\\)(?:\\\\)*(?:`|\$[({\[])")
"""An expansion that stands where the grammar saw only text: Bash would still perform it."""
HIDDEN_RUN = re.compile(r"\[[^\]]*(\$\(|`)")
"""An array index with a substitution in it: arithmetic runs it, even out of quotes and variables."""


@lru_cache(maxsize=2048)
def matcher(word: str) -> re.Pattern[str]:
    """A regular expression for everything that the word may become."""
    return re.compile("".join(_REGEX.get(char) or re.escape(char) for char in word), re.DOTALL)


def may_be(word: str, text: str) -> bool:
    """Whether the word can turn out to be `text`."""
    return word == text if is_exact(word) else bool(matcher(word).fullmatch(text))


def glob_marks(text: str) -> str:
    """Text as an unquoted part of a word: its wildcards and braces become marks."""
    return text.translate(_UNQUOTED)


_UNQUOTED = str.maketrans({"*": STAR, "?": QUERY, "{": OPEN, ",": COMMA, "}": CLOSE, "[": LEFT, "]": RIGHT})
_PLAIN = str.maketrans({OPEN: "{", COMMA: ",", CLOSE: "}", QUOTED: None, LEFT: "[", RIGHT: "]", SPLIT: " "})
_SET = re.compile(f"(?<!://){LEFT}[^/{RIGHT}]+{RIGHT}")
"""A set of characters; brackets after `://` hold an address."""


def plain(marked: str) -> str:
    """A marked text as it is where nothing is split, globbed or expanded."""
    return marked.translate(_PLAIN)


def fields(marked: str) -> tuple[str, ...]:
    """The words that one marked word becomes: split, braces expanded, marks of quoting removed."""
    words: list[str] = []
    for part in marked.split(SPLIT):
        if not part:
            continue
        for word in braces(part):
            text = _SET.sub(QUERY, word).translate(_PLAIN)
            if text or QUOTED in word:
                words.append(text)
    return tuple(words)


def braces(word: str) -> list[str]:
    """Brace expansion: `a{b,c}` is two words, `{1..3}` three."""
    start = word.find(OPEN)
    if word.count(OPEN) > MAX_WORDS:
        return [word[:start] + ANY]
    while start >= 0:
        end, commas = _closing(word, start)
        body = word[start + 1 : end] if end > 0 else ""
        if end > 0 and (commas or ".." in body):
            cuts = [start, *commas, end]
            choices = [word[a + 1 : b] for a, b in itertools.pairwise(cuts)] if commas else _range(body)
            tails = braces(word[end + 1 :])
            heads = [head for choice in choices for head in braces(choice)]
            if len(heads) * len(tails) > MAX_WORDS:
                return [word[:start] + ANY]
            return [word[:start] + head + tail for head in heads for tail in tails]
        start = word.find(OPEN, start + 1)
    return [word]


def _closing(word: str, start: int) -> tuple[int, list[int]]:
    depth = 0
    commas: list[int] = []
    for index in range(start, len(word)):
        char = word[index]
        depth += (char == OPEN) - (char == CLOSE)
        if depth == 0:
            return index, commas
        if char == COMMA and depth == 1:
            commas.append(index)
    return -1, []


def _range(body: str) -> list[str]:
    numbers = re.fullmatch(r"(-?\d+)\.\.(-?\d+)(?:\.\.-?\d+)?", body)
    if numbers:
        first, last = int(numbers[1]), int(numbers[2])
        step = 1 if last >= first else -1
        return [str(n) for n in range(first, last + step, step)] if abs(last - first) < MAX_WORDS else [TOKEN]
    if re.fullmatch(r"[A-Za-z]\.\.[A-Za-z]", body):
        first, last = sorted((ord(body[0]), ord(body[-1])))
        return [chr(code) for code in range(first, last + 1)]
    return [f"{OPEN}{body}{CLOSE}"] if WILD.isdisjoint(body) else [ANY]


_ANSI = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|c.|.)", re.DOTALL)
_ANSI_NAMED = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "v": "\v",
}


def ansi(text: str) -> str:
    """The inside of `$'…'` decoded. Raises Unparsable for what isn't a character."""

    def decode(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "xuU" and len(code) > 1:
            number = int(code[1:], 16)
            if number > 0x10FFFF:
                raise Unparsable("an escape in $'…' is no character")
            return chr(number)
        if code[0] in "01234567":
            return chr(int(code, 8) & 0xFF)
        if code[0] == "c" and len(code) > 1:
            return chr(ord(code[1]) & 0x1F)
        return _ANSI_NAMED.get(code, code)

    return _ANSI.sub(decode, text)

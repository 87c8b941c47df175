"""From the words of a parsed command to the text they stand for: quoting, variables, substitutions.

Variables are followed without regard to the order of execution: a variable may have any value that is
assigned to it anywhere in the command, so that no loop or branch can hide one.
"""

from __future__ import annotations

import itertools
import os.path
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from tree_sitter import Node

from harness_core.guards.patterns import lazy
from harness_core.guards.shell_words import (
    ANY,
    CLOSE,
    JOB,
    LEFT_OVER,
    MAX_WORDS,
    OPEN,
    QUERY,
    QUOTED,
    RESERVED,
    SPLIT,
    STAR,
    TOKEN,
    Unparsable,
    ansi,
    fields,
    glob_marks,
    is_exact,
    name_set,
    plain,
)

Producer = Callable[[Node], tuple[str, ...]]
"""What a command substitution prints, as words."""
Everywhere = Callable[[Callable[[], Iterable[str]]], Iterable[str]]
"""Evaluates something for each folder that the script has been in."""
Binding = Mapping[str, str]

NUMERIC = name_set("$ ? # RANDOM SECONDS LINENO UID EUID EPOCHSECONDS BASHPID SHLVL COLUMNS LINES PIPESTATUS")
SPECIAL = frozenset("@*#?-$!0123456789")
PRESET = name_set("PATH HOME PWD OLDPWD TMPDIR USER LOGNAME SHELL IFS HOSTNAME TERM LANG")
FIXED_TMP = "/tmp"
_EXPANSION = lazy(
    r"\$\{(?P<sign>[#!]?)(?P<name>\w+|[@*#?$!-])(?P<index>\[[^\]]*\])?(?P<rest>.*)\}", re.DOTALL
)


class Variables:
    """Every assignment of one script."""

    def __init__(self) -> None:
        self.assigned: dict[str, list[Node]] = {}
        self.listed: dict[str, list[Node]] = {}
        """Loop variables, with the words that the loop runs over."""
        self.read: dict[str, tuple[str, ...] | None] = {}
        """Variables set by builtins such as `read`; None until it is known from what."""
        self.given: dict[str, tuple[str, ...]] = {}
        """Values known from outside: function arguments, the working directory."""

    def names(self) -> set[str]:
        return {*self.assigned, *self.listed, *self.read, *self.given}


class Expander:
    """Evaluates the word nodes of one script."""

    def __init__(
        self, source: bytes, variables: Variables, produce: Producer, everywhere: Everywhere
    ) -> None:
        self.source = source
        self.variables = variables
        self.produce = produce
        self.everywhere = everywhere
        self.reveals: set[str] = set()
        """Variables of the environment whose value a word that was evaluated shows."""
        self._busy: set[str] = set()

    def text(self, node: Node) -> str:
        return self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    # -- values ---------------------------------------------------------------------------------

    def values(self, name: str) -> tuple[str, ...]:
        """Everything that the variable may hold, or `(ANY,)`."""
        if name in self._busy:
            return (ANY,)
        self._busy.add(name)
        try:
            found = dict.fromkeys(itertools.islice(self._values(name), MAX_WORDS + 1))
        finally:
            self._busy.discard(name)
        return tuple(found) if 0 < len(found) <= MAX_WORDS else (ANY,)

    def _values(self, name: str) -> Iterator[str]:
        known = self.variables
        yield from known.given.get(name, ())
        for node in known.assigned.get(name, ()):
            yield from self._kept(node, self._assignment)
        for node in known.listed.get(name, ()):
            yield from self._kept(node, self.words)
        if name in known.read:
            yield from known.read[name] or (ANY,)
        if name not in known.names():
            yield self._environment(name)

    def _kept(self, node: Node, evaluate: Callable[[Node], Iterable[str]]) -> Iterable[str]:
        """What a variable holds was printed where the script was then, not where it is now."""
        text = self.text(node)
        return self.everywhere(lambda: evaluate(node)) if "$(" in text or "`" in text else evaluate(node)

    def _environment(self, name: str) -> str:
        if name in NUMERIC:
            return TOKEN
        if name == "!":
            return JOB
        if name == "HOME":
            return str(Path.home())
        if name == "TMPDIR":
            return FIXED_TMP
        return ANY

    def _assignment(self, node: Node) -> Iterator[str]:
        if any(child.type == "+=" for child in node.children):
            value = node.child_by_field_name("value")
            if value is None or value.type != "array":
                yield ANY
                return
        value = node.child_by_field_name("value")
        if value is None:
            yield ""
        elif value.type == "array":
            yield from self.elements(value)
        else:
            yield from self.scalars(value)

    def elements(self, array: Node) -> Iterator[str]:
        """The values in `(…)`, without the index in front of one."""
        for element in array.named_children:
            for word in self.words(element):
                yield re.sub(rf"^(?:{QUERY}|\[[^\]]*\])=", "", word)

    def scalars(self, node: Node) -> tuple[str, ...]:
        """What a word may be where no splitting happens: an assignment, a redirect's target."""
        return tuple(
            dict.fromkeys(
                _unmarked(self.marked(node, binding, quoted=False)) for binding in self.bindings((node,))
            )
        )

    def words(self, node: Node) -> tuple[str, ...]:
        """All words that one word node may expand to, under every binding."""
        return tuple(
            dict.fromkeys(
                word for binding in self.bindings((node,)) for word in fields(self.marked(node, binding))
            )
        )

    def fields(self, word: Iterable[Node], binding: Binding) -> tuple[str, ...]:
        """The words that a word of several nodes becomes under one binding."""
        return fields("".join(self.marked(node, binding) for node in word))

    def bindings(self, nodes: Iterable[Node]) -> list[Binding]:
        """Every combination of values of the variables that the nodes use."""
        names = sorted({name for node in nodes for name in self.used(node)})
        choices = [self.values(name) for name in names]
        while _size(choices) > MAX_WORDS:
            largest = max(range(len(choices)), key=lambda index: len(choices[index]))
            choices[largest] = (ANY,)
        return [dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*choices)]

    def used(self, node: Node) -> Iterator[str]:
        """The variables that a word uses itself, not inside a substitution."""
        if node.type in ("command_substitution", "process_substitution", "arithmetic_expansion"):
            return
        around = node.parent.type if node.parent is not None else ""
        named = node.type in ("variable_name", "special_variable_name")
        if named and around in ("simple_expansion", "expansion", "subscript"):
            yield self.text(node)
        for child in node.named_children:
            yield from self.used(child)

    # -- words ----------------------------------------------------------------------------------

    def marked(self, node: Node, binding: Binding, quoted: bool = False) -> str:
        """The text of a word node, with marks for splitting, globs and quoting."""
        handler = _HANDLERS.get(node.type) if node.is_named else Expander._word
        if handler is None:
            raise Unparsable(f"it contains a form that isn't understood here ({node.type})")
        return handler(self, node, binding, quoted)

    def _word(self, node: Node, binding: Binding, quoted: bool) -> str:
        text = self.text(node)
        if RESERVED.search(text):
            raise Unparsable("it contains private-use characters")
        pieces = re.split(r"(\\(?:.|\n))", text, flags=re.DOTALL)
        out = [
            ("" if piece == "\\\n" else QUOTED + piece[1:]) if index % 2 else piece
            for index, piece in enumerate(pieces)
        ]
        if len(out) == 1:
            return glob_marks(_home(out[0]))
        return "".join(
            piece if index % 2 else glob_marks(_home(piece) if index == 0 else piece)
            for index, piece in enumerate(out)
        )

    def _raw(self, node: Node, binding: Binding, quoted: bool) -> str:
        text = self.text(node)
        if RESERVED.search(text):
            raise Unparsable("it contains private-use characters")
        return QUOTED + text[1:-1]

    def _ansi(self, node: Node, binding: Binding, quoted: bool) -> str:
        text = ansi(self.text(node)[2:-1])
        if RESERVED.search(text) or "\0" in text:
            raise Unparsable("it contains private-use characters")
        return QUOTED + text

    def _string(self, node: Node, binding: Binding, quoted: bool) -> str:
        text = self.text(node)
        head = 2 if text.startswith("$") else 1
        return QUOTED + self.interpolated(node, binding, node.start_byte + head, node.end_byte - 1)

    def interpolated(self, node: Node, binding: Binding, start: int, end: int) -> str:
        """Text with expansions in it, as inside double quotes or a here-document."""
        out: list[str] = []
        at = start
        for child in node.named_children:
            if child.type in ("string_content", "heredoc_content") or child.start_byte < at:
                continue
            out.append(self._unescaped(at, child.start_byte))
            out.append(self.marked(child, binding, quoted=True))
            at = child.end_byte
        out.append(self._unescaped(at, end))
        return "".join(out)

    def _unescaped(self, start: int, end: int) -> str:
        text = self.source[start:end].decode("utf-8", "replace")
        if RESERVED.search(text):
            raise Unparsable("it contains private-use characters")
        if LEFT_OVER.search(text):
            raise Unparsable("it has an expansion in a place where none is understood")
        return re.sub(r"\\([$`\"\\]|\n)", lambda found: found[1].strip("\n"), text)

    def _concatenation(self, node: Node, binding: Binding, quoted: bool) -> str:
        out: list[str] = []
        at = node.start_byte
        for child in node.children:
            if child.start_byte != at:
                out.append(glob_marks(self.source[at : child.start_byte].decode("utf-8", "replace")))
            out.append(self.marked(child, binding, quoted) if child.is_named else self.text(child))
            at = child.end_byte
        return "".join(out)

    def _simple(self, node: Node, binding: Binding, quoted: bool) -> str:
        return self._value(self.text(node).removeprefix("$"), binding, quoted)

    def _value(self, name: str, binding: Binding, quoted: bool, every: bool = False) -> str:
        if not self._is_ours(name):
            self.reveals.add(name)
        if name in "@*" or every:
            joined = SPLIT.join(QUOTED + value if quoted else _split(value) for value in self.values(name))
            return joined if not quoted or name != "*" else joined.replace(SPLIT, " ").replace(QUOTED, "")
        value = binding.get(name)
        if value is None:
            choices = self.values(name)
            value = choices[0] if len(choices) == 1 else ANY
        return value if quoted else _split(value)

    def _is_ours(self, name: str) -> bool:
        return name in self.variables.names() or name in PRESET or name in SPECIAL or name in NUMERIC

    def _expansion(self, node: Node, binding: Binding, quoted: bool) -> str:
        text = self.text(node)
        # The grammar counts white space before an expansion in a string to the expansion.
        written = text.lstrip()
        return text[: len(text) - len(written)] + self._expanded(written, node, binding, quoted)

    def _expanded(self, text: str, node: Node, binding: Binding, quoted: bool) -> str:
        found = _EXPANSION.fullmatch(text)
        if not found:
            raise Unparsable(f"the expansion {text} isn't understood here")
        if found["rest"].startswith("@P"):
            raise Unparsable("`${…@P}` runs what is in a variable")
        name, index, rest, sign = found["name"], found["index"], found["rest"], found["sign"]
        if sign == "#":
            return TOKEN
        if sign == "!" and not index and not rest.startswith(("*", "@")):
            return self._indirect(name, quoted)
        if rest.startswith((":+", "+")):
            return self._default(rest, node, binding, quoted)
        assigned = self._is_ours(name)
        if rest.startswith((":-", "-", ":=", "=")) and not assigned:
            self.reveals.add(name)
            return self._default(rest, node, binding, quoted)
        every = bool(index) and index[1:-1] in ("@", "*")
        value = self._value(name, binding, quoted, every)
        if rest.startswith((":-", "-", ":=", "=", ":?", "?")) or not rest:
            return value
        return SPLIT.join(_operated(part, rest) for part in value.split(SPLIT))

    def _default(self, rest: str, node: Node, binding: Binding, quoted: bool) -> str:
        operands = [
            child
            for child in node.named_children
            if child.type not in ("variable_name", "subscript", "special_variable_name")
        ]
        return "".join(self.marked(child, binding, quoted) for child in operands)

    def _indirect(self, name: str, quoted: bool) -> str:
        for target in self.values(name):
            if not re.fullmatch(r"\w+", target):
                raise Unparsable("it reads a variable whose name is computed")
            self._value(target, {}, quoted)
        return ANY

    def _command(self, node: Node, binding: Binding, quoted: bool) -> str:
        if is_arithmetic(self.text(node)):
            return TOKEN
        produced = self.produce(node)
        if quoted:
            return produced[0] if len(produced) == 1 else ANY
        return SPLIT.join(_split(text, marks=False) for text in produced)

    def _process(self, node: Node, binding: Binding, quoted: bool) -> str:
        return "/dev/fd/63"

    def _arithmetic(self, node: Node, binding: Binding, quoted: bool) -> str:
        return TOKEN

    def _unknown(self, node: Node, binding: Binding, quoted: bool) -> str:
        return ANY

    def _range(self, node: Node, binding: Binding, quoted: bool) -> str:
        return OPEN + self.text(node)[1:-1] + CLOSE


def is_arithmetic(text: str) -> bool:
    """Whether what the grammar takes for `$(…)` is plain `$((…))`, as it does in here-documents."""
    return bool(re.fullmatch(r"\$\(\([\w\s+*/%$<>=!?:&|^~,-]+\)\)", text))


def _size(choices: list[tuple[str, ...]]) -> int:
    size = 1
    for choice in choices:
        size *= len(choice)
    return size


def _home(text: str) -> str:
    return os.path.expanduser(text) if text.startswith("~") else text


def _split(value: str, marks: bool = True) -> str:
    """An unquoted value: white space ends words, wildcards act."""
    text = re.sub(r"\s+", SPLIT, value)
    return text.replace("*", STAR).replace("?", QUERY) if marks else text


def _unmarked(marked: str) -> str:
    """A marked text where neither splitting nor globbing happens."""
    words = fields(marked.replace(SPLIT, " "))
    if len(words) == 1:
        return words[0]
    return plain(marked)


def _operated(value: str, rest: str) -> str:
    """`${name…}` with an operator, where value and operand are plain enough."""
    cut = re.fullmatch(r"(%%?|##?)(.*)", rest, re.DOTALL)
    if cut:
        return _cut(value, cut[1], cut[2])
    changed = re.fullmatch(r"//?([^/*?\[$`\\\"']+)(?:/([^$`\\\"']*))?", rest)
    if changed and is_exact(value):
        return value.replace(changed[1], changed[2] or "", -1 if rest.startswith("//") else 1)
    if rest in ("^^", ",,") and is_exact(value):
        return value.upper() if rest == "^^" else value.lower()
    return ANY


def _cut(value: str, operator: str, pattern: str) -> str:
    if re.search(r"[$`\\\"']", pattern):
        return ANY
    if not re.search(r"[*?\[]", pattern):
        return value.removesuffix(pattern) if operator[0] == "%" else value.removeprefix(pattern)
    if not is_exact(value):
        return ANY
    places = range(len(value) + 1)
    if operator[0] == "%":
        order = places if operator == "%%" else reversed(places)
        return next((value[:i] for i in order if fnmatchcase(value[i:], pattern)), value)
    order = reversed(places) if operator == "##" else places
    return next((value[i:] for i in order if fnmatchcase(value[:i], pattern)), value)


_Handler = Callable[[Expander, Node, Binding, bool], str]
_HANDLERS: Mapping[str, _Handler] = {
    "word": Expander._word,
    "number": Expander._word,
    "command_name": lambda self, node, binding, quoted: self.marked(node.children[0], binding, quoted),
    "raw_string": Expander._raw,
    "ansi_c_string": Expander._ansi,
    "string": Expander._string,
    "translated_string": lambda self, node, binding, quoted: self.marked(node.children[-1], binding, quoted),
    "concatenation": Expander._concatenation,
    "simple_expansion": Expander._simple,
    "expansion": Expander._expansion,
    "command_substitution": Expander._command,
    "process_substitution": Expander._process,
    "arithmetic_expansion": Expander._arithmetic,
    "brace_expression": Expander._range,
    "extglob_pattern": Expander._unknown,
    "regex": Expander._unknown,
    "test_operator": Expander._word,
    "variable_name": Expander._word,
}

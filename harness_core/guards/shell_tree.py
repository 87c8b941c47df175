"""The syntax tree of a Bash command as the grammar gives it, and where it must be read otherwise."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import cache

from tree_sitter import Node, Parser

from harness_core.guards.grammar import bash
from harness_core.guards.shell_words import Unparsable, name_set

_LINE_END = re.compile(rb"(?<!\\)\n")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
Word = tuple[Node, ...]
"""The nodes that make up one word: the grammar sometimes sees several where Bash sees one."""


def syntax_tree(source: bytes) -> Node:
    """The syntax tree. The grammar takes a here-document's first line for arguments if it begins with a
    backslash, so there it is shown a dot instead; what the line says is read from the text itself."""
    # The grammar's scanner crashes on some characters beyond ASCII. To Bash they are all plain text, as a
    # dot is, which ends a variable's name as they do.
    source = _BEYOND_ASCII.sub(b".", source)
    tree = _parser().parse(source).root_node
    for at in _swallowed(tree, source):
        source = source[:at] + b"." + source[at + 1 :]
        tree = _parser().parse(source).root_node
    if any(True for _ in _swallowed(tree, source)):
        raise Unparsable("a here-document begins in a way that isn't understood")
    return tree


def _swallowed(node: Node, source: bytes) -> Iterator[int]:
    """Where a here-document's text begins that the tree holds as arguments."""
    if node.type == "heredoc_redirect":
        marks = itertools.takewhile(lambda child: child.type != "heredoc_body", node.children)
        for before, child in itertools.pairwise(marks):
            line_end = _LINE_END.search(source, before.end_byte, child.start_byte + 1)
            if line_end and child.type != "heredoc_end":
                yield line_end.end()
    for child in node.children:
        yield from _swallowed(child, source)


@cache
def _parser() -> Parser:
    return Parser(bash())


def split_redirect(node: Node) -> tuple[str, list[Word], list[Node]]:
    """A redirection's operator, its target if it has one, and the words after it, which are arguments."""
    named: list[Word] = []
    for child in node.children_by_field_name("destination"):
        append_word(named, child)
    op = next((child.type for child in node.children if not child.is_named), "")
    target = named[: 0 if op.endswith("-") else 1]
    return op, target, [child for word in named[len(target) :] for child in word]


def append_word(words: list[Word], node: Node) -> None:
    """Add a node as a word, or to the last word if no space is between."""
    if words and words[-1][-1].end_byte == node.start_byte:
        words[-1] = (*words[-1], node)
    else:
        words.append((node,))


def in_quoted_expansion(node: Node) -> bool:
    """Whether single quotes stand inside `"${…}"`, where they quote nothing."""
    if node.type != "raw_string":
        return False
    around, expanding = node.parent, False
    while around is not None and around.type not in ("command", "program", "command_substitution"):
        expanding |= around.type == "expansion"
        if expanding and around.type in ("string", "heredoc_body"):
            return True
        around = around.parent
    return False


WITH_ARGUMENTS = name_set("command redirected_statement list pipeline negated_command")
"""Statements that end in a simple command, to which words and redirections after them belong."""
WORDS = name_set(
    "word string raw_string ansi_c_string translated_string concatenation simple_expansion expansion number"
    " command_name command_substitution process_substitution arithmetic_expansion brace_expression"
)
JOINED = WORDS | {"variable_assignment", "file_redirect", "herestring_redirect"}
"""Node kinds that a word may not follow without a space, unless they are one word together."""

TEXTUAL = name_set(
    "string translated_string heredoc_body heredoc_redirect expansion regex concatenation extglob_pattern"
    " arithmetic_expansion simple_expansion"
)
"""Node kinds with text between their children."""

LITERAL = name_set("raw_string ansi_c_string comment heredoc_start heredoc_body heredoc_content heredoc_end")
"""Leaves in which nothing is expanded, or that are looked at where they are read."""

VALUES = name_set(
    "word string raw_string ansi_c_string translated_string concatenation simple_expansion expansion number"
    " command_substitution process_substitution arithmetic_expansion brace_expression extglob_pattern regex"
    " variable_name binary_expression unary_expression postfix_expression parenthesized_expression"
    " ternary_expression special_variable_name test_operator file_descriptor subscript"
)
"""Node kinds that hold values: only what they substitute is executed."""

"""A first look through a whole script: its assignments, its functions and how they are called.

It also refuses what the grammar passes over without understanding it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from harness_core.guards.shell_expand import Expander, Variables
from harness_core.guards.shell_tree import JOINED, LITERAL, TEXTUAL, WORDS, in_quoted_expansion
from harness_core.guards.shell_words import HIDDEN_RUN, LEFT_OVER, TOKEN, Unparsable, ansi

READING_BUILTINS = frozenset({"read", "mapfile", "readarray", "getopts"})


class Survey:
    """What is known of a script before it is walked."""

    def __init__(self, expander: Expander, variables: Variables) -> None:
        self.expander = expander
        self.variables = variables
        self.functions: dict[str, Node] = {}
        self.calls: list[Node] = []
        self.dashes: set[int] = set()
        """Here-documents before which the grammar drops a `-`, the operand for standard input."""

    def collect(self, node: Node) -> None:
        known = self.variables
        self._check_gaps(node)
        match node.type:
            case "variable_assignment":
                name = node.child_by_field_name("name")
                if name is not None:
                    base = name.children[0] if name.type == "subscript" else name
                    known.assigned.setdefault(self.expander.text(base), []).append(node)
            case "for_statement":
                variable = node.child_by_field_name("variable")
                if variable is not None:
                    values = node.children_by_field_name("value")
                    known.listed.setdefault(self.expander.text(variable), []).extend(values)
            case "function_definition":
                name = node.child_by_field_name("name")
                body = node.child_by_field_name("body")
                if name is not None and body is not None:
                    self._check_recursion(self.expander.text(name), body)
                    self.functions[self.expander.text(name)] = body
            case "postfix_expression" | "unary_expression" | "binary_expression":
                for child in node.named_children:
                    if child.type == "variable_name":
                        known.given.setdefault(self.expander.text(child), (TOKEN,))
            case "command":
                self._collect_command(node)
            case "command_substitution":
                if self.expander.text(node).startswith("`") and "\\`" in self.expander.text(node):
                    raise Unparsable("it nests backticks. Use $(…)")
            case "test_command" | "arithmetic_expansion":
                if any(HIDDEN_RUN.search(text) for text in self._literals(node)):
                    raise Unparsable("arithmetic would run what stands in quotes")
        literal = node.type in LITERAL and not in_quoted_expansion(node)
        if not node.children and not literal and LEFT_OVER.search(self.expander.text(node)):
            raise Unparsable("it has an expansion in a place where none is understood")
        for child in node.named_children:
            self.collect(child)

    def _literals(self, node: Node) -> Iterator[str]:
        if node.type in ("raw_string", "ansi_c_string"):
            yield ansi(self.expander.text(node))
        for child in node.named_children:
            yield from self._literals(child)

    def _check_recursion(self, name: str, body: Node) -> None:
        called = body.child_by_field_name("name") if body.type == "command" else None
        if called is not None and self.expander.text(called) == name:
            raise Unparsable(f"the function {name!r} calls itself, perhaps without end")
        for child in body.named_children:
            self._check_recursion(name, child)

    def _check_gaps(self, node: Node) -> None:
        """The grammar must have accounted for every character of the command."""
        if node.type in TEXTUAL or not node.children:
            return
        at, before = node.start_byte, ""
        for child in node.children:
            gap = self.expander.source[at : child.start_byte].decode("utf-8", "replace")
            left = gap.replace("\\\n", "").strip()
            if left == "-" and child.type == "heredoc_redirect":
                self.dashes.add(child.start_byte)
            elif left:
                raise Unparsable(f"the part {left[:40]!r} isn't understood here")
            joined = bool(at) and child.start_byte == at and child.type in WORDS and before in JOINED
            if joined and (node.type != "command" or before not in WORDS):
                raise Unparsable("it joins words in a way that isn't understood here. Quote each word whole")
            at, before = max(at, child.end_byte), child.type

    def _collect_command(self, node: Node) -> None:
        name = node.child_by_field_name("name")
        text = self.expander.text(name) if name is not None else ""
        words = [self.expander.text(word) for word in node.children_by_field_name("argument")]
        if text in READING_BUILTINS:
            names = [word for word in words if word.replace("_", "a").isalnum()] or ["REPLY", "MAPFILE"]
            self.variables.read.update(dict.fromkeys(names))
        elif text == "printf" and words[:1] == ["-v"] and len(words) > 1:
            self.variables.read[words[1]] = None
        self.calls.append(node)

    def bind_arguments(self) -> None:
        """Each positional parameter may be whatever any call of any function gives it."""
        for node in self.calls:
            name = node.child_by_field_name("name")
            if name is None or self.expander.text(name) not in self.functions:
                continue
            given = [
                word for arg in node.children_by_field_name("argument") for word in self.expander.words(arg)
            ]
            for place, word in enumerate(given, start=1):
                for key in (str(place), "@", "*"):
                    before = self.variables.given.get(key, ())
                    self.variables.given[key] = tuple(dict.fromkeys((*before, word)))

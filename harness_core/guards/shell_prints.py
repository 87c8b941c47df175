"""What the statements of a script print, as far as that can be told: the words of other commands."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

from tree_sitter import Node

from harness_core.guards.shell_expand import Expander, Variables
from harness_core.guards.shell_produce import Lines, printed
from harness_core.guards.shell_script import Command, Cwds, Input
from harness_core.guards.shell_tree import Word, append_word, split_redirect
from harness_core.guards.shell_words import ANY, JOB, is_exact, plain


class Printer:
    """Evaluates a script's words, for which it must know what the substitutions in them print."""

    def __init__(
        self,
        source: bytes,
        variables: Variables,
        root: Path,
        commands: Sequence[Command],
        visited: Collection[Path | None],
    ) -> None:
        """`commands` and `visited`, the folders that the script has been in, grow while it is walked."""
        self.expander = Expander(source, variables, self.substituted, self._everywhere)
        self._root = root
        self._commands = commands
        self._visited = visited
        self._cwds: Cwds = (None,)

    @contextlib.contextmanager
    def at(self, cwds: Cwds) -> Iterator[set[str]]:
        """Words are evaluated for a command that runs in these folders; elsewhere no folder is known.

        Yields the set of the environment's variables that these words show, which fills meanwhile.
        """
        before = self._cwds, self.expander.reveals
        self._cwds, self.expander.reveals = cwds, set()
        try:
            yield self.expander.reveals
        finally:
            self._cwds, self.expander.reveals = before

    def _everywhere(self, evaluate: Callable[[], Iterable[str]]) -> list[str]:
        before = self._cwds
        found: list[str] = []
        try:
            for folder in tuple(self._visited):
                self._cwds = (folder,)
                found += evaluate()
        finally:
            self._cwds = before
        return found

    def substituted(self, node: Node) -> Lines:
        """What a substitution prints."""
        inner = [child for child in node.named_children if child.type != "comment"]
        return self.outputs(inner[0], Input()) if len(inner) == 1 else (ANY,)

    def outputs(self, node: Node, taken: Input) -> Lines:
        """What a statement prints, given its input."""
        if node.type == "command":
            return self._command(node, taken)
        if node.type == "pipeline":
            for element in node.named_children:
                taken = Input(None, True, self.outputs(element, taken))
            return taken.feeds
        if node.type == "redirected_statement":
            return self._redirected(node, taken)
        return (ANY,)

    def _redirected(self, node: Node, taken: Input) -> Lines:
        body = node.child_by_field_name("body")
        extra = [child for child in node.named_children if child != body]
        heredocs = [child for child in extra if child.type == "heredoc_redirect"]
        if body is None:
            return (ANY,)
        if heredocs:
            is_cat = self.expander.text(body).strip() == "cat"
            return (self.heredoc(heredocs[0]),) if is_cat else (ANY,)
        rest = [word for child in extra if child.type == "file_redirect" for word in split_redirect(child)[2]]
        if body.type == "command":
            return self._command(body, taken, rest)
        return (ANY,) if rest else self.outputs(body, taken)

    def heredoc(self, node: Node) -> str:
        """The text of a here-document."""
        start = next(child for child in node.children if child.type == "heredoc_start")
        body = next((child for child in node.children if child.type == "heredoc_body"), None)
        if body is None:
            return ""
        if self.expander.text(start)[:1] in "'\"\\":
            return self.expander.text(body)
        bindings = self.expander.bindings((body,))
        texts = [self.expander.interpolated(body, b, body.start_byte, body.end_byte) for b in bindings]
        return "\n".join(dict.fromkeys(map(plain, texts)))

    def _command(self, node: Node, taken: Input, rest: Sequence[Node] = ()) -> Lines:
        words: list[Word] = []
        for child in (node.child_by_field_name("name"), *node.children_by_field_name("argument"), *rest):
            if child is not None:
                append_word(words, child)
        lines: dict[str, None] = {}
        for binding in self.expander.bindings(itertools.chain(*words)):
            argv = [text for word in words for text in self.expander.fields(word, binding)]
            if argv[:1] == ["cat"] and len(argv) == 2 and argv[1].endswith(".pid") and is_exact(argv[1]):
                made = self._noted(argv[1])
            else:
                made = printed(argv, self._cwds, taken.feeds if taken.piped else None, self._root)
            lines.update(dict.fromkeys(made))
        return tuple(lines) or (ANY,)

    def _noted(self, name: str) -> Lines:
        """The number in a pid file: `$!` where this script notes that there or nothing is noted yet."""
        notes = [
            command.argv
            for command in self._commands
            for redirect in (*command.redirects, *command.outer)
            if redirect.writes and redirect.target == name
        ]
        if notes:
            return (JOB,) if all(argv == ("echo", JOB) for argv in notes) else (ANY,)
        files = [(cwd / name).resolve() if cwd else None for cwd in self._cwds]
        if any(file is None or not file.is_relative_to(self._root) for file in files):
            return (ANY,)
        texts = [file.read_text("utf-8", "replace")[:20].strip() for file in files if file and file.is_file()]
        return tuple(text if text.isdigit() else ANY for text in texts) or (JOB,)

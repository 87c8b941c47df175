"""From the text of a Bash command to a flat list of the simple commands that it may run.

Everything that Bash would execute is in the list: pipes, lists, loops, branches, function bodies and
substitutions wherever they stand. Where a variable has several values, a command is listed for each.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tree_sitter import Node

from harness_core.guards.shell_expand import Variables, is_arithmetic
from harness_core.guards.shell_prints import Printer
from harness_core.guards.shell_produce import Lines
from harness_core.guards.shell_script import NO_INPUT, Command, Cwds, Input, Redirect, Script
from harness_core.guards.shell_survey import Survey
from harness_core.guards.shell_tree import (
    VALUES,
    WITH_ARGUMENTS,
    Word,
    append_word,
    split_redirect,
    syntax_tree,
)
from harness_core.guards.shell_words import ANY, Unparsable, is_exact

MAX_BYTES = 200_000
MAX_COMMANDS = 2000


class _Place:
    """The working directory while walking: where a `cd` may have failed, `missed` is where one still is."""

    def __init__(self, cwds: Cwds, missed: Cwds = ()) -> None:
        self.cwds = cwds
        self.missed = missed

    def settle(self) -> None:
        self.cwds = tuple(dict.fromkeys((*self.cwds, *self.missed)))
        self.missed = ()

    def fork(self) -> _Place:
        return _Place(self.cwds, self.missed)


class _Around(NamedTuple):
    """What a statement inherits from the statements around it."""

    input: Input = NO_INPUT
    outer: tuple[Redirect, ...] = ()
    own: tuple[Redirect, ...] = ()
    """Redirections written after a list or pipeline; they belong to its last command."""
    words: tuple[Node, ...] = ()
    """Arguments that stand after a here-document's mark."""
    dash: bool = False
    """A `-` stands at the end of the command's own arguments."""


def parse(command: str, root: Path, cwds: Cwds | None = None) -> Script:
    """The simple commands of a Bash script that starts in `cwds` (the root by default).

    Raises Unparsable for what isn't whole, or has a form whose effect can't be told.
    """
    source = command.encode("utf-8", "surrogatepass")
    if len(source) > MAX_BYTES or b"\0" in source:
        raise Unparsable("it is too long or holds a null byte")
    tree = syntax_tree(source)
    if tree.has_error:
        raise Unparsable("it has a syntax error, or a form of Bash that this guard doesn't read")
    walker = _Walker(source, root, cwds or (root,))
    walker.survey.collect(tree)
    walker.survey.bind_arguments()
    place = _Place(cwds or (root,))
    walker.sequence(tree.named_children, place, _Around())
    known = walker.variables
    return Script(
        tuple(walker.commands),
        frozenset(walker.survey.functions),
        frozenset((*known.assigned, *known.listed, *known.read)),
    )


class _Walker:
    def __init__(self, source: bytes, root: Path, cwds: Cwds) -> None:
        self.commands: list[Command] = []
        self.variables = Variables()
        self.visited: dict[Path | None, None] = dict.fromkeys(cwds)
        self.printer = Printer(source, self.variables, root, self.commands, self.visited.keys())
        self.expander = self.printer.expander
        self.survey = Survey(self.expander, self.variables)
        self._running: list[str] = []
        self._number = itertools.count(1)
        self._share_cwds()

    def _share_cwds(self) -> None:
        texts = tuple(str(cwd) if cwd else ANY for cwd in self.visited)
        self.variables.given["PWD"] = texts
        self.variables.given["OLDPWD"] = texts

    # -- the walk ---------------------------------------------------------------------------------

    def sequence(self, nodes: Iterable[Node], place: _Place, around: _Around) -> None:
        for node in nodes:
            self.statement(node, place, around)
            place.settle()

    def statement(self, node: Node, place: _Place, around: _Around) -> None:
        if node.type not in WITH_ARGUMENTS:
            around = self._group(around, place)
        match node.type:
            case "comment" | "heredoc_body" | "heredoc_end":
                return
            case "command":
                self.command(node, place, around)
            case "redirected_statement":
                self.redirected(node, place, around)
            case "list":
                self.chain(node, place, around)
            case "pipeline":
                self.pipeline(node.named_children, place, around)
            case "negated_command":
                self.sequence(node.named_children, place, around)
            case "subshell":
                self.sequence(node.named_children, place.fork(), self._group(around, place))
            case "compound_statement" | "do_group" | "else_clause" | "program":
                self.sequence(node.named_children, place, self._group(around, place))
            case "if_statement" | "elif_clause" | "case_statement" | "case_item":
                self.sequence(node.named_children, place, self._group(around, place))
            case "while_statement" | "for_statement" | "c_style_for_statement":
                inner = self._group(around, place)
                moves = b"cd" in self.expander.source[node.start_byte : node.end_byte]
                for _ in range(2 if moves else 1):
                    self.sequence(node.named_children, place, inner)
            case "function_definition":
                if any(child.type.endswith("_redirect") for child in node.children):
                    raise Unparsable("a function's definition is redirected. Redirect inside of it")
                self.sequence(node.children_by_field_name("body"), place.fork(), around)
            case "variable_assignment" | "variable_assignments" | "declaration_command" | "unset_command":
                self.assignment(node, place)
            case "test_command":
                self.substitutions(node, place)
            case _ if node.type in VALUES:
                self.substitutions(node, place)
            case _:
                raise Unparsable(f"it contains a form that isn't understood here ({node.type})")

    def _group(self, around: _Around, place: _Place) -> _Around:
        if around.words:
            raise Unparsable("words follow a redirection of something that takes none")
        if not around.own:
            return around
        self._emit(Command((), place.cwds, redirects=around.own))
        return around._replace(own=(), outer=(*around.outer, *around.own))

    def chain(self, node: Node, place: _Place, around: _Around) -> None:
        left, right = node.named_children[0], node.named_children[-1]
        self.statement(left, place, around._replace(own=(), words=(), dash=False))
        if any(child.type == "||" for child in node.children):
            place.settle()
        self.statement(right, place, around)

    def pipeline(self, elements: Sequence[Node], place: _Place, around: _Around) -> None:
        taken = around.input
        for element in elements:
            start = len(self.commands)
            last = element == elements[-1]
            inner = (
                around._replace(input=taken)
                if last
                else around._replace(input=taken, own=(), words=(), outer=(), dash=False)
            )
            self.statement(element, place.fork(), inner)
            emitted = tuple(dict.fromkeys(command.number for command in self.commands[start:]))
            taken = Input(None, True, self._printed(element, taken, place), emitted)

    def redirected(self, node: Node, place: _Place, around: _Around) -> None:
        body = node.child_by_field_name("body")
        own: list[Redirect] = []
        taken, words = around.input, list(around.words)
        after: list[tuple[str, Node]] = []
        for child in node.named_children:
            if child == body:
                continue
            if child.type == "heredoc_redirect":
                taken = self._typed(child, place)
                more = child.children_by_field_name("argument")
                for word in more:
                    self.substitutions(word, place)
                words += more
                for inner in child.named_children:
                    own += self._redirect(inner, place, words)
                after += [("|", inner) for inner in child.named_children if inner.type == "pipeline"]
                operator = "||" if any(inner.type == "||" for inner in child.children) else "&&"
                after += [(operator, inner) for inner in child.children_by_field_name("right")]
            elif child.type == "herestring_redirect":
                taken = self._typed(child, place)
            else:
                own += self._redirect(child, place, words)
                taken = self._substituted_input(child, place) or taken
        start = len(self.commands)
        if body is None and words:
            raise Unparsable("words follow a redirection that has no command")
        if body is None:
            self._emit(
                Command((), place.cwds, redirects=(*own, *around.own), outer=around.outer, input=taken)
            )
        else:
            dash = any(child.start_byte in self.survey.dashes for child in node.named_children)
            own = [*own, *around.own]
            made = around._replace(input=taken, own=tuple(own), words=tuple(words), dash=dash)
            self.statement(body, place, made)
        for operator, statement in after:
            numbers = tuple(dict.fromkeys(command.number for command in self.commands[start:]))
            if operator == "|":
                fed = self._printed(body, taken, place) if body is not None else ()
                self.pipeline(statement.named_children, place, _Around(Input(None, True, fed, numbers)))
            else:
                if operator == "||":
                    place.settle()
                self.statement(statement, place, _Around())

    def _redirect(self, node: Node, place: _Place, words: list[Node]) -> list[Redirect]:
        """The redirection. The grammar counts the words after its target to it; they are added to `words`."""
        if node.type != "file_redirect":
            return []
        self.substitutions(node, place)
        op, target, rest = split_redirect(node)
        words += rest
        texts = ["".join(map(self.expander.text, word)) for word in target]
        if op in (">&", "<&") and all(text.strip("-").isdigit() for text in texts):
            return []
        with self.printer.at(place.cwds):
            return [
                Redirect(op, field)
                for word in target
                for binding in self.expander.bindings(word)
                for field in self.expander.fields(word, binding)
            ]

    def _printed(self, node: Node, taken: Input, place: _Place) -> Lines:
        with self.printer.at(place.cwds):
            return self.printer.outputs(node, taken)

    def _substituted_input(self, node: Node, place: _Place) -> Input | None:
        """`< <(command)`: the input is what the command prints."""
        if all(child.type != "<" for child in node.children):
            return None
        inner = node.child_by_field_name("destination")
        if inner is None or inner.type != "process_substitution":
            return None
        with self.printer.at(place.cwds):
            return Input(None, True, self.printer.substituted(inner))

    def _typed(self, node: Node, place: _Place) -> Input:
        """The text of a here-document or here-string."""
        document = node.type == "heredoc_redirect"
        if document:
            start = next(child for child in node.children if child.type == "heredoc_start")
            if not self.expander.text(start).isascii():
                raise Unparsable("the end mark of a here-document isn't plain ASCII")
            expands = self.expander.text(start)[:1] not in "'\"\\"
            holding = [child for child in node.children if child.type == "heredoc_body" and expands]
        else:
            holding = [node]
        for part in holding:
            self.substitutions(part, place)
        with self.printer.at(place.cwds) as revealed:
            text = self.printer.heredoc(node) if document else self._herestring(node)
            return Input(text, reveals=frozenset(revealed))

    def _herestring(self, node: Node) -> str:
        return "\n".join(text for child in node.named_children for text in self.expander.scalars(child))

    def command(self, node: Node, place: _Place, around: _Around) -> None:
        words: list[Word] = []
        prefix: list[Node] = []
        own: list[Redirect] = []
        taken = around.input
        for child in node.children:
            match child.type:
                case "variable_assignment":
                    prefix.append(child)
                case "file_redirect":
                    more: list[Node] = []
                    own += self._redirect(child, place, more)
                    for word in more:
                        append_word(words, word)
                case "herestring_redirect" | "heredoc_redirect":
                    taken = self._typed(child, place)
                case "subshell" | "compound_statement":
                    self.statement(child, place, around)
                case "comment":
                    continue
                case _:
                    append_word(words, child)
            if child.type not in ("file_redirect", "herestring_redirect", "subshell", "compound_statement"):
                self.substitutions(child, place)
        for word in around.words:
            append_word(words, word)
        dash = ("-",) if around.dash else ()
        number = next(self._number)
        with self.printer.at(place.cwds) as revealed:
            made = dict.fromkeys(
                (*(text for word in words for text in self.expander.fields(word, binding)), *dash)
                for binding in self.expander.bindings(itertools.chain(*words))
            )
            base = Command(
                (),
                place.cwds,
                tuple(pair for assignment in prefix for pair in self._pairs(assignment)),
                (*own, *around.own),
                around.outer,
                taken,
                frozenset(revealed),
                number,
            )
        for argv in made:
            self._emit(base._replace(argv=argv))
            self._moved(argv, place)
            self._told(argv, taken, any(name == "IFS" and value for name, value in base.assigns))
        self._enter(made, place, taken, around)

    def _enter(self, argvs: Iterable[tuple[str, ...]], place: _Place, taken: Input, around: _Around) -> None:
        for name in {argv[0] for argv in argvs if argv}:
            if name in self.survey.functions and name not in self._running:
                self._running.append(name)
                self.statement(self.survey.functions[name], place, _Around(taken, around.outer))
                self._running.pop()

    def _told(self, argv: tuple[str, ...], taken: Input, splits: bool) -> None:
        """`while read f` after a pipe: the variable holds what the pipe brings."""
        names = [word for word in argv[1:] if not word.startswith("-")]
        if argv[:1] != ("read",) or len(names) != 1 or splits or names[0] not in self.variables.read:
            return
        lines = taken.feeds if taken.piped else tuple((taken.text or "").splitlines())
        if lines:
            before = self.variables.read[names[0]] or ()
            self.variables.read[names[0]] = tuple(dict.fromkeys((*before, *lines)))

    def _moved(self, argv: tuple[str, ...], place: _Place) -> None:
        if not argv or argv[0] not in ("cd", "pushd", "popd"):
            return
        operands = [word for word in argv[1:] if word not in ("-P", "-L", "-e", "--")]
        target = operands[0] if operands else str(Path.home())
        moved: list[Path | None] = []
        if argv[0] == "popd" or target == "-" or target.startswith("+"):
            moved += self.visited
        else:
            moved += [_joined(cwd, target) for cwd in place.cwds]
        if not all(path is not None and path.is_dir() for path in moved):
            place.missed = tuple(dict.fromkeys((*place.missed, *place.cwds)))
        place.cwds = tuple(dict.fromkeys(moved))
        self.visited.update(dict.fromkeys(moved))
        self._share_cwds()

    def assignment(self, node: Node, place: _Place) -> None:
        self.substitutions(node, place)
        assignments = [node] if node.type == "variable_assignment" else list(node.named_children)
        argv: tuple[str, ...] = ()
        with self.printer.at(place.cwds) as revealed:
            pairs = tuple(
                p for child in assignments if child.type == "variable_assignment" for p in self._pairs(child)
            )
            if node.type in ("declaration_command", "unset_command"):
                rest = [child for child in node.named_children if child.type != "variable_assignment"]
                argv = (
                    self.expander.text(node.children[0]),
                    *(word for child in rest for word in self.expander.words(child)),
                )
        if any("=" in word for word in argv[1:]):
            raise Unparsable("it declares a variable in a form whose name isn't plain")
        exports = argv[:1] == ("export",) or "-x" in argv
        shows = frozenset(revealed) if exports else frozenset()
        self._emit(Command(argv, place.cwds, pairs, reveals=shows, number=next(self._number)))

    def _pairs(self, node: Node) -> list[tuple[str, str]]:
        name = node.child_by_field_name("name")
        value = node.child_by_field_name("value")
        if name is None:
            return []
        key = self.expander.text(name)
        if value is None:
            return [(key, "")]
        if value.type == "array":
            return [(key, word) for word in self.expander.elements(value)]
        return [(key, text) for text in self.expander.scalars(value)]

    def substitutions(self, node: Node, place: _Place) -> None:
        """Walk the commands inside `$(…)`, backticks and `<(…)` anywhere below the node."""
        if node.type == "command_substitution" and is_arithmetic(self.expander.text(node)):
            return
        if node.type in ("command_substitution", "process_substitution"):
            self.sequence(node.named_children, place.fork(), _Around())
            return
        for child in node.named_children:
            self.substitutions(child, place)

    def _emit(self, command: Command) -> None:
        if len(self.commands) >= MAX_COMMANDS:
            raise Unparsable("it expands to too many commands")
        self.commands.append(command)


def _joined(cwd: Path | None, target: str) -> Path | None:
    if not is_exact(target) or (cwd is None and not target.startswith("/")):
        return None
    try:
        return ((cwd or Path("/")) / target).resolve()
    except (OSError, RuntimeError, ValueError):
        return None

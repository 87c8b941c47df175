"""The doors for text from outside: no other way onto the console's screen, and what the doors let through."""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from textual.color import Color

import tui.console
from tests.scenes import HOSTILE
from tui.console.pasting import BEGIN, END, Sieve
from tui.console.sinks import VisibleOnly, line, words

SOURCE = Path(tui.console.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
READS_MARKUP = {"from_markup", "render_markup", "to_content", "print_markup"}
"""Calls that take text for Textual's or Rich's markup."""
TAKES_MARKUP = {"Static", "Label", "Button", "Collapsible", "TabPane", "notify", "update"}
"""Calls whose text is read as markup unless that is switched off or the text is Content."""
TITLES = {"border_title", "border_subtitle"}
WRITES = {"print", "input"}
TURNS = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
"""Kinds of characters that change the direction in which others are read."""


def literal(node: ast.expr) -> bool:
    """Whether the value stands in the source: nobody from outside has a word in it."""
    return isinstance(node, ast.Constant)


def plain_text(node: ast.expr) -> bool:
    """Whether a value may be a string that somebody else has filled."""
    return isinstance(node, ast.JoinedStr | ast.BinOp)


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def trouble(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = name_of(node)
            markup = next((item.value for item in node.keywords if item.arg == "markup"), None)
            if name in READS_MARKUP:
                yield node.lineno, f"{name} reads markup"
            elif markup is not None and not (isinstance(markup, ast.Constant) and markup.value is False):
                yield node.lineno, "markup is switched on"
            elif name in TAKES_MARKUP and markup is None and any(map(plain_text, node.args)):
                yield node.lineno, f"{name} would read its text as markup: give it words() or line()"
            elif name == "notify" and markup is None:
                yield node.lineno, "notify reads markup: say markup=False"
            elif isinstance(node.func, ast.Name) and name in WRITES:
                yield node.lineno, f"{name} goes past the screen"
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in TITLES and plain_text(node.value):
                    yield node.lineno, f"{target.attr} reads markup: give it line()"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_there_is_no_other_door(path: Path) -> None:
    found = [f"{path.name}:{place}: {what}" for place, what in trouble(ast.parse(path.read_text()))]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        'Static(f"[b]{name}")',
        "self.notify(text)",
        'pane.border_title = f"{name}"',
        "Content.from_markup(text)",
        "print(text)",
        'label.update("a" + name)',
        "Static(text, markup=True)",
    ],
)
def test_a_door_left_open_would_be_seen(source: str) -> None:
    assert list(trouble(ast.parse(source)))


@given(st.text())
def test_the_doors_let_only_visible_characters_through(text: str) -> None:
    for shown in (line(text).plain, words(text).plain):
        acts = [one for one in shown if unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") and one != "\n"]
        turns = [one for one in shown if unicodedata.bidirectional(one) in TURNS]
        assert not acts and not turns


def test_markup_is_text() -> None:
    assert "[@click=app.exit]x[/]" in line(HOSTILE).plain


def test_what_gets_past_the_doors_is_stopped_at_the_last_one() -> None:
    drawn = VisibleOnly().apply([Segment(HOSTILE), Segment("plain")], Color.parse("black"))
    assert "\x1b" not in drawn[0].text and "gnp.exe" in drawn[0].text and drawn[1].text == "plain"


@given(
    st.lists(st.sampled_from([BEGIN, END, "\x1b", "\x1b[", "\x1b[20", "\x1b[A", "[201~", "a", "\n"])),
    st.randoms(use_true_random=False),
)
def test_escapes_are_taken_out_of_what_is_pasted_and_of_nothing_else(
    parts: list[str], chance: Random
) -> None:
    said, whole, sieve, got = "".join(parts), Sieve(), Sieve(), ""
    wanted = whole.pass_on(said)
    while said:
        size = chance.randint(1, 7)
        got, said = got + sieve.pass_on(said[:size]), said[size:]
    assert got == wanted, "however it comes in pieces"
    typed, *pastes = wanted.split(BEGIN)
    assert typed == "".join(parts).split(BEGIN)[0]
    assert not any("\x1b" in paste.partition(END)[0] for paste in pastes)

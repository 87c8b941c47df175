"""The door for outside text: whatever comes in, nothing that acts on a terminal comes out."""

from __future__ import annotations

import io
import json
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from harness_core.contract.record import Status
from harness_core.layout import RunDir
from harness_core.record import events as ev
from harness_core.safe import one_line, safe, safe_json
from tui.stream import StreamPrinter

ATTACKS = [
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x9b31m",
    "\x9d0;t\x9c",
    "\x90q\x9c",
    "a\rb",
    "a\x08\x08b",
    "\x7f",
    "\u202egpj.exe",
    "\u2066x\u2069",
    "\u200f\u061c",
    "\u2028\u2029",
    "\ufeff",
    "\U000e0041",
    "[red]markup[/red]",
    "\ud800",
    "\0",
]
hostile = st.lists(st.sampled_from(ATTACKS) | st.text(max_size=10), max_size=6).map("".join)
BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def harmless(text: str) -> bool:
    controls = {char for char in text if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")}
    return controls <= {"\n", "\t"} and not BIDI & set(text)


@settings(max_examples=300)
@given(hostile | st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Cs"])))
def test_nothing_that_acts_on_a_terminal_survives(text: str) -> None:
    clean = safe(text)
    assert harmless(clean)
    assert clean.encode().decode() == clean
    assert safe(clean) == clean


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "M"])))
def test_visible_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


@given(hostile, st.integers(0, 20))
def test_one_line_is_one_line_within_its_width(text: str, width: int) -> None:
    line = one_line(text, width)
    assert harmless(line)
    assert len(line.splitlines()) <= 1
    assert not width or len(line) <= width


@given(st.dictionaries(hostile, hostile))
def test_safe_json_means_the_same_and_shows_nothing_that_acts(value: dict[str, str]) -> None:
    whole = {safe(key) + "x": text.replace("\ud800", "") for key, text in value.items()}
    line = msgspec.json.encode(whole).decode()
    assert harmless(safe_json(line))
    assert json.loads(safe_json(line)) == whole


def _filled(kind: Any, text: str) -> Any:
    """A value of a type, with `text` wherever text may stand."""
    if isinstance(kind, msgspec.inspect.StructType):
        return kind.cls(**{field.name: _filled(field.type, text) for field in kind.fields})
    if isinstance(kind, msgspec.inspect.StrType | msgspec.inspect.AnyType):
        return text
    if isinstance(kind, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
        return [_filled(kind.item_type, text)]
    if isinstance(kind, msgspec.inspect.DictType):
        return {"command": _filled(kind.value_type, text)}
    if isinstance(kind, msgspec.inspect.UnionType):
        return _filled(next(t for t in kind.types if not isinstance(t, msgspec.inspect.NoneType)), text)
    if isinstance(kind, msgspec.inspect.EnumType):
        return Status.CLAIMED if kind.cls is Status else next(iter(kind.cls))
    return {msgspec.inspect.BoolType: True, msgspec.inspect.FloatType: 1.5}.get(type(kind), 1)


EVENTS: tuple[type[ev.Event], ...] = ev.AnyEvent.__args__


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_no_event_reaches_the_terminal_as_anything_but_text(kind: type[ev.Event]) -> None:
    for attack in ATTACKS:
        event = _filled(msgspec.inspect.type_info(kind), attack)
        failed = ev.ToolResult(tool_use_id=attack, ok=False, ms=1, output=attack, agent=attack)
        out = io.StringIO()
        console = Console(file=out, highlight=False, markup=False, width=100)
        printer = StreamPrinter(console, RunDir.at("."))
        printer(event)
        printer(failed)
        assert harmless(out.getvalue()), (attack, out.getvalue())

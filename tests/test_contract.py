"""The contract: what parses, what is a change, what a sentence says, and the record on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_core.contract import record as contracts
from harness_core.contract import text as contract_text
from harness_core.contract.record import Status
from harness_core.errors import ContractError
from harness_core.evidence.claim import Kind, Piece

NAME = "feature_list.json"
ROWS = """[
  {"id": 1, "description": "One", "passes": false},
  {"id": 2, "passes": true, "description": "Two", "steps": ["a", "b"]},
  {"id": 3, "description": "Three"}
]
"""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
bodies = st.fixed_dictionaries(
    {"description": texts},
    optional={
        "passes": st.booleans() | st.just("true") | st.none() | st.just(1),
        "category": texts,
        "steps": st.lists(texts, max_size=3),
        "extra": values,
    },
)


@st.composite
def documents(draw: st.DrawFn) -> object:
    """A contract's document in any form, with unique ids."""
    rows = draw(st.lists(bodies, min_size=1, max_size=5))
    form = draw(st.sampled_from(list(contracts.Form)))
    features: object
    if form.ordered:
        named = draw(st.booleans())
        features = [{"id": f"n{place}", **row} if named else row for place, row in enumerate(rows)]
    else:
        features = {f"n{place}": row for place, row in enumerate(rows)}
    if form in (contracts.Form.LIST, contracts.Form.MAP):
        return features
    return {"title": draw(texts), "features": features, "more": draw(values)}


layouts = st.sampled_from(
    [{"indent": None}, {"indent": 2}, {"indent": "\t"}, {"indent": None, "separators": (",", ":")}]
)


def dumped(document: object, layout: dict[str, object], end: str = "\n") -> str:
    return json.dumps(document, ensure_ascii=False, **layout) + end  # type: ignore[arg-type]


@given(documents(), layouts, st.sampled_from(["", "\n", "\r\n"]), st.data())
def test_a_rendered_contract_has_the_same_text_and_the_given_passes(document, layout, end, data):
    source = contracts.parse(dumped(document, layout, end), NAME)
    ids = [feature.id for feature in source.features]
    passing = data.draw(st.frozensets(st.sampled_from(ids)))
    again = contracts.parse(contracts.render(source, passing), NAME)
    assert contracts.passing_ids(again) == passing
    assert not contracts.compare(source, passing, again)
    assert contracts.render(again, contracts.passing_ids(again)) == again.text


@given(documents(), layouts, layouts)
def test_formatting_and_key_order_are_no_change(document, one, other):
    def turned(value: object) -> object:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(part) for part in value] if isinstance(value, list) else value

    record = contracts.parse(dumped(document, one), NAME)
    found = contracts.parse(dumped(turned(document), other), NAME)
    assert not contracts.compare(record, contracts.passing_ids(record), found)


@given(documents(), documents())
def test_two_documents_compare_equal_only_if_they_are(a, b):
    def shape(document: object) -> object:
        """The document with `passes` as it counts."""
        if isinstance(document, list):
            return [shape(row) for row in document]
        if not isinstance(document, dict):
            return document
        if "features" in document:
            return {**document, "features": shape(document["features"])}
        if "description" in document:
            passes = document.get("passes", False)
            return {**document, "passes": passes if isinstance(passes, bool) else False}
        return {key: shape(row) for key, row in document.items()}

    record, found = (contracts.parse(dumped(each, {}), NAME) for each in (a, b))
    change = contracts.compare(record, contracts.passing_ids(record), found)
    if not change:
        assert json.dumps(shape(a), sort_keys=True) == json.dumps(shape(b), sort_keys=True) or shape(
            a
        ) == shape(b)
    assert contracts.describe(change).endswith(".")


@given(st.binary(max_size=60))
def test_any_bytes_parse_or_raise_a_contract_error(data):
    try:
        assert contract_text.parse_bytes(data, NAME).features
    except ContractError as error:
        assert NAME in str(error)


@given(st.text(st.sampled_from(list('[]{}",:\\ud80truefals1eN-. \n\ufeffpasid')), max_size=40))
def test_any_text_near_json_parses_or_raises_a_contract_error(text):
    try:
        assert contracts.parse(text, NAME).features
    except ContractError as error:
        assert NAME in str(error)


@given(documents(), layouts, st.data())
def test_a_cut_file_never_parses_as_another_contract(document, layout, data):
    text = dumped(document, layout, "")
    with pytest.raises(ContractError):
        contracts.parse(text[: data.draw(st.integers(0, len(text) - 1))], NAME)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("[]", "0 features"),
        ('{"features": []}', "0 features"),
        ("{}", "0 features"),
        ("3", "neither a list nor a map"),
        ('{"features": 3}', "neither a list nor a map"),
        ('[{"id": 1}, 2]', "line 1, column 13, feature number 2: it isn't an object"),
        ('{"title": "x", "login": {"passes": false}}', '"title" isn\'t a feature'),
        (
            '[{"id": 1},\n {"id": "1"}]',
            'line 2, column 2, feature number 2: feature number 1 has the same id "1"',
        ),
        ('[{"id": "F002"}, {}]', "the same id"),
        ('[{"a": 1, "a": 2}]', "is there twice"),
        ('[{"a": {"b": 1, "b": 2}}]', '"b" is there twice'),
        ('{"x": {}, "x": {}}', "is there twice"),
        ('[{"a": NaN}]', "NaN isn't JSON"),
        ('[{"a": -Infinity}]', "-Infinity isn't JSON"),
        ('[{"a": 1e999}]', "too large"),
        ('[{"a": ' + "9" * 5000 + "}]", "too many digits"),
        ("\ufeff[{}]", "byte order mark"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"a": ' + "[" * 200 + "]" * 200 + "}]", "nested too deeply"),
        ('[{"a": "\\ud800"}]', "surrogate"),
        ('[{"\\ud800": 1}]', "surrogate"),
        ('[{"id": [1]}]', "its id is neither"),
        ('[{"id": true}]', "its id is neither"),
        ('[{"a": 1},]', "a comma stands before ]"),
        ('[{"a": 1} {}]', "a comma or ] is missing"),
        ('[{"a" 1}]', "a colon is missing"),
        ("[{a: 1}]", "double quotes"),
        ("[{}]\n[{}]", "line 2, column 1: there is more"),
        ('[{"a": "x\ny"}]', "feature number 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, said):
    with pytest.raises(ContractError) as raised:
        contracts.parse(text, NAME)
    assert said in str(raised.value)
    assert str(raised.value).startswith(NAME)


def test_bytes_that_are_not_utf8_are_named_by_line():
    with pytest.raises(ContractError, match="isn't UTF-8: line 2"):
        contract_text.parse_bytes(b'[{"id": 1},\n{"id": "\xff"}]', NAME)


def test_ids_come_from_the_id_the_key_or_the_place():
    assert [f.id for f in contracts.parse('[{"id": 7}, {}, {"id": null}]', NAME).features] == [
        "7",
        "F002",
        "F003",
    ]
    assert [f.id for f in contracts.parse('{"a": {}, "b": {"id": "c"}}', NAME).features] == ["a", "c"]
    assert [f.id for f in contracts.parse('{"features": {"passes": false}}', NAME).features] == ["features"]


def test_only_json_true_passes():
    rows = [{"passes": value} for value in (True, "true", 1, None, False, [True])] + [{}]
    found = contracts.parse(json.dumps(rows), NAME)
    assert contracts.passing_ids(found) == {"F001"}


def test_rendering_touches_nothing_but_passes():
    source = contracts.parse(ROWS, NAME)
    assert contracts.render(source, {"1", "3"}) == (
        ROWS.replace('"One", "passes": false', '"One", "passes": true')
        .replace('"passes": true, "description": "Two"', '"passes": false, "description": "Two"')
        .replace('"Three"}', '"Three", "passes": true}')
    )
    assert contracts.render(contracts.parse("[{}]", NAME), set()) == '[{"passes": false}]'
    indented = '{\n  "a": {\n    "steps": []\n  }\n}'
    assert '[],\n    "passes": true\n  }' in contracts.render(contracts.parse(indented, NAME), {"a"})


def changed(before: str, after: str) -> contracts.Change:
    record = contracts.parse(before, NAME)
    return contracts.compare(record, contracts.passing_ids(record), contracts.parse(after, NAME))


def test_each_kind_of_change_is_told_apart():
    change = changed(ROWS, ROWS.replace("false", "true"))
    assert (change.to_true, change.touches_text) == (("1",), False)
    assert changed(ROWS, ROWS.replace("true", "false")).to_false == ("2",)
    assert changed(ROWS, ROWS.replace('"a", "b"', '"b", "a"')).texts == (contracts.TextChange("2", "steps"),)
    assert changed(ROWS, ROWS.replace('"id": 3', '"id": 4')).lost == ("3",)
    assert changed(ROWS, ROWS.replace('"id": 3', '"id": 4')).added == ("4",)
    assert changed(ROWS, ROWS.replace("false", '"yes"')).texts == (contracts.TextChange("1", "passes"),)
    assert changed(ROWS, ROWS.replace('"id": 1', '"id": "1"')).texts == (contracts.TextChange("1", "id"),)
    assert changed('[{"id": 1}, {"id": 2}]', '[{"id": 2}, {"id": 1}]').reordered
    assert not changed('{"a": {}, "b": {}}', '{"b": {}, "a": {}}')
    assert changed('{"a": {}}', '{"features": {"a": {}}}').form
    assert changed('{"t": 1, "features": [{}]}', '{"features": [{}]}').texts == (
        contracts.TextChange(None, "t"),
    )
    assert not changed('[{"n": 1.0}]', '[{"n": 1}]')
    assert changed('[{"n": true}]', '[{"n": 1}]').touches_text


def test_a_change_is_described_in_a_sentence():
    change = changed(ROWS, ROWS.replace("One", "Uno").replace("true", "false"))
    assert contracts.describe(change) == (
        'the text of "description" of 1 differs; `passes` of feature 2 became false.'
    )


def test_a_fresh_contract_has_the_asked_number_and_nothing_done():
    fresh = contracts.parse(ROWS.replace("true", "false"), NAME)
    assert contracts.check_fresh(fresh, 3) is None
    assert contracts.check_fresh(fresh, None) is None
    said = contracts.check_fresh(contracts.parse(ROWS, NAME), 200)
    assert said is not None
    assert "it has 3 features, 200 were asked for" in said
    assert "feature 2 already passes" in said


def test_reading_waits_for_a_file_that_is_being_rewritten(tmp_path: Path):
    path = tmp_path / NAME
    path.write_text(ROWS[:30])
    waited: list[float] = []

    def finish(delay: float) -> None:
        waited.append(delay)
        if len(waited) == 3:
            path.write_text(ROWS)

    assert len(contracts.read(path, finish).features) == 3
    assert waited == [0.002, 0.004, 0.008]


def test_reading_gives_up_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    waited: list[float] = []
    with pytest.raises(ContractError, match="isn't there"):
        contracts.read(tmp_path / NAME, waited.append)
    assert len(waited) == 6
    with pytest.raises(ContractError, match=r"can't be read|isn't a regular file"):
        contracts.read(tmp_path, waited.append)
    monkeypatch.setattr(contract_text, "MAX_BYTES", 10)
    (tmp_path / NAME).write_text(ROWS)
    with pytest.raises(ContractError, match="11 bytes"):
        contracts.read(tmp_path / NAME, waited.append)


PIECE = Piece(path="screenshots/a.png", sha256="ab" * 32, size=9, mtime_ns=5, kind=Kind.PICTURE)


@given(documents(), layouts)
@settings(max_examples=40)
def test_a_record_survives_the_disk(document, layout):
    source = contracts.parse(dumped(document, layout), NAME)
    record = contracts.freeze(source, "2025-01-01T00:00:00.000Z", "sprints")
    again = contracts.decode(contracts.encode(record))
    assert again == record
    assert contracts.document(again).text == source.text
    assert contracts.passing_of(again) == contracts.passing_ids(source)


def test_a_record_knows_what_passes_and_what_is_spent():
    record = contracts.freeze(contracts.parse(ROWS, NAME), "2025-01-01T00:00:00.000Z")
    row = contracts.FeatureRecord(id="1", status=Status.VERIFIED, evidence=(PIECE,))
    record = contracts.decode(
        contracts.encode(contracts.msgspec.structs.replace(record, features=(row, *record.features[1:])))
    )
    assert contracts.passing_of(record) == {"1", "2"}
    assert contracts.passing_of(record, Status.VERIFIED) == {"1"}
    assert contracts.spent_of(record) == {PIECE.sha256: {"1"}}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-9], "is damaged"),
        (lambda data: b"\xff", "is damaged"),
        (lambda data: data.replace(b"Three", b"Tree"), "doesn't match its sha256"),
        (lambda data: data.replace(b'"status": "failing"', b'"status": "done"'), "is damaged"),
        (lambda data: data.replace(b'"id": "1"', b'"id": "9"'), "aren't those of its text"),
        (lambda data: data.replace(b'"format": 1', b'"format": 99, "new": 1'), "format 99"),
    ],
)
def test_a_damaged_record_is_refused(damage, said):
    data = contracts.encode(contracts.freeze(contracts.parse(ROWS, NAME), "2025-01-01T00:00:00.000Z"))
    with pytest.raises(ContractError, match=said):
        contracts.decode(damage(data))

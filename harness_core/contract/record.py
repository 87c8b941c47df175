"""The contract of record: what is frozen, what a found file changed of it, and how it lies on disk.

The text side (`parse`, `read`, `render`, `Contract`, `Feature`) is in `text`, and offered here too.
Everything but `read` is a pure function.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from harness_core.contract.places import Place, locate, quoted
from harness_core.contract.text import (
    MAX_BYTES,
    Contract,
    Feature,
    Form,
    parse,
    passing_ids,
    read,
    render,
)
from harness_core.errors import ContractError
from harness_core.evidence.claim import Piece
from harness_core.layout import FORMAT, RunDir
from harness_core.machine.files import read_bounded

__all__ = [
    "MAX_BYTES",
    "Change",
    "Contract",
    "Feature",
    "FeatureRecord",
    "Form",
    "Place",
    "Record",
    "Status",
    "TextChange",
    "check_fresh",
    "compare",
    "decode",
    "describe",
    "document",
    "encode",
    "extend",
    "freeze",
    "locate",
    "parse",
    "passing_ids",
    "passing_of",
    "read",
    "render",
    "reword",
    "spent_of",
]


class Status(StrEnum):
    """What is known of a feature. Only the engine and the operator change it."""

    FAILING = "failing"
    CLAIMED = "claimed"
    """Its evidence was accepted."""
    VERIFIED = "verified"
    """An evaluator that never saw the build agrees."""
    APPROVED = "approved"
    """The operator agrees."""
    REGRESSED = "regressed"
    """It was one of the three above and no longer holds."""
    SKIPPED = "skipped"
    """Given up for now, with a reason."""


_RECORD_LIMIT = 64 << 20
_SHOWN = 5
"""Names that a sentence lists."""
_STEPS_UP = (Status.CLAIMED, Status.VERIFIED, Status.APPROVED)


@dataclass(frozen=True, slots=True)
class TextChange:
    """A key whose frozen text differs. `feature` is None for a top-level key of the document."""

    feature: str | None
    key: str


@dataclass(frozen=True, slots=True)
class Change:
    """How a found contract differs from the one of record; false when only the formatting does."""

    to_true: tuple[str, ...] = ()
    to_false: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    texts: tuple[TextChange, ...] = ()
    reordered: bool = False
    """The features of a list stand in another order."""
    form: tuple[Form, Form] | None = None
    """(form of record, form found), where they differ."""

    @property
    def touches_text(self) -> bool:
        """True if anything but `passes` values differs."""
        return bool(self.lost or self.added or self.texts or self.reordered or self.form)

    def __bool__(self) -> bool:
        return bool(self.touches_text or self.to_true or self.to_false)


def compare(record: Contract, passing: AbstractSet[str], found: Contract) -> Change:
    """What `found` changes of the contract of record with the ids in `passing` true."""
    old = {feature.id: feature for feature in record.features}
    new = {feature.id: feature for feature in found.features}
    kept = [feature.id for feature in record.features if feature.id in new]
    texts = [change for name in kept for change in _text_changes(old[name], new[name])]
    texts += [TextChange(None, key) for key in _different(record.others, found.others)]
    order = [feature.id for feature in found.features if feature.id in old]
    return Change(
        to_true=tuple(name for name in kept if new[name].passes and name not in passing),
        to_false=tuple(name for name in kept if not new[name].passes and name in passing),
        lost=tuple(name for name in old if name not in new),
        added=tuple(name for name in new if name not in old),
        texts=tuple(texts),
        reordered=record.form.ordered and order != kept,
        form=None if record.form == found.form else (record.form, found.form),
    )


def _text_changes(old: Feature, new: Feature) -> list[TextChange]:
    keys = _different(old.texts, new.texts)
    if new.odd_passes is not None and new.odd_passes != old.odd_passes:
        keys.append("passes")
    if old.key != new.key and "id" not in keys:
        keys.append("id")
    return [TextChange(old.id, key) for key in keys]


def _different(old: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> list[str]:
    """The keys of two sorted (key, text) rows that are missing in one or have another text."""
    before, after = dict(old), dict(new)
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))


def describe(change: Change) -> str:
    """One sentence that says what changed."""
    parts: list[str] = []
    if change.lost:
        parts.append(f"{_named(change.lost)} {_is(change.lost)} gone")
    if change.added:
        parts.append(f"{_named(change.added)} {_is(change.added)} new")
    features = [text for text in change.texts if text.feature is not None]
    if features:
        keys = [f"{quoted(text.key)} of {_short(text.feature or '')}" for text in features]
        parts.append(f"the text of {_listed(keys)} differs")
    tops = [quoted(text.key) for text in change.texts if text.feature is None]
    if tops:
        parts.append(f"the top-level text of {_listed(tops)} differs")
    if change.reordered:
        parts.append("the features stand in another order")
    if change.form:
        parts.append(f"the file is a {change.form[1]} and was a {change.form[0]}")
    if change.to_true:
        parts.append(f"`passes` of {_named(change.to_true)} became true")
    if change.to_false:
        parts.append(f"`passes` of {_named(change.to_false)} became false")
    return f"{'; '.join(parts)}." if parts else "nothing changed."


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _named(names: Sequence[str]) -> str:
    word = "feature" if len(names) == 1 else "features"
    return f"{word} {_listed([_short(name) for name in names])}"


def _short(name: str) -> str:
    """An id as it is if it is a plain word, else in quotes."""
    return name if len(name) <= 60 and (name.isidentifier() or name.isalnum()) else quoted(name)


def _listed(items: Sequence[str]) -> str:
    shown = list(items[:_SHOWN])
    if len(items) > _SHOWN:
        shown.append(f"{len(items) - _SHOWN} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def check_fresh(contract: Contract, expected: int | None) -> str | None:
    """What keeps a contract from being frozen, as a sentence for the initializer, or None. `expected` is the
    number of features asked for, None if it was left open."""
    wrong: list[str] = []
    count = len(contract.features)
    if expected is not None and count != expected:
        wrong.append(f"it has {count} feature{'s' if count != 1 else ''}, {expected} were asked for")
    done = [feature.id for feature in contract.features if feature.passes]
    if done:
        verb = "passes" if len(done) == 1 else "pass"
        wrong.append(f"{_named(done)} already {verb}, but every feature starts with `passes` false")
    return f"{contract.name} can't be frozen: {'; '.join(wrong)}." if wrong else None


class FeatureRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is on record of one feature."""

    id: str
    status: Status
    evidence: tuple[Piece, ...] = ()
    """Every piece that was spent on it, also of claims that no longer hold."""
    note: str = ""
    """Why it was skipped, or what was said when it regressed."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The contract of record, as `.longwatch/contract.json` holds it."""

    format: int
    name: str
    """The file's name in the run."""
    document: str
    """The frozen text of the file."""
    sha256: str
    """Of `document` as UTF-8."""
    features: tuple[FeatureRecord, ...]
    frozen_at: str
    """UTC, ISO 8601."""
    preset: str | None = None


def freeze(contract: Contract, frozen_at: str, preset: str | None = None) -> Record:
    """A new record of a contract; features that pass already are adopted as claimed."""
    return Record(
        format=FORMAT,
        name=contract.name,
        document=contract.text,
        sha256=_digest(contract.text),
        features=tuple(
            FeatureRecord(id=feature.id, status=Status.CLAIMED if feature.passes else Status.FAILING)
            for feature in contract.features
        ),
        frozen_at=frozen_at,
        preset=preset,
    )


def extend(record: Record, added: Contract) -> Record:
    """The record with the features of `added` at its end, all failing; ids that are taken are given anew.

    Raises ContractError where the document can't hold them.
    """
    whole = msgspec.json.decode(record.document)
    holder = whole["features"] if isinstance(whole, dict) and "features" in whole else whole
    taken = {feature.id for feature in record.features}
    places = itertools.count(len(taken) + 1)
    for feature in added.features:
        name = (
            feature.id
            if feature.id not in taken
            else next(n for p in places if (n := f"F{p:03d}") not in taken)
        )
        taken.add(name)
        entry = {name: msgspec.json.decode(text) for name, text in feature.texts} | {"passes": False}
        if isinstance(holder, dict):
            holder[name] = entry
        else:
            holder.append({**entry, "id": name})
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    known = {feature.id: feature for feature in record.features}
    features = tuple(
        known.get(feature.id) or FeatureRecord(id=feature.id, status=Status.FAILING)
        for feature in parse(text, record.name).features
    )
    return msgspec.structs.replace(record, document=text, sha256=_digest(text), features=features)


def reword(record: Record, feature_id: str, description: str | None, steps: Sequence[str] | None) -> Record:
    """The record with another text of one feature; None leaves a part as it is.

    Raises ContractError where the document can't hold it.
    """
    before = document(record)
    place = next(feature.index for feature in before.features if feature.id == feature_id)
    whole = msgspec.json.decode(record.document)
    holder = whole["features"] if isinstance(whole, dict) and "features" in whole else whole
    entry = [*holder.values()][place] if isinstance(holder, dict) else holder[place]
    given = {"description": description, "steps": None if steps is None else list(steps)}
    entry |= {name: value for name, value in given.items() if value is not None}
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    change = compare(before, passing_ids(before), parse(text, record.name))
    if {item.feature for item in change.texts} - {feature_id} or change.lost or change.added:
        raise ContractError(f"{record.name} can't be written anew without changing more than {feature_id}")
    # A text that is as it was stays as it lies there, however it is laid out.
    return msgspec.structs.replace(record, document=text, sha256=_digest(text)) if change.texts else record


def document(record: Record) -> Contract:
    """The frozen document of a record. Raises ContractError."""
    return parse(record.document, record.name)


def passing_of(record: Record, threshold: Status = Status.CLAIMED) -> frozenset[str]:
    """The ids whose `passes` is true in the agents' file: from `threshold` (claimed or verified) on."""
    counted = _STEPS_UP[_STEPS_UP.index(threshold) :]
    return frozenset(feature.id for feature in record.features if feature.status in counted)


def spent_of(record: Record) -> Mapping[str, frozenset[str]]:
    """Which features each content (by sha256) was spent on."""
    spent: dict[str, frozenset[str]] = {}
    for feature in record.features:
        for piece in feature.evidence:
            spent[piece.sha256] = spent.get(piece.sha256, frozenset()) | {feature.id}
    return spent


RESTORE = "restore it from a backup, or move `.longwatch` away to start over"
"""How to mend what a run can't be without."""


def encode(record: Record) -> bytes:
    """The bytes of `.longwatch/contract.json`."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def on_record(run: RunDir) -> Record | None:
    """A run's contract of record; None where none is frozen. Raises what `decode` does, and OSError."""
    data = read_bounded(run.record, _RECORD_LIMIT)
    return decode(data) if data is not None else None


def decode(data: bytes) -> Record:
    """The record in `data`. Raises ContractError if it is damaged, was altered or is of a newer Longwatch."""
    where = "the contract of record (.longwatch/contract.json)"
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.format > FORMAT:
            raise ContractError(
                f"{where} has format {head.format}, this Longwatch knows {FORMAT}: use a newer one."
            )
        record = msgspec.json.decode(data, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(f"{where} is damaged ({error}): {RESTORE}") from None
    if _digest(record.document) != record.sha256:
        raise ContractError(f"{where} was altered, its text doesn't match its sha256: {RESTORE}")
    known = [feature.id for feature in document(record).features]
    if [feature.id for feature in record.features] != known:
        raise ContractError(f"{where} was altered, its features aren't those of its text: {RESTORE}")
    return record


class _Head(msgspec.Struct, frozen=True):
    """What every format of the record has."""

    format: int


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()

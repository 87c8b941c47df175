"""The contract as the console shows it: texts from its file, where features stand from the state."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness_core.contract import record as ct
from harness_core.contract.record import Contract, Feature, Status
from harness_core.errors import ContractError, ContractMissing
from harness_core.layout import RunDir
from harness_core.record.state import PASSING, RunState

ORDER = (
    Status.REGRESSED,
    Status.FAILING,
    Status.CLAIMED,
    Status.VERIFIED,
    Status.APPROVED,
    Status.SKIPPED,
)
"""What needs work comes first."""


@dataclass(frozen=True, slots=True)
class View:
    """A contract's features, and what is wrong where they can't be read."""

    name: str
    features: tuple[Feature, ...] = ()
    frozen: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """A feature and where it stands."""

    id: str
    category: str
    description: str
    status: Status
    attempts: int = 0
    note: str = ""
    in_hand: bool = False

    @property
    def passes(self) -> bool:
        return self.status in PASSING


class Tally(NamedTuple):
    """How many features of a category pass, of how many."""

    category: str
    passing: int
    total: int


def mark(run: RunDir) -> tuple[object, ...]:
    """Changes when a file that `read` reads has changed."""
    return tuple(_mark(path) for path in (run.record, run.contract))


def _mark(path: os.PathLike[str]) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def read(run: RunDir) -> View:
    """The contract of record; before there is one, or in a run of another harness, the agents' file."""
    error = ""
    try:
        record = ct.on_record(run)
        if record is not None:
            document = ct.document(record)
            return View(document.name, document.features, frozen=True)
    except (ContractError, OSError) as found:
        error = str(found)
    name = run.contract.name
    if not os.path.lexists(run.contract):
        return View(name, error=error)
    try:
        shown: Contract = ct.read(run.contract)
    except ContractMissing:
        return View(name, error=error)
    except ContractError as found:
        return View(name, error=error or str(found))
    return View(name, shown.features, error=error)


def standings(view: View, state: RunState) -> list[Standing]:
    """All features, in the order in which they want to be looked at."""
    open_session = state.open_session
    at_work = open_session.feature if open_session else None
    known = {feature.id for feature in view.features}
    found = [_standing(feature, state, at_work) for feature in view.features]
    # Where the text can't be read, the journal still knows the features by name.
    found += [
        Standing(name, "", "", kept.status, kept.attempts, kept.note, name == at_work)
        for name, kept in state.features.items()
        if name not in known
    ]
    return sorted(found, key=lambda item: (ORDER.index(item.status), not item.in_hand))


def _standing(feature: Feature, state: RunState, at_work: str | None) -> Standing:
    kept = state.features.get(feature.id)
    by_file = Status.CLAIMED if feature.passes else Status.FAILING
    return Standing(
        feature.id,
        feature.category,
        feature.description,
        kept.status if kept else by_file,
        kept.attempts if kept else 0,
        kept.note if kept else "",
        feature.id == at_work,
    )


def tallies(found: Iterable[Standing]) -> list[Tally]:
    """Pass rates by category, the largest category first."""
    rates: dict[str, list[bool]] = {}
    for item in found:
        rates.setdefault(item.category or "no category", []).append(item.passes)
    listed = [Tally(name, sum(passing), len(passing)) for name, passing in rates.items()]
    return sorted(listed, key=lambda tally: -tally.total)


def counts(found: Sequence[Standing]) -> list[tuple[Status, int]]:
    """How many stand where; statuses that nothing has are left out."""
    each = [(status, sum(item.status is status for item in found)) for status in ORDER]
    return [(status, count) for status, count in each if count]


def fits(item: Standing, wanted: str) -> bool:
    """Whether a feature fits all words of a filter. `status:` and `category:` before a word say where it
    belongs (its beginning is enough); any other word may be anywhere in the feature's text."""
    text = f"{item.id} {item.category} {item.description} {item.note}".casefold()
    return all(_fits(item, text, word) for word in wanted.casefold().split())


def _fits(item: Standing, text: str, word: str) -> bool:
    kind, colon, value = word.partition(":")
    if colon and kind == "status":
        is_passing = value == "passing" and item.passes
        return is_passing or item.status.value.startswith(value)
    if colon and kind == "category":
        return item.category.casefold().startswith(value)
    return word in text

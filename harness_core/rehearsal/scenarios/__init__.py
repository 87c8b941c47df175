"""The scenarios, one module each, and the notation that names them.

tiny                      a scenario
overhead:300              with a parameter of its own
tiny+529:3                with a fault of the wire: the first 3 requests; 529:3:10 from the 10th on
tiny+silent:3@evaluator   of those in one role
tiny+rm-contract@F002     with a mischief of an agent, in the session that builds F002
    tiny+loop@4               in the session whose prompt says "session 4"
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import cast

from harness_core.errors import Mistake
from harness_core.rehearsal.faults import WireFault, WireFaultKind
from harness_core.rehearsal.mischief import MISCHIEF
from harness_core.rehearsal.scenario import Scenario

_FAULT = re.compile(r"(?P<name>[\w-]+)(?::(?P<first>[\w-]+))?(?::(?P<second>\d+))?(?:@(?P<feature>[\w-]+))?")


def titles() -> dict[str, str]:
    """Each scenario's name and what it is, in one sentence."""
    return {name: _make(name, None).title for name in _names()}


def load(notation: str) -> Scenario:
    """The scenario of a notation. Raises `Mistake` for a name that doesn't exist."""
    base, *faults = notation.split("+")
    name, _, parameter = base.partition(":")
    if name not in _names():
        raise Mistake(f"There is no scenario {name!r}; there are: {', '.join(_names())}.")
    scenario = replace(_make(name, parameter or None), name=notation)
    for fault in faults:
        scenario = _spoiled(scenario, fault)
    return scenario


def _names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def _make(name: str, parameter: str | None) -> Scenario:
    module = import_module(f"{__name__}.{name}")
    return cast(Callable[[str | None], Scenario], module.scenario)(parameter)


def _spoiled(scenario: Scenario, notation: str) -> Scenario:
    given = _FAULT.fullmatch(notation)
    name = given["name"] if given else notation
    if given and name in {kind.value for kind in WireFaultKind}:
        times, first = int(given["first"] or 1), int(given["second"] or 1)
        fault = WireFault(WireFaultKind(name), times, first, given["feature"] or "")
        return replace(scenario, faults=(*scenario.faults, fault))
    if given and name in MISCHIEF:
        wrap = MISCHIEF[name](given["first"], given["feature"])
        return replace(scenario, mischief=(*scenario.mischief, wrap))
    known = sorted([*MISCHIEF, *(kind.value for kind in WireFaultKind)])
    raise Mistake(f"There is no fault {notation!r}; there are: {', '.join(known)}.")

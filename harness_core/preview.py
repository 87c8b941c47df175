"""What a role would really be told, from what a run's directory holds now. Starts and writes nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import msgspec

from harness_core import config, prompting, tasks
from harness_core.agent import mcp_servers
from harness_core.box import sandbox
from harness_core.config import RunConfig
from harness_core.contract import record as ct
from harness_core.contract.record import Feature, Status
from harness_core.errors import Mistake
from harness_core.grading import rubric
from harness_core.grading.evaluation import Measure
from harness_core.layout import ADDED_NAME, PLANNED_NAME, RunDir
from harness_core.machine.gitfiles import GitFiles
from harness_core.record.fold import fold
from harness_core.record.state import RunState
from harness_core.steps.building import first_message
from harness_core.steps.flow import Build
from harness_core.steps.iterations import decide
from harness_core.steps.judgement import found_before

_ROLE_LINE = "# Role: "
_ASKED = "(what you say with --prompt)"
_SHELLS = ("initializer", "generator", "evaluator")
"""Roles that have a shell where there is a sandbox."""


@dataclass(frozen=True)
class Page:
    """A page of the prompts, and whose it is."""

    name: str
    role: str


@dataclass(frozen=True)
class Told:
    """All that a session would begin with. `first` is "" where it can't be known."""

    page: Page
    system: str
    first: str
    override: Path
    """Where an own version of the page lies, or would."""
    overridden: bool
    servers: Sequence[str] = ()
    """The MCP servers that it would have besides Longwatch's own, if they start."""


def pages() -> list[Page]:
    """Every page that there is, by name."""
    files = [item for item in resources.files("prompts").iterdir() if item.name.endswith(".md")]
    heads = {
        item.name.removesuffix(".md"): item.read_text(encoding="utf-8").splitlines()[0] for item in files
    }
    return [Page(name, heads[name].removeprefix(_ROLE_LINE)) for name in sorted(heads)]


def told(run: RunDir, wanted: str, options: config.Options) -> Told:
    """What the role, or the page, of that name is told; a role's is the page that the run's settings choose.

    Raises Mistake for a name that is neither, and for settings that can't be.
    """
    info = config.load_info(run)
    file = config.load_file(run.config_file)
    settings = config.resolve(file, options.over(info.options) if info else options, os.environ)
    state = fold(run)
    contract = _contract(run)
    page = _chosen(wanted, settings, frozen=bool(contract) or settings.switches.initializer)
    servers = mcp_servers.gather(
        file.mcp, run, os.environ, with_browser=settings.switches.browser, only_looks=True
    )
    told_of = servers.as_told(settings, page.role)
    system = prompting.system_prompt(run, page.role, page.name, told_of) + _boxed(settings, page.role)
    override = prompting.override_of(run, page.name)
    parts = [_first(run, settings, state, contract, page)]
    if parts[0]:
        parts += [prompting.not_there(name, why) for name, why in servers.absent_for(page.role).items()]
    reaches = [*servers.of(page.role)]
    return Told(page, system, "\n\n".join(parts), override, override.is_file(), reaches)


def _chosen(wanted: str, settings: RunConfig, *, frozen: bool) -> Page:
    by_role = {
        "generator": prompting.generator_page(settings, frozen=frozen),
        "evaluator": prompting.evaluator_page(settings),
        "initializer": prompting.initializer_page(settings),
    }
    known = {page.name: page for page in pages()}
    found = known.get(by_role.get(wanted, wanted))
    if found is None:
        raise Mistake(f"there is no role and no page {wanted}: choose {', '.join(known)}")
    return found


def _contract(run: RunDir) -> Sequence[Feature]:
    record = ct.on_record(run)
    return ct.document(record).features if record is not None else ()


def _boxed(settings: RunConfig, role: str) -> str:
    on = settings.sandbox.mode != "off" and role in _SHELLS and not sandbox.lacks()
    return prompting.boxed_in(on, Path("(a folder of its own)") if role == "evaluator" else None)


# --- The first message ------------------------------------------------------------------------------------


def _first(run: RunDir, settings: RunConfig, state: RunState, contract: Sequence[Feature], page: Page) -> str:
    asked = msgspec.structs.replace(settings, prompt=settings.prompt or _ASKED)
    match page.name:
        case "planner":
            return tasks.planner_task(asked.prompt, PLANNED_NAME)
        case "initializer" | "initializer-bugfix" | "initializer-enhancement":
            mode = page.name.removeprefix("initializer").removeprefix("-") or "build"
            name = ADDED_NAME if contract else run.contract.name
            return tasks.groundwork_task(run, msgspec.structs.replace(asked, mode=mode), name)
        case "evaluator" | "evaluator-design":
            return _judging(run, settings, state, contract)
        case "generator" | "generator-bugfix" | "generator-continuous" if contract:
            return _building(run, settings, state, contract, continuous=page.name.endswith("continuous"))
        case "generator-design" | "generator-solo" if not contract:
            decision = decide(state.iterations) if page.name == "generator-design" else None
            given = settings if run.spec.is_file() or settings.goal else asked
            return first_message(run, given, state, (), state.sessions + 1, Build(decision=decision))
    return ""


def _building(
    run: RunDir, settings: RunConfig, state: RunState, contract: Sequence[Feature], *, continuous: bool
) -> str:
    session = state.open_session
    of_sprint = state.sprint.features if state.sprint is not None else [*state.features]
    left = [*state.with_status(Status.REGRESSED), *state.with_status(Status.FAILING)]
    names = [name for name in left if name in of_sprint or name in state.with_status(Status.REGRESSED)]
    if session is not None and session.role == "generator" and session.features:
        names = session.features
    number = session.number if session is not None else state.sessions + 1
    build = Build(names if continuous else names[:1])
    return first_message(run, settings, state, contract, number, build)


def _judging(run: RunDir, settings: RunConfig, state: RunState, contract: Sequence[Feature]) -> str:
    claimed = state.with_status(Status.CLAIMED)
    scope = claimed[:1] if settings.switches.evaluator == "feature" else claimed
    sprint = state.sprint
    chosen = rubric.load(run, settings.switches.rubric)
    measure = Measure(chosen, sprint.criteria if sprint is not None and sprint.agreed else ())
    return tasks.evaluator_task(
        run,
        [feature for feature in contract if feature.id in scope],
        GitFiles(run.root).head(),
        [piece.path for name in scope for piece in state.features[name].evidence],
        measure.contract,
        tasks.measured_by(chosen, examples=settings.switches.calibration),
        [] if settings.switches.max_iterations else found_before(state, scope),
    )

"""What roles are told: whole, in keeping with the switches, and as the command shows it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from harness_core import config, preview, prompting
from harness_core.config import PRESETS, RunConfig, RunInfo, save_info
from harness_core.contract.ledger import Ledger
from harness_core.layout import FORMAT, RunDir
from harness_core.operator.checkpoints import findings_page
from harness_core.record import events as ev
from harness_core.record.state import RunState
from harness_core.steps.judgement import found_before
from tests.commands import longwatch, said, sentence
from tests.conftest import OpenRun
from tests.harness import open_stage, text_of

PAGES = [(page.name, page.role) for page in preview.pages()]
SWITCHES = {
    name for name, value in msgspec.structs.asdict(config.Switches()).items() if isinstance(value, bool)
}
each_page = pytest.mark.parametrize(("page", "role"), PAGES, ids=[page for page, _ in PAGES])


def told(page: str, role: str, **switched: bool) -> str:
    """A page as it goes to a role with these switches."""
    switches = msgspec.structs.replace(PRESETS["two-agent"], **switched)
    settings = msgspec.structs.replace(RunConfig(), switches=switches, features=12)
    return prompting.system_prompt(RunDir(Path("/nowhere")), role, page, settings)


# --- The pages --------------------------------------------------------------------------------------------


@each_page
def test_a_page_is_whole_in_any_switching(page: str, role: str) -> None:
    written = prompting.page_text(RunDir(Path("/nowhere")), role, page)
    assert written.startswith(f"# Role: {role}\n\n")
    assert set(re.findall(r"<!-- with (\w+) -->", written)) <= SWITCHES
    assert len(written) < 6000
    for on in (True, False):
        text = told(page, role, **dict.fromkeys(SWITCHES, on))
        assert not re.search(r"\$\w|<!--|\n\n\n", text)


@each_page
def test_what_is_off_is_not_asked_for(page: str, role: str) -> None:
    text = told(page, role, handoff_notes=False, browser=False, regression_checks=False)
    for word in ("PROGRESS", "mcp__browser__", "report_regression"):
        assert word not in text


@pytest.mark.parametrize("page", ["generator", "generator-bugfix", "generator-continuous"])
def test_builders_hear_what_long_builds_have_taught(page: str) -> None:
    text = told(page, "generator")
    for lesson in (
        "as a user would",
        "a curl alone proves little",
        "picture of the running thing",
        "exit status",
        "Check what stands",
        "no case that only the check would see",
        "Leave it clean",
        "on top of `PROGRESS.md`",
        "ARCHITECTURE.md",
        "frozen",
    ):
        assert lesson in text, lesson
    assert ("one feature" in text.lower()) is (page == "generator")


@pytest.mark.parametrize(
    "page", [page for page, role in PAGES if role == "generator" and "contract" not in page]
)
def test_builders_mend_first_what_can_not_be_tried(page: str) -> None:
    text = told(page, "generator")
    assert text.count("for want of a service, a database or users is mended first") == 1
    assert "never skipped" in text and "done untried" in text


def test_evaluators_pass_nothing_that_they_could_not_try() -> None:
    judge = told("evaluator", "evaluator")
    for word in (
        "restart the app",
        "service or database",
        "users",
        "NEEDS_WORK, and the finding says what kept",
    ):
        assert word in judge, word
    assert "never a pass" in judge and "(a library, say)" in judge
    assert "say so in the reason, and judge it by the evidence" not in judge
    assert "what kept you from it" in told("evaluator-design", "evaluator")


def test_evaluators_planners_and_initializers_do_too() -> None:
    judge = told("evaluator", "evaluator")
    assert "What passed before has to hold still." in judge and "after a restart" in judge
    assert "Don't talk yourself out of it" in judge and "curl" in judge and "how to see it" in judge
    planner = told("planner", "planner")
    assert (
        "Be ambitious" in planner and "No file names, no code" in planner and "Where a model helps" in planner
    )
    assert "exactly 12 features" in told("initializer", "initializer")


# --- Messages ---------------------------------------------------------------------------------------------


def test_findings_say_what_they_are_about_and_ask_for_nothing_that_is_not_there() -> None:
    seen = ev.Finding("F1", "functionality", "the key does nothing", "press it")
    grade = ev.Finding(None, "craft", "uneven (graded 4, at least 6 is asked)", "")
    page = findings_page(ev.Verdict(verdict="NEEDS_WORK", scope=["F1"], findings=[seen, grade]))
    assert "then claim the feature again" in page and page.count("To see it: ") == 1
    design = ev.Verdict(verdict="NEEDS_WORK", scope=[], findings=[grade], iteration=3)
    page = findings_page(design)
    assert "in iteration 3" in page and "claim" not in page


def test_an_evaluator_hears_of_earlier_findings_in_its_scope_alone() -> None:
    findings = [
        ev.Finding("F1", "functionality", "one", ""),
        ev.Finding("F2", "functionality", "two", ""),
        ev.Finding(None, "craft", "three", ""),
    ]
    state = RunState(verdict=ev.Verdict(verdict="NEEDS_WORK", scope=["F1", "F2"], findings=findings))
    assert [item.where for item in found_before(state, ["F1"])] == ["one", "three"]
    assert found_before(state, ["F3"]) == [] == found_before(RunState(), ["F1"])


# --- The command ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page, role in PAGES if role == "evaluator"])
def test_what_an_evaluator_hears_of_a_shell_is_true_with_a_sandbox_and_without(page: str) -> None:
    text = told(page, "evaluator")
    assert "You have no shell unless your page says so below." in text
    assert "can't change anything" not in text
    assert prompting.boxed_in(False, None) == ""
    assert "This is your shell. It stands in /a/clone" in prompting.boxed_in(True, Path("/a/clone"))


def test_pages_are_listed_where_no_run_is(tmp_path: Path) -> None:
    lines = said(longwatch("prompts", str(tmp_path / "new"))).splitlines()
    assert [line.split()[:2] for line in lines] == [list(item) for item in PAGES]
    assert all(".longwatch/prompts/" in line for line in lines)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("preset", "page"),
    [
        ("continuous", "generator-continuous"),
        ("two-agent", "generator"),
        ("design", "generator-design"),
        ("solo", "generator-solo"),
    ],
)
def test_a_role_s_page_is_that_of_the_preset(tmp_path: Path, preset: str, page: str) -> None:
    shown = said(longwatch("prompts", str(tmp_path), "--show", "generator", "--preset", preset))
    assert shown.startswith(f"━━ the system page of generator: {page}.md")
    assert shown.count("# Role: generator\n") == 1
    assert ("**originality**" in shown) is (preset == "design") and "Graded before" not in shown


def test_switches_modes_and_guidance_are_in_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("Tabs, never spaces.\n")
    root = str(tmp_path)
    shown = said(longwatch("prompts", root, "--show", "generator", "--set", "handoff_notes=off"))
    assert "Tabs, never spaces." in shown and "PROGRESS.md" not in shown
    judged = said(longwatch("prompts", root, "--show", "evaluator", "--preset", "sprints"))
    assert "**product depth**" in judged and "Graded before" in judged
    bare = said(longwatch("prompts", root, "--show", "evaluator", "--set", "calibration=off"))
    assert "Graded before" not in bare
    mended = said(longwatch("prompts", root, "--show", "initializer", "--mode", "bugfix"))
    assert "initializer-bugfix.md" in mended and "This is the report:" in mended


def test_a_page_of_one_s_own_takes_its_place(tmp_path: Path) -> None:
    own = tmp_path / ".longwatch" / "prompts" / "planner.md"
    own.parent.mkdir(parents=True)
    own.write_text("# Role: planner\n\nDream.\n")
    shown = said(longwatch("prompts", str(tmp_path), "--show", "planner"))
    assert "planner.md (yours)" in shown and "Dream." in shown and "Be ambitious" not in shown
    own.write_text("Dream.\n")
    wrong = sentence(longwatch("prompts", str(tmp_path), "--show", "planner"))
    assert "needs the line `# Role: planner`" in wrong


def test_what_can_not_be_shown_is_told_in_a_sentence(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert "no role and no page cook: choose evaluator" in sentence(
        longwatch("prompts", root, "--show", "cook")
    )
    assert "no such preset" in sentence(longwatch("prompts", root, "--show", "planner", "--preset", "x"))
    assert "DIR is empty" in sentence(longwatch("prompts", ""))


def test_of_a_run_the_first_message_is_the_next_one(open_run: OpenRun, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(RunConfig(), preset="two-agent", switches=PRESETS["two-agent"])
    run = open_run(tmp_path / "run", settings)
    listed = [{"id": name, "description": name, "steps": [], "passes": False} for name in ("F1", "F2")]
    run.dir.contract.write_text(json.dumps(listed))
    save_info(run.dir, RunInfo(FORMAT, "r", "two-agent", "", settings, config.Options(preset="two-agent")))
    assert Ledger(run).freeze(None) is None
    before = sorted(path for path in run.dir.root.rglob("*") if ".git/" not in str(path))
    shown = said(longwatch("prompts", str(run.dir.root), "--show", "generator"))
    assert "This is session 1 of the build." in shown and "Your feature is F1" in shown
    assert sorted(path for path in run.dir.root.rglob("*") if ".git/" not in str(path)) == before


def test_servers_are_shown_as_a_run_would_tell_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir.at(tmp_path)
    (tmp_path / "app_spec.txt").write_text("A page.\n")
    monkeypatch.setattr("os.environ", {"PATH": "", "HOME": str(tmp_path)})
    options = config.Options(preset="solo")
    without = preview.told(run, "generator", options)
    assert "mcp__browser__" not in without.system and without.servers == []
    assert "No browser is available: " in without.first
    off = preview.told(run, "generator", config.Options(preset="solo", sets=["browser=off"]))
    assert "No browser" not in off.first
    server = 'command = "node"\nroles = ["generator"]\n'
    run.config_file.write_text(f"[mcp.browser]\n{server}[mcp.paint]\n{server}")
    own = preview.told(run, "generator", options)
    assert "mcp__browser__" in own.system and own.servers == ["browser", "paint"]
    assert "No browser" not in own.first
    other = preview.told(run, "evaluator", options)
    assert "mcp__browser__" not in other.system and other.servers == []
    assert not run.private.exists()


def test_what_is_shown_is_what_goes_over_the_wire(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny") as stage:
        stage.lay_out()
        assert stage.run("--set", "evaluator=feature").wait() == 0
        for role in ("generator", "evaluator"):
            shown = stage.do("prompts", str(stage.root), "--show", role).out
            system, _, _ = shown.partition("━━ the first message")
            sent = text_of(stage.bodies(role)[0]["system"])
            assert system.partition("\n\n")[2].strip().splitlines()[0] == f"# Role: {role}"
            missing = [line for line in system.splitlines()[1:] if line not in sent]
            assert [line for line in missing if "folder of its own" not in line] == []

"""Calibration: an overridden verdict is kept, can become an example, and evaluators get the examples."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_core import config
from harness_core.config import RunInfo, save_info
from harness_core.contract.ledger import Ledger
from harness_core.grading import calibration, rubric
from harness_core.grading.calibration import _with
from harness_core.grading.rubric import Example
from harness_core.layout import FORMAT, RunDir
from harness_core.operator.control import DecisionFile
from harness_core.record import events as ev
from harness_core.run import Run
from tests.commands import longwatch, said, sentence
from tests.conftest import OpenRun
from tests.harness import open_stage, text_of

VERDICT = ev.Verdict(
    verdict="NEEDS_WORK",
    scope=["F1"],
    scores=[ev.Score("functionality", 3, "the keys do nothing"), ev.Score("visual design", 8, "calm")],
    findings=[ev.Finding("F1", "functionality", "arrow keys do nothing", "press one")],
)
ANSWER = DecisionFile(
    id="002",
    decision="approve",
    by="ada",
    note="a mouse is enough here",
    subject_hash="h",
    decided="now",
    overrides=["functionality"],
)


@pytest.fixture
def run(open_run: OpenRun, tmp_path: Path) -> Run:
    made = open_run(tmp_path / "run")
    listed = [{"id": "F1", "description": "A board that can be played", "steps": [], "passes": False}]
    made.dir.contract.write_text(json.dumps(listed))
    save_info(made.dir, RunInfo(FORMAT, "r", "sprints", "", made.config))
    assert Ledger(made).freeze(None) is None
    calibration.keep(made.dir, VERDICT, ANSWER)
    return made


def command(run: Run, *more: str) -> str:
    return said(longwatch("calibration", str(run.dir.root), *more))


def test_cases_are_listed(run: Run) -> None:
    told = command(run)
    assert "002  F1  overridden by ada · a mouse is enough here" in told
    assert "functionality: arrow keys do nothing" in told
    assert command(run, "2") == told


def test_a_promoted_case_is_an_example_of_the_operator_s_own_rubric(run: Run) -> None:
    assert ".longwatch/rubrics/app.toml" in command(run, "2", "--promote")
    supplied = rubric.parse(*rubric.text_of(RunDir.at(run.dir.root.parent), "app"))
    grown = rubric.load(run.dir, "app")
    assert grown.criteria == supplied.criteria and grown.examples[:-1] == supplied.examples
    example = grown.examples[-1]
    assert example.work == (
        "A board that can be played. An evaluator held against it, by functionality: arrow keys do nothing"
    )
    assert example.scores == {"functionality": 7, "visual design": 8}
    assert example.why == "a mouse is enough here"
    assert "among the examples" in sentence(longwatch("calibration", str(run.dir.root), "2", "--promote"))


def test_why_says_what_the_note_doesn_t(run: Run) -> None:
    command(run, "2", "--promote", "--why", "The specification asks for a mouse.")
    assert rubric.load(run.dir, "app").examples[-1].why == "The specification asks for a mouse."


def test_what_the_operator_wrote_into_the_rubric_stays(run: Run) -> None:
    own = run.dir.root / rubric.own_file(run.dir, "app")
    own.parent.mkdir()
    own.write_text('# mine\n[[criteria]]\nname = "functionality"\nthreshold = 8\n')
    command(run, "2", "--promote")
    assert own.read_text().startswith("# mine\n")
    assert rubric.load(run.dir, "app").examples[0].scores == {"functionality": 8}


TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=60)


@settings(deadline=None)
@given(TEXT, st.dictionaries(TEXT, st.floats(0, 10), max_size=3), TEXT, st.sampled_from(["", "[]", "inline"]))
def test_any_words_come_back_as_they_were(work: str, scores: dict[str, float], why: str, before: str) -> None:
    head = 'intro = "x"\n'
    head += {"": "", "[]": "examples = []\n", "inline": 'examples = [{ work = "old" }]\n'}[before]
    text = head + '[[criteria]]\nname = "craft"\n'
    grown = rubric.parse(_with(text, Example(work, scores, why), "here"), "here")
    assert grown.examples[-1] == Example(work, scores, why)
    assert grown.examples[:-1] == rubric.parse(text, "here").examples
    assert grown.criteria == rubric.parse(text, "here").criteria


def test_what_can_not_be_done_is_refused_in_a_sentence(run: Run) -> None:
    root = str(run.dir.root)
    assert "no case 7: there are 002" in sentence(longwatch("calibration", root, "7", "--promote"))
    assert "no case x" in sentence(longwatch("calibration", root, "x"))
    assert "needs the number" in sentence(longwatch("calibration", root, "--promote"))
    assert "--why belongs to --promote" in sentence(longwatch("calibration", root, "2", "--why", "x"))
    plain = msgspec.structs.replace(run.config, switches=config.PRESETS["two-agent"])
    save_info(run.dir, RunInfo(FORMAT, "r", "two-agent", "", plain))
    assert "graded without a rubric" in sentence(longwatch("calibration", root, "2", "--promote"))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"verdict": {}, "answer": {}}'])
def test_a_damaged_case_costs_itself_alone(run: Run, text: bytes) -> None:
    (run.dir.calibration / "001.json").write_bytes(text)
    assert [case.answer.id for case in calibration.cases(run.dir)] == ["002"]


@pytest.mark.parametrize("name", rubric.supplied())
def test_supplied_rubrics_have_examples_from_bad_to_good_of_all_their_criteria(name: str) -> None:
    found = rubric.load(RunDir(Path("/nowhere")), name)
    assert 2 <= len(found.examples) <= 4
    assert all(set(example.scores) == set(found.names) for example in found.examples)
    passes = [
        all(example.scores[item.name] >= item.threshold for item in found.criteria)
        for example in found.examples
    ]
    assert True in passes and False in passes
    assert all(criterion.asks and criterion.threshold for criterion in found.criteria)


@pytest.mark.slow
def test_the_evaluator_s_request_has_the_rubric_and_its_examples(tmp_path: Path) -> None:
    found = rubric.load(RunDir(tmp_path), "app")
    with open_stage(tmp_path, "tiny") as stage:
        stage.lay_out()
        sets = ["--set", "evaluator=feature", "--set", "rubric=app"]
        assert stage.run(*sets).wait() == 0
        told = text_of(stage.bodies("evaluator")[0]["messages"][0]["content"])
        assert all(f"**{item.name}** (weight {item.weight:g}" in told for item in found.criteria)
        assert all(example.work in told and example.why in told for example in found.examples)
        assert tomllib.loads(rubric.text_of(RunDir(tmp_path), "app")[0])["intro"] in told

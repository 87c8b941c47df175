"""The command on verdicts that the operator overrode: lists them, and makes examples of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness_core.errors import Mistake
from harness_core.safe import one_line
from tui.commands.common import directory_argument, known_run, say

if TYPE_CHECKING:
    from harness_core.grading.calibration import Case


@click.command()
@directory_argument
@click.argument("number", metavar="[N]", required=False)
@click.option("--promote", is_flag=True, help="Make case N an example of the run's rubric.")
@click.option("--why", default="", help="What the example says; without it, your note to the checkpoint.")
def calibration(directory: str, number: str | None, promote: bool, why: str) -> None:
    """List the verdicts that you overrode, or teach evaluators by one.

    An example goes into your own version of the run's rubric, and holds from the next evaluation on.
    """
    from harness_core.grading import calibration as kept  # noqa: PLC0415

    run_dir = known_run(directory)
    if number is None:
        if promote or why:
            raise Mistake(
                f"--promote needs the number of a case: `longwatch calibration {directory}` lists them"
            )
        found = kept.cases(run_dir)
        for case in found:
            _tell(case)
        if not found:
            say("No verdict was overridden: there is nothing to learn from.")
        return
    chosen = kept.case(run_dir, number)
    if not promote:
        if why:
            raise Mistake("--why belongs to --promote: give both")
        _tell(chosen)
        return
    path = kept.promote(run_dir, chosen, why)
    say(f"Case {chosen.answer.id} is an example in {path}: it holds from the next evaluation on.")


def _tell(case: Case) -> None:
    answer, scope = case.answer, ", ".join(case.verdict.scope) or "the whole"
    note = f" · {one_line(answer.note, 200)}" if answer.note else ""
    say(f"{answer.id}  {one_line(scope, 60)}  overridden by {one_line(answer.by)}{note}")
    for item in case.overruled:
        say(f"     {one_line(item.criterion)}: {one_line(item.where, 300)}")

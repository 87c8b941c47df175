"""A run's report: what came of it, what to look at, what it cost, as Markdown or as one page of HTML.

`gather` reads the run once, `sections` makes a document of it, `markdown` and `html` write that down.
"""

from __future__ import annotations

import os
from pathlib import Path

from harness_core.layout import RunDir
from harness_core.report.album import Album
from harness_core.report.document import Door
from harness_core.report.gather import gather
from harness_core.report.html import page
from harness_core.report.markdown import markdown
from harness_core.report.sections import document
from harness_core.secrets.redact import Redactor


def as_markdown(run: RunDir, folder: Path | None = None) -> str:
    """The report as Markdown. `folder` is where it will lie: its pictures are links from there, from the
    run's own directory where none is named. Raises LongwatchError and OSError for a run that can't be read.
    """
    found = gather(run)
    return markdown(document(found), Door(Redactor(os.environ)), run.root, folder or run.root)


def as_html(run: RunDir) -> str:
    """The report as one page that needs nothing else. Raises as `as_markdown` does."""
    found = gather(run)
    return page(document(found), Door(Redactor(os.environ)), Album(run))

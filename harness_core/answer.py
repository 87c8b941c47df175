"""What an agent hears from Longwatch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """A tool's answer; one that isn't `ok` reaches the model as an error."""

    ok: bool
    text: str

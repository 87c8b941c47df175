"""The start screen: a new run, recent runs, the demo, the doctor."""

from __future__ import annotations

from textual.screen import Screen


class StartScreen(Screen[None]):
    """To come."""

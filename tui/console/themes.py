"""The console's colours: dark, light, high contrast, none."""

from __future__ import annotations

from dataclasses import replace

from textual.theme import Theme

DARK = Theme(
    name="longwatch-dark",
    primary="#7aa2f7",
    secondary="#9d7cd8",
    accent="#7dcfff",
    warning="#e0af68",
    error="#f7768e",
    success="#9ece6a",
    foreground="#c8d0e8",
    background="#16181f",
    surface="#1b1e27",
    panel="#232733",
    dark=True,
)
LIGHT = Theme(
    name="longwatch-light",
    primary="#2f5fb3",
    secondary="#7a4bb0",
    accent="#0b7285",
    warning="#8a5a00",
    error="#b3261e",
    success="#2b7a2b",
    foreground="#23262e",
    background="#fafaf7",
    surface="#f1f1ec",
    panel="#e5e5de",
    dark=False,
)
CONTRAST = Theme(
    name="longwatch-contrast",
    primary="#00ffff",
    secondary="#ff80ff",
    accent="#ffffff",
    warning="#ffff00",
    error="#ff6060",
    success="#60ff60",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#101010",
    dark=True,
)
NONE = replace(CONTRAST, name="longwatch-none")
"""What is drawn of it has no colours: see colourless.py."""
THEMES = (DARK, LIGHT, CONTRAST, NONE)
NAMES = {"dark": DARK.name, "light": LIGHT.name, "contrast": CONTRAST.name, "none": NONE.name}
"""As users name them; with NO_COLOR it is always `none`."""

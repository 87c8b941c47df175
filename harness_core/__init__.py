"""Longwatch's engine: roles and loops on the Claude Agent SDK, guards, journal, limits, recovery."""

__version__ = "0.1.0"

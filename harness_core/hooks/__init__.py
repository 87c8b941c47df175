"""Longwatch for plain Claude Code: each hook of a session is a short process that judges, notes and tells.

A session makes hundreds of calls, so a call that changes nothing loads nothing heavy: no msgspec, no parser
but for Bash. What needs the whole run (the contract, a claim, steering) opens it, in `books`.
"""

"""Agents: sessions of the Claude Agent SDK, the gate on their tool calls, the tools that they are given."""

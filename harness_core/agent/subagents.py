"""One name for each subagent: hooks know it by an id of its own, messages by the call that started it."""

from __future__ import annotations


class Subagents:
    """Learns which is which from the calls that both speak of."""

    def __init__(self) -> None:
        self._by_starter: dict[str, str] = {}
        self._starter_of: dict[str, str] = {}
        self._agent_of: dict[str, str] = {}

    def hook_says(self, tool_use_id: str, agent: str) -> None:
        """A hook names the subagent that makes this call."""
        self._agent_of[tool_use_id] = agent
        self._match(tool_use_id)

    def message_says(self, tool_use_id: str, starter: str) -> None:
        """A message names the call that started the subagent which makes this call."""
        self._starter_of[tool_use_id] = starter
        self._match(tool_use_id)

    def _match(self, tool_use_id: str) -> None:
        if tool_use_id in self._agent_of and tool_use_id in self._starter_of:
            self._by_starter[self._starter_of.pop(tool_use_id)] = self._agent_of.pop(tool_use_id)

    def knows(self, starter: str) -> bool:
        return starter in self._by_starter

    def name(self, starter: str | None) -> str | None:
        """The subagent's id, or what stands in for it while none is known; None for the main agent."""
        return self._by_starter.get(starter, starter) if starter else None

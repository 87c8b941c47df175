"""What a reply costs, so that the meter moves while a session runs.

The list is the CLI's own, as measured (version 2.1.329); at each result the CLI's total replaces the
estimate, so a price that is missing here makes the meter jump, never the account wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

_PRICES: tuple[tuple[str, float, float, float], ...] = (
    ("opus-5-5", 4.0, 20.0, 0.20),
    ("opus-5", 5.0, 25.0, 0.50),
    ("opus-4", 5.0, 25.0, 0.50),
    ("opus", 4.0, 20.0, 0.20),
    ("sonnet-5-5", 2.0, 10.0, 0.10),
    ("sonnet-5", 2.0, 10.0, 0.20),
    ("sonnet-4", 3.0, 15.0, 0.30),
    ("sonnet", 2.0, 10.0, 0.10),
    ("haiku-4", 1.0, 5.0, 0.10),
    ("haiku", 0.5, 2.5, 0.05),
    ("fable", 10.0, 50.0, 1.00),
)
"""(part of the model's name, input, output, input read from the cache) in US dollars per million tokens;
the first that fits holds."""
_UNKNOWN = (4.0, 20.0, 0.20)
_CACHE_WRITE = 1.25
_CACHE_WRITE_HOUR = 2.0
"""Prices of input that is kept in the cache, for minutes or for an hour, against that of plain input."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one reply."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_hour: int = 0
    """The part of `cache_write` that is kept for an hour."""

    @classmethod
    def of(cls, start: Mapping[str, object], end: Mapping[str, object]) -> Usage:
        """From the API's `usage` objects of a reply's start and end; the end's numbers win."""

        def count(name: str) -> int:
            value = end.get(name, start.get(name))
            return value if isinstance(value, int) else 0

        kinds = end.get("cache_creation", start.get("cache_creation"))
        hour = kinds.get("ephemeral_1h_input_tokens") if isinstance(kinds, Mapping) else 0
        return cls(
            count("input_tokens"),
            count("output_tokens"),
            count("cache_read_input_tokens"),
            count("cache_creation_input_tokens"),
            hour if isinstance(hour, int) else 0,
        )

    def reads_like(self, other: Usage) -> bool:
        """Whether both may be of one reply: they differ in nothing but what was written."""
        return replace(self, output=0) == replace(other, output=0)

    @property
    def total(self) -> int:
        return self.input + self.output + self.cache_read + self.cache_write

    @property
    def context(self) -> int:
        """Tokens that the conversation took when the reply was made."""
        return self.input + self.cache_read + self.cache_write


def price(model: str, usage: Usage) -> float:
    """US dollars for one reply."""
    fitting = (prices for name, *prices in _PRICES if name in model)
    per_input, per_output, per_read = next(fitting, _UNKNOWN)
    minutes = usage.cache_write - usage.cache_write_hour
    written = minutes * _CACHE_WRITE + usage.cache_write_hour * _CACHE_WRITE_HOUR
    paid_input = (usage.input + written) * per_input + usage.cache_read * per_read
    return (paid_input + usage.output * per_output) / 1e6

"""What a reply costs, so that the meter moves while a session runs.

The list is the CLI's own (version 2.1.329), US dollars per million tokens; at a session's end the CLI's
total replaces the estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_PRICES: tuple[tuple[str, float, float], ...] = (
    ("opus-4-1", 15.0, 75.0),
    ("opus-4-2", 15.0, 75.0),
    ("opus", 5.0, 25.0),
    ("sonnet-5", 2.0, 10.0),
    ("sonnet", 3.0, 15.0),
    ("haiku", 1.0, 5.0),
)
"""(part of the model's name, input, output); the first that fits holds."""
_UNKNOWN = (4.0, 20.0)
_CACHE_READ = 0.1
_CACHE_WRITE = 1.25


@dataclass(frozen=True)
class Usage:
    """Tokens of one reply."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @classmethod
    def of(cls, start: Mapping[str, object], end: Mapping[str, object]) -> Usage:
        """From the API's `usage` objects of a reply's start and end; the end's numbers win."""

        def count(name: str) -> int:
            value = end.get(name, start.get(name))
            return value if isinstance(value, int) else 0

        return cls(
            count("input_tokens"),
            count("output_tokens"),
            count("cache_read_input_tokens"),
            count("cache_creation_input_tokens"),
        )

    @property
    def total(self) -> int:
        return self.input + self.output + self.cache_read + self.cache_write

    @property
    def context(self) -> int:
        """Tokens that the conversation took when the reply was made."""
        return self.input + self.cache_read + self.cache_write


def price(model: str, usage: Usage) -> float:
    """US dollars for one reply."""
    fitting = ((a, b) for name, a, b in _PRICES if name in model)
    per_input, per_output = next(fitting, _UNKNOWN)
    paid_input = usage.input + usage.cache_read * _CACHE_READ + usage.cache_write * _CACHE_WRITE
    return (paid_input * per_input + usage.output * per_output) / 1e6

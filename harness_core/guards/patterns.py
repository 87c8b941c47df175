"""Regular expressions that are compiled when they are first used: a hook that judges one call needs few of
those that all guards have together."""

from __future__ import annotations

import re
from typing import Any, cast


def lazy(expression: str, flags: int = 0) -> re.Pattern[str]:
    """As `re.compile`, but compiled at the first use."""
    return cast(re.Pattern[str], _Lazy(expression, flags))


class _Lazy:
    def __init__(self, expression: str, flags: int) -> None:
        self._expression = expression
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        """A method of the pattern, which from then on is found without coming here."""
        found = getattr(re.compile(self._expression, self._flags), name)
        self.__dict__[name] = found
        return found

"""What the keys of well-known services look like, as far as a text gives them away by itself."""

from __future__ import annotations

import re
from functools import cache

_START = r"(?:\b|(?<=\\[bfnrt])|(?<=\\u[0-9a-f]{4}))"
"""A word's start, in plain text and where a line break before it is written as in JSON."""
_PATTERNS = (
    r"sk-ant-[\w-]{16,}",
    rf"{_START}(?:AKIA|ASIA)[0-9A-Z]{{16}}\b",
    rf"{_START}gh[pousr]_[A-Za-z0-9]{{30,}}\b",
    rf"{_START}github_pat_\w{{40,}}\b",
    rf"{_START}gl(?:pat|dt|ft|rt|soat|oas)-[\w-]{{20,}}",
    rf"{_START}xox[abprs]-[A-Za-z0-9-]{{16,}}",
    r"https://hooks\.slack\.com/services/T\w+/B\w+/\w+",
    rf"{_START}AIza[\w-]{{35}}\b",
    rf"{_START}[rs]k_live_[0-9a-zA-Z]{{24,}}",
    rf"{_START}sk-[\w-]*T3BlbkFJ[\w-]{{20,}}",
    rf"{_START}sk-proj-[\w-]{{40,}}",
    rf"{_START}SG\.[\w-]{{22}}\.[\w-]{{43}}",
    rf"{_START}npm_[A-Za-z0-9]{{36}}\b",
    rf"{_START}pypi-AgE[\w-]{{60,}}",
    rf"{_START}sq0csp-[\w-]{{43}}",
    r"AccountKey=[A-Za-z0-9+/=]{80,}",
    rf"{_START}[0-9a-z]{{32}}-us[0-9]{{1,2}}\b",
    rf"{_START}[0-9]{{8,10}}:AA[\w-]{{33}}\b",
    rf"{_START}eyJ[\w-]{{8,}}\.eyJ[\w-]{{8,}}\.[\w-]{{8,}}",
    # The end may be missing where a text was cut; then the key goes as far as it looks like one.
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[\w+/=\s\\:,]|-(?!----))*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
)
HINTS = re.compile(
    "sk-ant-|AKIA|ASIA|gh[pousr]_|github_pat_|gl[a-z]{2,4}-|xox|hooks.slack|AIza|[rs]k_live_|T3BlbkFJ|sk-proj-"
    r"|SG\.|npm_|pypi-|sq0csp|AccountKey|-us\d|:AA|eyJ|PRIVATE KEY"
)
"""A cheap look for any of these spares most text the full search."""


@cache
def shapes() -> re.Pattern[str]:
    """The search for all of them, made when a text first calls for it."""
    return re.compile("|".join(_PATTERNS))

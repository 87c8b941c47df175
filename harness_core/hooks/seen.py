"""What a call has left to see: its output, and whether it could have typed evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_OUTPUT = 4096
"""Bytes of a call's output that stand in the journal."""
_HARMLESS = re.compile(r"[0-9]?>&[0-9]|(&|[0-9])?>>?\s*/dev/null")
_MAY_FILL = re.compile(
    r"[>\\]|<<|\b(tee|cp|mv|ln|install|rsync|dd|sponge|sed|g?awk|sort|uniq|shuf|xxd|base64|iconv|gzip|gunzip|less"
    r"|more|bat|od|pr|split|csplit|perl|ruby|touch|truncate|tar|unzip|eval|source|xargs|find|env|\w*sh|patch)\b"
)
"""Signs that a command may fill a file with words of its own or with copies."""


def output_of(response: object) -> str:
    """What a tool answered, as text, within what a journal line has room for."""
    text = _text(response)
    data = text.encode("utf-8", "replace")
    return text if len(data) <= _OUTPUT else data[:_OUTPUT].decode("utf-8", "ignore")


def _text(response: object) -> str:
    if response is None:
        return ""
    if isinstance(response, str):
        return response
    if isinstance(response, Mapping):
        if "stdout" in response or "stderr" in response:
            said = (response.get("stdout"), response.get("stderr"))
            return "\n".join(part for part in said if isinstance(part, str) and part)
        file = response.get("file")
        if isinstance(file, Mapping) and isinstance(content := file.get("content"), str):
            return content
        if response.get("type") == "image":
            return "[a picture]"
    if isinstance(response, list):
        blocks = (block.get("text") for block in response if isinstance(block, Mapping))
        return "\n".join(block for block in blocks if isinstance(block, str))
    return json.dumps(response, ensure_ascii=False)


def may_fill(command: str) -> bool:
    """Whether a command may have filled a file with words of its own or with copies: a look that spares most
    commands the parser."""
    return _MAY_FILL.search(_HARMLESS.sub("", command)) is not None

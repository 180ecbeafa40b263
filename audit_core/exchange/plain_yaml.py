"""Read a small YAML file from elsewhere as plain texts and numbers, by the rules of YAML 1.2."""

from __future__ import annotations

import re
from typing import Any

from audit_core.errors import Refused

MAX_DEPTH = 8
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,30})?([eE][-+]?\d{1,3})?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


def read_plain_yaml(raw: bytes, *, name: str, most: int) -> dict[str, Any]:
    """Read a table of texts, numbers, truth values and null; nothing else is built, and no code of the file is run.

    Args:
        name: the file's name in messages.
        most: largest size, in bytes.

    Raises:
        Refused: larger, not UTF-8, not YAML, not a table, a repeated key, an anchor or alias, a tag, or nested too deeply.
    """
    import yaml

    if len(raw) > most:
        raise _refuse(name, f"it has more than {most:,} bytes")
    try:
        text = raw.decode("utf-8")
        _check_events(text, name)
        node = yaml.compose(text, yaml.SafeLoader)
        found = "" if node is None else _read(node, name)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise _refuse(name, " ".join(str(error).split())[:200] or type(error).__name__) from error
    if not isinstance(found, dict):
        raise _refuse(name, f"it is a {type(found).__name__}, not a table" if found != "" else "it is empty")
    return found


def _check_events(text: str, name: str) -> None:
    """Refuse aliases, which make a small file huge, and depth, whose parsing takes time by its square; stops at the first."""
    import yaml

    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise _refuse(name, "it has an anchor, an alias or a tag")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _refuse(name, f"it is nested more than {MAX_DEPTH} deep")


def _read(node: Any, name: str) -> Any:
    import yaml

    if isinstance(node, yaml.ScalarNode):
        return _read_scalar(node) if node.style is None else node.value
    if isinstance(node, yaml.SequenceNode):
        return [_read(inner, name) for inner in node.value]
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value in found:
            raise _refuse(name, f"the key {str(key.value)[:40]!a} is repeated or no text")
        found[key.value] = _read(value, name)
    return found


def _read_scalar(node: Any) -> Any:
    """Read a plain scalar; YAML 1.1 would also take `yes`, `1:30` and a date for other things than texts."""
    text = str(node.value)
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _refuse(name: str, why: str) -> Refused:
    return Refused(
        f"{name} cannot be read: {why}.",
        wanted="a small table in YAML and UTF-8, each key once, without anchors and tags.",
        remedy="ask its author for the file as it was written.",
    )

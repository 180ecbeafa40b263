"""What a model may be looked for with, and what may be said of a folder: a page may do less than the command line."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

TOKEN_VARIABLE = "AUDIT_HUB_TOKEN"


@dataclass(frozen=True)
class ModelAccess:
    """By default a request to the hub carries no token, whatever login or variable this machine has."""

    token: str | None = field(default=None, repr=False)
    """Sent to the hub; None to ask as anybody could."""
    is_cached_only: bool = False
    """No request at all: a hub model is taken from the hub library's own cache, or refused."""
    names_paths: bool = True
    """Whether a refusal says what is at a path that is no model folder; else all such paths get the same words."""


ANYBODY = ModelAccess()
"""The library's default."""
PAGE = ModelAccess(names_paths=False)
"""After a person has pressed a button."""
LINK = ModelAccess(is_cached_only=True, names_paths=False)
"""A page that opens by itself."""


def read_command_line_access() -> ModelAccess:
    """With the token of `AUDIT_HUB_TOKEN`, which nothing but the command line reads."""
    return ModelAccess(token=os.environ.get(TOKEN_VARIABLE) or None)

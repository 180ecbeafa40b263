"""Access rules for opening a model: hub token, network use, and detail of error messages."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

TOKEN_VARIABLE = "AUDIT_HUB_TOKEN"


@dataclass(frozen=True)
class ModelAccess:
    """Access rules; by default requests to the hub are anonymous, even if this machine has a login or token."""

    token: str | None = field(default=None, repr=False)
    """Token sent to the hub; None for anonymous requests."""
    is_cached_only: bool = False
    """No requests: a hub model is loaded from the hub library's cache, or refused."""
    names_paths: bool = True
    """Whether an error states what is at a path without a model; otherwise all such paths give the same message."""


ANONYMOUS = ModelAccess()
"""The library's default."""
PAGE = ModelAccess(names_paths=False)
"""For a page, after a user's action."""
LINK = ModelAccess(is_cached_only=True, names_paths=False)
"""For a page opened by a link, without a user's action."""


def read_command_line_access() -> ModelAccess:
    """Return the command line's access rules, with the token of `AUDIT_HUB_TOKEN`."""
    return ModelAccess(token=os.environ.get(TOKEN_VARIABLE) or None)

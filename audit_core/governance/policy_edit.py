"""Edit a policy's file: new values in place of old ones, with its comments and layout kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from audit_core.errors import PolicyRefused
from audit_core.governance.policy import Policy, parse_policy

Place = tuple[str, ...]
"""Keys from the top of the file to a value, such as `("criteria", "necessity", "threshold")`."""


def edit_policy(policy: Policy, values: Mapping[Place, Any]) -> Policy:
    """A new policy: the file of another one with other values.

    Args:
        values: place → new value; None removes it. Tables on the way are created.

    Raises:
        PolicyRefused: a value that a policy must not have, or a table that is not one; the message names its key.
    """
    document = tomlkit.parse(policy.text.decode("utf-8"))
    try:
        for place, value in values.items():
            _put(document, place, value)
        text = tomlkit.dumps(document)
    except (TOMLKitError, KeyError, TypeError, ValueError) as error:
        raise PolicyRefused(
            f"The change cannot be written: {str(error)[:200]}",
            wanted="values of the keys that the reference of policies lists.",
            remedy="change them in the file itself.",
        ) from error
    return parse_policy(text.encode("utf-8"), "the policy")


def _put(document: Any, place: Place, value: Any) -> None:
    table = document
    for key in place[:-1]:
        if key not in table:
            if value is None:
                return
            table[key] = tomlkit.table()
        table = table[key]
    if value is None:
        table.pop(place[-1], None)
    elif place[-1] not in table or table[place[-1]] != value:
        # Equal values are left alone: 0.80 stays 0.80, and the file's digest with it.
        table[place[-1]] = list(value) if isinstance(value, tuple) else value

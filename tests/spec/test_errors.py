"""One tree of errors: each says what was found, what was wanted and what to do, and leaves with its own exit code."""

from __future__ import annotations

import pytest

from audit_core import errors
from audit_core.errors import AuditError, Cancelled, ControlFailed, IntegrityError, NotMeasured, Refused
from audit_core.judging.verdict import REASONS

REFUSALS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Refused)]


def test_every_error_is_in_the_tree_that_is_drawn() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, AuditError)}
    assert all(name in (errors.__doc__ or "") for name in kinds)
    assert len(REFUSALS) == 15


@pytest.mark.parametrize("kind", REFUSALS, ids=lambda kind: kind.__name__)
def test_a_refusal_says_found_wanted_and_what_to_do(kind: type[Refused]) -> None:
    error = kind("Found this.", wanted="that.", remedy="do so.")
    assert str(error) == "Found this. Wanted: that. What to do: do so."
    assert error.exit_code == 2


def test_exit_codes_are_those_of_the_command_line() -> None:
    codes = {
        AuditError("x"): 5,
        NotMeasured("low_power", "x"): 3,
        ControlFailed("x"): 3,
        Cancelled("x"): 3,
        IntegrityError("x"): 4,
    }
    assert all(error.exit_code == code for error, code in codes.items())


def test_what_was_not_measured_has_a_reason_that_has_words() -> None:
    assert str(NotMeasured("no_source", "no such token")) == "no_source: no such token"
    assert ControlFailed("x").reason in REASONS

"""From a provider's claims to roles, by the file that whoever runs the server keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy.people import ROLE_FILE

from audit_core.errors import AccessRefused
from audit_core.governance.people import PersonRole
from audit_core.governance.role_map import MAX_ROLE_FILE_BYTES, RoleMap, load_role_map, parse_role_map


def test_values_of_the_claim_give_roles() -> None:
    roles = parse_role_map(ROLE_FILE.encode())
    assert roles.find_roles({"groups": ["team-view", "team-admin", "unknown", 7]}, "x") == {"viewer", "admin"}
    assert roles.find_roles({"groups": "team-review"}, "x") == {PersonRole.REVIEWER}


@pytest.mark.parametrize("groups", [None, 7, {"team-admin": True}, "team-admin team-view", ["TEAM-ADMIN"], []])
def test_what_is_no_list_of_known_values_gives_nothing(groups: object) -> None:
    assert parse_role_map(ROLE_FILE.encode()).find_roles({"groups": groups}, "x") == frozenset()


def test_without_a_file_no_one_has_a_role(tmp_path: Path) -> None:
    assert load_role_map(tmp_path) == RoleMap()
    assert load_role_map(tmp_path).find_roles({"groups": ["admin", "viewer"], "roles": ["admin"]}, "x") == frozenset()


def test_a_claim_is_found_by_its_whole_name_or_step_by_step() -> None:
    text = 'claim = "{}"\n[roles]\na = ["viewer"]\n'
    nested = parse_role_map(text.format("realm_access.roles").encode())
    assert nested.find_roles({"realm_access": {"roles": ["a"]}}, "x") == {"viewer"}
    assert nested.find_roles({"realm_access": ["a"]}, "x") == frozenset()
    whole = parse_role_map(text.format("https://example.org/roles").encode())
    assert whole.find_roles({"https://example.org/roles": ["a"]}, "x") == {"viewer"}


def test_a_person_may_have_a_line_of_their_own_and_a_key() -> None:
    found = parse_role_map(b'[people]\n"i|s" = ["approver"]\n[keys]\n"i|s" = "anna"\n')
    assert found.find_roles({}, "i|s") == {"approver"}
    assert found.find_roles({}, "i|t") == frozenset()
    assert found.keys == {"i|s": "anna"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"[roles\n", "not TOML"),
        (b"\xff", "not TOML"),
        (b'[rolls]\na = ["viewer"]\n', "'rolls'"),
        (b'[roles]\na = ["owner"]\n', "'a'"),
        (b'[roles]\na = "viewer"\n', "'a'"),
        (b'roles = "viewer"\n', "tables"),
        (b"claim = 7\n", "text for claim"),
        (b'[keys]\n"i|s" = 7\n', "keys"),
        (b"#" * (MAX_ROLE_FILE_BYTES + 1), "bytes"),
    ],
)
def test_a_file_that_is_wrong_gives_no_one_a_role_and_says_why(tmp_path: Path, text: bytes, found: str) -> None:
    (tmp_path / "people.toml").write_bytes(text)
    with pytest.raises(AccessRefused, match=found) as caught:
        load_role_map(tmp_path)
    assert caught.value.why == "bad_configuration"

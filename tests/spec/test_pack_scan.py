"""Before a pack leaves: secrets stop it, personal data stop it unless somebody says they may go, and no refusal shows either."""

from __future__ import annotations

import json

import pytest
from toy.packs import build_files, genuine_members, tell_story

from audit_core.errors import Refused
from audit_core.packs.pack_scan import find_personal_data, refuse_personal_data, refuse_secrets

# In two parts, so that no scanner of this repository takes them for real ones.
SECRETS = {
    "a Hugging Face token": "hf_" + "canaryCANARYcanaryCANARYcanaryCANA",
    "an API key": "sk-" + "proj-canary0canary1canary2",
    "a GitHub token": "ghp_" + "canaryCANARYcanaryCANARYcanaryCANA12",
    "a GitLab token": "glpat-" + "canaryCANARYcanaryCA",
    "an AWS key id": "AKIA" + "IOSFODNN7EXAMPLE",
    "a Google API key": "AIza" + "canaryCANARYcanaryCANARYcanaryCANA1",
    "a Slack token": "xoxb-" + "1234567890-canary",
    "an Assay API token": "assay_" + "0123456789ab_" + "canary-CANARY_canary-CANARY_canary-CANARY_0",
    "a private key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
    "a JSON web token": "eyJhbGciOiJIUzI1" + ".eyJzdWIiOiIxMjM0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "a password in an address": "https://anna:" + "canary@host.invalid/x",
}


@pytest.mark.parametrize(("kind", "secret"), SECRETS.items())
def test_a_secret_is_named_by_member_and_field_and_not_shown(kind: str, secret: str) -> None:
    files = {
        "claims/claims.json": json.dumps([{"claim": {"name": f"seen with {secret}, twice"}}]).encode(),
        "policy/policy.toml": f"# first\n# {secret}".encode(),
        "prereg/deviations.jsonl": b'{}\n{"reason": "' + secret.encode() + b'"}\n',
    }
    for name, place in {
        "claims/claims.json": "claims/claims.json claim.name",
        "policy/policy.toml": "policy/policy.toml line 2",
        "prereg/deviations.jsonl": "prereg/deviations.jsonl line 2 reason",
    }.items():
        with pytest.raises(Refused) as refused:
            refuse_secrets({name: files[name]})
        assert f"{place}: {kind}" in str(refused.value)
        assert secret not in str(refused.value)
        assert secret[5:] not in str(refused.value)


def test_a_secret_as_the_name_of_a_field_is_found() -> None:
    with pytest.raises(Refused, match="AWS"):
        refuse_secrets({"pack.json": json.dumps({SECRETS["an AWS key id"]: 1}).encode()})


def test_the_value_of_a_variable_that_is_named_like_a_secret_is_found_whatever_its_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = {"pack.json": b'{"organisation": "with correct horse battery"}'}
    monkeypatch.setenv("COLOUR", "correct horse battery")
    refuse_secrets(files)
    monkeypatch.setenv("SOME_API_KEY", "correct horse battery")
    with pytest.raises(Refused, match="pack.json organisation: the value of the variable SOME_API_KEY") as refused:
        refuse_secrets(files)
    assert "horse" not in str(refused.value)


def test_a_genuine_pack_holds_neither() -> None:
    """Digests, signatures, proofs and identifiers look like nothing on the list."""
    refuse_secrets(genuine_members())
    assert find_personal_data(build_files(tell_story())) == ()


PERSONAL = {
    "an e-mail address": "ask canary@mail.invalid",
    "a home folder": "in /home/canary-home/models",
    "the name of this account": "by canary-user, late",
    "the name of this host": "on canary-host.",
    "this home folder": "from /srv/canary/x",
}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "canary-user")
    monkeypatch.setenv("HOME", "/srv/canary")
    monkeypatch.setattr("platform.node", lambda: "canary-host")


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("kind", "text"), PERSONAL.items())
def test_what_identifies_people_or_this_machine_is_found_in_free_text_and_prompts(kind: str, text: str) -> None:
    for name, field in (("claims/claims.json", "statement"), ("prompts/0/items.jsonl", "clean")):
        line = json.dumps({field: text}).encode()
        (found,) = find_personal_data({name: line})
        assert found.kind == kind
        assert found.place.startswith(name)
        assert found.place.endswith(field)
        with pytest.raises(Refused, match="--acknowledge-personal-data") as refused:
            refuse_personal_data((found,))
        assert "canary" not in str(refused.value)


@pytest.mark.usefixtures("machine")
def test_a_login_name_where_a_name_is_meant_is_no_finding_and_an_address_there_is() -> None:
    assert find_personal_data({"log/entries.jsonl": b'{"actor": "canary-user"}\n'}) == ()
    assert len(find_personal_data({"claims/claims.json": b'[{"owner": "canary@mail.invalid"}]'})) == 1


@pytest.mark.parametrize("account", ["root", "ab"])
def test_accounts_that_are_words_are_not_looked_for(account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", account)
    assert find_personal_data({"claims/claims.json": json.dumps([f"the {account} of a tree"]).encode()}) == ()


def test_nothing_found_is_nothing_refused() -> None:
    refuse_personal_data(())

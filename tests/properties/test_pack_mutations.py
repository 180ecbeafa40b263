"""Whatever is done to a pack's bytes, it is refused or says exactly what it said; and the verifier answers, whatever it is given."""

import base64
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy.mutations import judge_flips, mutate_bytes, mutate_document
from toy.packs import check, genuine_members, seal, write_trust, zip_up

from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.container import BadPack, read_members
from audit_core.verifier.manifest import MANIFEST, PACK_ENVELOPE
from audit_core.verifier.trust import read_trust
from audit_core.verifier.walk import verify_pack

MEMBERS = genuine_members()
PACK = zip_up(MEMBERS)
DOCUMENTS = sorted(
    name for name in MEMBERS if name.endswith((".json", ".jsonl")) and not name.startswith("attestations/")
)


def test_every_flip_of_one_bit_is_refused_or_changes_no_content() -> None:
    """Every byte of a pack of few members, one bit each; bits of a zip header that mean nothing may be flipped."""
    small = {name: MEMBERS[name] for name in ("README.txt", "pack.json", MANIFEST, PACK_ENVELOPE)}
    data = zip_up(small)
    refused, accepted = judge_flips(data, small, bits=range(8))
    assert refused + accepted == 8 * len(data)
    assert refused > 0.8 * (refused + accepted)
    assert accepted > 0, "times and versions in zip headers mean nothing: flips there must be among the accepted"


def test_a_flip_that_the_verifier_accepts_leaves_every_member_as_it_was() -> None:
    rng, accepted = Random(1), 0
    trust = read_trust(write_trust())
    for at in rng.sample(range(len(PACK)), 400):
        data = bytearray(PACK)
        data[at] ^= 1 << rng.randrange(8)
        found = verify_pack(bytes(data), trust)
        assert found.exit_code in (0, 4)
        if found.exit_code == 0:
            accepted += 1
            assert read_members(bytes(data)) == MEMBERS
    assert 0 < accepted < 200


@pytest.mark.parametrize("seed", range(300))
def test_a_pack_of_mutated_bytes_is_answered(seed: int) -> None:
    data = mutate_bytes(PACK, Random(seed))
    found = check(data)
    assert found.exit_code in (0, 4)
    if found.exit_code == 0:
        assert read_members(data) == MEMBERS


@pytest.mark.parametrize("seed", range(200))
def test_a_mutated_document_under_a_good_signature_is_answered(seed: int) -> None:
    """The preparer is the attacker: signature and digests hold, and what is said is anything."""
    rng = Random(seed)
    name = rng.choice(DOCUMENTS)
    found = check(seal({**MEMBERS, name: mutate_document(MEMBERS[name], name, rng)}))
    assert found.exit_code in (0, 3, 4), name


@given(st.binary(max_size=400))
def test_any_bytes_are_answered(data: bytes) -> None:
    with pytest.raises(BadPack):
        read_members(data)


@given(st.sampled_from(DOCUMENTS), st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
       lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8))  # fmt: skip
def test_any_json_in_the_place_of_a_document_is_answered(name: str, value: Any) -> None:
    try:
        data = encode_canonical(value) + (b"\n" if name.endswith(".jsonl") else b"")
    except ValueError:
        return
    assert check(seal({**MEMBERS, name: data})).exit_code in (0, 3, 4)


@given(st.binary(max_size=200))
def test_any_payload_in_the_envelope_is_answered(payload: bytes) -> None:
    document = json.loads(MEMBERS[PACK_ENVELOPE])
    document["payload"] = base64.b64encode(payload).decode()
    assert check({**MEMBERS, PACK_ENVELOPE: encode_canonical(document)}).exit_code == 4

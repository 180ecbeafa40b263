"""Ten thousand spoiled packs: each is answered by a typed result within time and memory, and none is believed that changed."""

import time
from random import Random

import pytest
from toy.memory import read_peak, restart_peak
from toy.mutations import judge_flips, mutate_bytes, mutate_document
from toy.packs import genuine_members, seal, write_trust, zip_up

from audit_core.verifier.container import read_members
from audit_core.verifier.trust import read_trust
from audit_core.verifier.walk import verify_pack

pytestmark = pytest.mark.slow
MEMBERS = genuine_members()
PACK = zip_up(MEMBERS)


def test_ten_thousand_packs_of_mutated_bytes() -> None:
    trust, accepted, slowest = read_trust(write_trust()), 0, 0.0
    before = restart_peak()
    for seed in range(10_000):
        data = mutate_bytes(PACK, Random(10_000 + seed))
        began = time.monotonic()
        found = verify_pack(data, trust)
        slowest = max(slowest, time.monotonic() - began)
        assert found.exit_code in (0, 4), seed
        if found.exit_code == 0:
            accepted += 1
            assert read_members(data) == MEMBERS, seed
    assert accepted < 1_000
    assert slowest < 5
    assert read_peak() - before < 512 << 20


def test_two_thousand_documents_changed_by_the_preparer() -> None:
    trust = read_trust(write_trust())
    documents = sorted(
        name for name in MEMBERS if name.endswith((".json", ".jsonl")) and not name.startswith("attestations/")
    )
    for seed in range(2_000):
        rng = Random(seed)
        name = rng.choice(documents)
        spoiled = seal({**MEMBERS, name: mutate_document(MEMBERS[name], name, rng)})
        assert verify_pack(zip_up(spoiled), trust).exit_code in (0, 3, 4), (seed, name)


def test_one_bit_of_every_byte_of_the_whole_pack() -> None:
    refused, accepted = judge_flips(PACK, MEMBERS, bits=(0,))
    assert refused + accepted == len(PACK)
    assert 0 < accepted < refused

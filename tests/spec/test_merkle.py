"""Merkle roots and proofs against the reference log's roots, and against corrupted proofs of every tree up to 65 leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from audit_core.evidence.merkle_proofs import prove_consistency, prove_inclusion
from audit_core.verifier.merkle import compute_root, compute_roots, hash_leaf, hash_node, is_consistent, is_included

SIZES = range(1, 66)
LEAVES = [hash_leaf(str(n).encode()) for n in SIZES]
ROOTS = compute_roots(LEAVES, range(66))
# Leaves and roots that Certificate Transparency's reference implementations have in common.
REFERENCE = [
    (b"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    (b"\x00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
    (b"\x10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
    (b" !", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    (b"01", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
    (b"@ABC", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
    (b"PQRSTUVW", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
    (bytes(range(0x60, 0x70)), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
]

Inclusion = tuple[int, int, bytes, list[bytes], bytes]
Consistency = tuple[int, int, list[bytes], bytes, bytes]


def flip(digest: bytes) -> bytes:
    return bytes([digest[0] ^ 16]) + digest[1:]


def test_roots_are_those_of_the_reference_log() -> None:
    leaves = [hash_leaf(data) for data, _ in REFERENCE]
    assert [compute_root(leaves[: n + 1]).hex() for n in range(8)] == [root for _, root in REFERENCE]
    assert compute_root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_root_of_five_by_hand() -> None:
    """((a b) (c d)) e: the largest power of two below five stands to the left."""
    a, b, c, d, e = LEAVES[:5]
    root = hash_node(hash_node(hash_node(a, b), hash_node(c, d)), e)
    assert compute_root(LEAVES[:5]) == root
    assert prove_inclusion(2, LEAVES[:5]) == (d, hash_node(a, b), e)
    assert prove_consistency(3, LEAVES[:5]) == (c, d, hash_node(a, b), e)


def test_a_leaf_is_never_a_node() -> None:
    """Without the two prefixes, two leaves could be passed off as one."""
    left, right = LEAVES[:2]
    assert hash_leaf(left + right) != hash_node(left, right)
    assert hash_node(left, right) == hashlib.sha256(b"\x01" + left + right).digest()


def test_every_inclusion_proof_holds() -> None:
    shown = [
        is_included(at, size, LEAVES[at], prove_inclusion(at, LEAVES[:size]), ROOTS[size])
        for size in SIZES
        for at in range(size)
    ]
    assert (len(shown), all(shown)) == (65 * 66 // 2, True)


def test_every_consistency_proof_holds() -> None:
    shown = [
        is_consistent(old, size, prove_consistency(old, LEAVES[:size]), ROOTS[old], ROOTS[size])
        for size in SIZES
        for old in range(1, size + 1)
    ]
    assert (len(shown), all(shown)) == (65 * 66 // 2, True)


def test_a_proof_has_at_most_64_hashes() -> None:
    """The first leaf of a tree of 2^n leaves, whose other subtrees all have the same root."""
    for n, is_read in ((63, True), (64, True), (65, False)):
        root = LEAVES[0]
        for _ in range(n):
            root = hash_node(root, LEAVES[1])
        assert is_included(0, 1 << n, LEAVES[0], [LEAVES[1]] * n, root) is is_read


def corrupt_inclusion(at: int, size: int) -> Iterator[Inclusion]:
    """As the tests of transparency-dev/merkle do: bits, ends, positions, sizes, roots, and leaves of another place."""
    leaf, proof, root = LEAVES[at], list(prove_inclusion(at, LEAVES[:size])), ROOTS[size]
    yield from ((at, size, leaf, [*proof, extra], root) for extra in (root, bytes(32), b""))
    yield from ((at, size, leaf, [extra, *proof], root) for extra in (root, bytes(32), leaf))
    yield from ((other, size, leaf, proof, root) for other in (at - 1, at + 1, at ^ 2, at + size, -1) if other != at)
    yield from ((at, size, leaf, proof, wrong) for wrong in (flip(root), b"", root + b"\0", compute_root([])))
    yield from ((at, size, wrong, proof, root) for wrong in (flip(leaf), b"", leaf + b"\0"))
    yield (at, 0, leaf, proof, root)
    for k in range(len(proof)):
        yield (at, size, leaf, [*proof[:k], flip(proof[k]), *proof[k + 1 :]], root)
        yield (at, size, leaf, [*proof[:k], *proof[k + 1 :]], root)
        yield (at, size, leaf, [*proof[:k], proof[k][:31], *proof[k + 1 :]], root)
    if proof:
        yield (at, size, leaf, [], root)
        yield (at, size, leaf, proof[::-1] if proof != proof[::-1] else [*proof, root], root)


def test_no_corrupted_inclusion_proof_is_accepted() -> None:
    probes = [probe for size in SIZES for at in range(size) for probe in corrupt_inclusion(at, size)]
    assert len(probes) > 60_000
    assert [probe for probe in probes if is_included(*probe)] == []


def corrupt_consistency(old: int, size: int) -> Iterator[Consistency]:
    proof, before, after = list(prove_consistency(old, LEAVES[:size])), ROOTS[old], ROOTS[size]
    yield from ((old, size, [*proof, extra], before, after) for extra in (after, before, bytes(32), b""))
    yield from ((old, size, proof, wrong, after) for wrong in (flip(before), b"", compute_root([])))
    yield from ((old, size, proof, before, wrong) for wrong in (flip(after), b"", compute_root([])))
    yield from ((wrong, size, proof, before, after) for wrong in (0, -1, size + 1))
    for k in range(len(proof)):
        yield (old, size, [*proof[:k], flip(proof[k]), *proof[k + 1 :]], before, after)
        yield (old, size, [*proof[:k], *proof[k + 1 :]], before, after)
    if old != size:
        yield (old, size, [], before, after)
        yield (old, size, proof, after, before)
        yield (old + 1, size, proof, before, after)
        yield from ((old, size, [extra, *proof], before, after) for extra in (before, after))


def test_no_corrupted_consistency_proof_is_accepted() -> None:
    probes = [probe for size in SIZES for old in range(1, size + 1) for probe in corrupt_consistency(old, size)]
    assert len(probes) > 40_000
    assert [probe for probe in probes if is_consistent(*probe)] == []


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_everything_begins_with_nothing_so_nothing_is_no_witness(size: int) -> None:
    assert not is_consistent(0, size, [], compute_root([]), ROOTS[size])


def test_what_is_no_digest_is_never_hashed_into_a_root() -> None:
    """A sibling of another length would let the border between left and right be moved: (a, b+c) hashes like (a+b, c)."""
    left, right = LEAVES[:2]
    shifted, rest = left + right[:1], right[1:]
    assert hash_node(shifted, rest) == ROOTS[2]
    assert not is_included(1, 2, rest, [shifted], ROOTS[2])
    assert not is_consistent(1, 2, [rest], shifted, ROOTS[2])


def test_there_is_no_proof_for_what_is_not_there() -> None:
    for make in (lambda: prove_inclusion(3, LEAVES[:3]), lambda: prove_inclusion(-1, LEAVES[:3])):
        with pytest.raises(IndexError):
            make()
    for old in (0, 4):
        with pytest.raises(IndexError):
            prove_consistency(old, LEAVES[:3])

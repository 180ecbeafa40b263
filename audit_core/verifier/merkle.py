"""Merkle tree of RFC 6962: roots, and verification of inclusion and consistency proofs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

_MAX_PROOF = 64
"""Largest number of nodes in a proof, enough for 2^63 leaves."""


def hash_leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def compute_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes, in order; for no leaves, the hash of empty input (RFC 6962, 2.1)."""
    return compute_roots(leaves, [len(leaves)])[len(leaves)]


def compute_roots(leaves: Sequence[bytes], sizes: Collection[int]) -> dict[int, bytes]:
    """Return the tree's roots at these sizes, in one pass; sizes beyond the leaves are left out."""
    wanted = set(sizes)
    roots = {0: hashlib.sha256(b"").digest()} if 0 in wanted else {}
    peaks: list[tuple[int, bytes]] = []
    for size, leaf in enumerate(leaves, 1):
        height, digest = 0, leaf
        while peaks and peaks[-1][0] == height:
            digest = hash_node(peaks.pop()[1], digest)
            height += 1
        peaks.append((height, digest))
        if size in wanted:
            roots[size] = _join_peaks(peaks)
    return roots


def is_included(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Verify that a leaf is at this index of the tree with this size and root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _are_digests([leaf, root, *proof]):
        return False
    position, last, digest = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            digest = hash_node(sibling, digest)
            position, last = _climb(position, last)
        else:
            digest = hash_node(digest, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and digest == root


def is_consistent(old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Verify that the newer tree extends the older one (RFC 9162, 2.1.4.2).

    An empty older tree is rejected: every tree extends it.
    """
    if not 0 < old_size <= new_size or not _are_digests([old_root, new_root, *proof]):
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    if not proof:
        return False
    is_whole_subtree = old_size & (old_size - 1) == 0
    path = [old_root, *proof] if is_whole_subtree else list(proof)
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            older, newer = hash_node(sibling, older), hash_node(sibling, newer)
            position, last = _climb(position, last)
        else:
            newer = hash_node(newer, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and older == old_root and newer == new_root


def _join_peaks(peaks: Sequence[tuple[int, bytes]]) -> bytes:
    root = peaks[-1][1]
    for _, digest in reversed(peaks[:-1]):
        root = hash_node(digest, root)
    return root


def _climb(position: int, last: int) -> tuple[int, int]:
    """Skip the levels on which a node at the right edge has no sibling."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _are_digests(digests: Sequence[bytes]) -> bool:
    return len(digests) <= _MAX_PROOF + 2 and all(len(digest) == 32 for digest in digests)

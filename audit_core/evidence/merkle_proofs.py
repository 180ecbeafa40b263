"""Proofs for a Merkle tree: that a leaf is in it, and that it begins with an older one (RFC 6962, 2.1.1 and 2.1.2)."""

from __future__ import annotations

from collections.abc import Sequence

from audit_core.verifier.merkle import compute_root


def prove_inclusion(index: int, leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """What `is_included` needs beside the leaf hash at this index."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} among {len(leaves)}")
    if len(leaves) == 1:
        return ()
    split = _split_size(len(leaves))
    left, right = leaves[:split], leaves[split:]
    if index < split:
        return (*prove_inclusion(index, left), compute_root(right))
    return (*prove_inclusion(index - split, right), compute_root(left))


def prove_consistency(old_size: int, leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """What `is_consistent` needs beside the roots of the first `old_size` leaves and of all."""
    if not 0 < old_size <= len(leaves):
        raise IndexError(f"no older tree of {old_size} leaves among {len(leaves)}")
    return _prove(old_size, leaves, is_known=True)


def _prove(old_size: int, leaves: Sequence[bytes], *, is_known: bool) -> tuple[bytes, ...]:
    """`is_known`: whoever checks has the root of these leaves already, as it is the older tree's own."""
    if old_size == len(leaves):
        return () if is_known else (compute_root(leaves),)
    split = _split_size(len(leaves))
    left, right = leaves[:split], leaves[split:]
    if old_size <= split:
        return (*_prove(old_size, left, is_known=is_known), compute_root(right))
    return (*_prove(old_size - split, right, is_known=False), compute_root(left))


def _split_size(size: int) -> int:
    """The largest power of two below the size."""
    return 1 << ((size - 1).bit_length() - 1)

"""Inclusion and consistency proofs of a Merkle tree (RFC 6962, 2.1.1 and 2.1.2)."""

from __future__ import annotations

from collections.abc import Sequence

from audit_core.verifier.merkle import compute_root


def prove_inclusion(index: int, leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the inclusion proof of the leaf at this index, for `is_included`."""
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
    """Return the consistency proof from the first `old_size` leaves to all, for `is_consistent`."""
    if not 0 < old_size <= len(leaves):
        raise IndexError(f"no older tree of {old_size} leaves among {len(leaves)}")
    return _prove(old_size, leaves, is_known=True)


def _prove(old_size: int, leaves: Sequence[bytes], *, is_known: bool) -> tuple[bytes, ...]:
    """Return a subtree's part of the proof; `is_known`: the verifier already has its root, that of the older tree."""
    if old_size == len(leaves):
        return () if is_known else (compute_root(leaves),)
    split = _split_size(len(leaves))
    left, right = leaves[:split], leaves[split:]
    if old_size <= split:
        return (*_prove(old_size, left, is_known=is_known), compute_root(right))
    return (*_prove(old_size - split, right, is_known=False), compute_root(left))


def _split_size(size: int) -> int:
    """Return the largest power of two below the size."""
    return 1 << ((size - 1).bit_length() - 1)

"""The verifier's own signature check against RFC 8032's vectors and a well-kept library."""

import hashlib
import random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit_core.verifier.ed25519 import _BASE, _P, _is_same, _multiply, is_signed_by

ORDER = 2**252 + 27742317777372353535851937790883648493
# RFC 8032, section 7.1, tests 1 to 3: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_vectors_of_the_standard_hold(key: str, message: str, signature: str) -> None:
    assert is_signed_by(bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature))


def test_what_the_library_signs_is_signed_and_one_changed_bit_is_not() -> None:
    rng = random.Random(0)
    key, other = (Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)) for _ in range(2))
    public = key.public_key().public_bytes_raw()
    for _ in range(6):
        message = rng.randbytes(50)
        signature = key.sign(message)
        assert is_signed_by(public, message, signature)
        changed = bytearray(signature)
        changed[rng.randrange(64)] ^= 1 << rng.randrange(8)
        assert not is_signed_by(public, message, bytes(changed))
        assert not is_signed_by(public, message + b"x", signature)
        assert not is_signed_by(other.public_key().public_bytes_raw(), message, signature)


def test_the_base_times_the_largest_scalar_is_its_negative() -> None:
    """The scalars above 2^252 are so few that no signature above has one."""
    x, y, z, t = _BASE
    assert _is_same(_multiply(ORDER - 1, _BASE), (_P - x, y, z, _P - t))


def test_a_key_of_small_order_signs_nothing() -> None:
    """The identity point as key, with R = identity and s = 0, fulfils the equation for every message."""
    identity = (1).to_bytes(32, "little")
    assert not is_signed_by(identity, b"anything", identity + bytes(32))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_signs_nothing(length: int) -> None:
    key, message, signature = (bytes.fromhex(part) for part in VECTORS[1])
    assert not is_signed_by(key[:length].ljust(length, b"\0"), message, signature)
    assert not is_signed_by(key, message, signature + b"\0")


def test_a_scalar_beyond_the_order_is_refused() -> None:
    """s + L satisfies the same equation: accepting it would give every signature a second spelling."""
    key, message, signature = (bytes.fromhex(part) for part in VECTORS[1])
    s = int.from_bytes(signature[32:], "little") + ORDER
    assert not is_signed_by(key, message, signature[:32] + s.to_bytes(32, "little"))


ORDER_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
SMALL = ["ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "00" * 32, "00" * 31 + "80", ORDER_8]


@pytest.mark.parametrize("key", SMALL)
def test_a_key_of_order_two_four_or_eight_signs_no_message(key: str) -> None:
    """With R = identity and s = 0 the equation holds for every message whose challenge is a multiple of the order: one in eight at least."""
    identity = (1).to_bytes(32, "little")
    assert not any(is_signed_by(bytes.fromhex(key), bytes([number]), identity + bytes(32)) for number in range(40))


def test_bytes_that_are_no_point_of_the_curve_sign_nothing() -> None:
    key, message, signature = (bytes.fromhex(part) for part in VECTORS[1])
    no_point = (2).to_bytes(32, "little")
    assert not is_signed_by(no_point, message, signature)
    assert not is_signed_by(key, message, no_point + signature[32:])


@pytest.mark.parametrize(
    ("commitment", "is_good"),
    [(1, True), (2**255 - 19 + 1, False), (1 + (1 << 255), False)],
    ids=["y", "y + p", "x = -0"],
)
def test_another_spelling_of_a_point_is_refused(commitment: int, is_good: bool) -> None:
    """The owner of a key can sign with R = identity and s = k a: in its one spelling it fulfils the equation, in two others it must not."""
    seed = b"7" * 32
    scalar = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little") & ((1 << 254) - 8) | 1 << 254
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    encoded = commitment.to_bytes(32, "little")
    challenge = int.from_bytes(hashlib.sha512(encoded + public + b"text").digest(), "little")
    response = (challenge * scalar % ORDER).to_bytes(32, "little")
    assert is_signed_by(public, b"text", encoded + response) is is_good


BASE_Y = 4 * pow(5, -1, 2**255 - 19) % (2**255 - 19)
"""Of the base point, whose x is even."""


@pytest.mark.parametrize(
    ("commitment", "sign", "is_good"), [(BASE_Y, 1, True), (BASE_Y, -1, False), ((2**255 - 19 - BASE_Y) | 1 << 255, -1, False)],
    ids=["both", "y alone", "x alone"],
)  # fmt: skip
def test_both_coordinates_of_the_equation_must_agree(commitment: int, sign: int, is_good: bool) -> None:
    """The owner of a key can make the two sides agree in one coordinate alone: by -s, and by -s with R = -(B + the point of order two)."""
    seed = b"7" * 32
    scalar = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little") & ((1 << 254) - 8) | 1 << 254
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    encoded = commitment.to_bytes(32, "little")
    challenge = int.from_bytes(hashlib.sha512(encoded + public + b"text").digest(), "little")
    response = (sign * (1 + challenge * scalar) % ORDER).to_bytes(32, "little")
    assert is_signed_by(public, b"text", encoded + response) is is_good

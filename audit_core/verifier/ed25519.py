"""Ed25519 signature verification (RFC 8032, section 5.1.7); handles no secrets, so timing is not critical."""

from __future__ import annotations

import hashlib
from functools import lru_cache

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_Point = tuple[int, int, int, int]
"""Point in extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z."""


def is_signed_by(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Check a signature over a message; malformed input counts as an invalid signature.

    Args:
        public_key: 32 bytes.
        signature: 64 bytes.
    """
    if len(public_key) != 32 or len(signature) != 64:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % _ORDER
    return _fulfils(public_key, signature, challenge)


@lru_cache(maxsize=1_000)
def _fulfils(public_key: bytes, signature: bytes, challenge: int) -> bool:
    """Check the signature's equation, with a cache: one checkpoint is often checked several times."""
    key, commitment = _read_point(public_key), _read_point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= _ORDER:
        return False
    if _is_same(_multiply(8, key), (0, 1, 1, 0)):
        # A key of small order signs anything.
        return False
    return _is_same(_multiply(scalar, _BASE), _add(commitment, _multiply(challenge, key)))


def _find_x(y: int, sign: int) -> int | None:
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    if square == 0:
        return None if sign else 0
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - square) % _P:
        return None
    return _P - x if x & 1 != sign else x


def _read_point(encoded: bytes) -> _Point | None:
    number = int.from_bytes(encoded, "little")
    y = number & ((1 << 255) - 1)
    x = _find_x(y, number >> 255)
    return None if x is None else (x, y, 1, x * y % _P)


def _add(a: _Point, b: _Point) -> _Point:
    first, second = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    third, fourth = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    e, f, g, h = second - first, fourth - third, fourth + third, second + first
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(scalar: int, point: _Point) -> _Point:
    """Multiply by a scalar below the order."""
    total: _Point = (0, 1, 1, 0)
    for place, doubled in enumerate(_list_doubled(point)):
        if scalar >> place & 1:
            total = _add(total, doubled)
    return total


@lru_cache(maxsize=32)
def _list_doubled(point: _Point) -> tuple[_Point, ...]:
    """The point times 1, 2, 4 and so on, as often as the order has bits: the base's and a key's serve many signatures."""
    doubled = [point]
    for _ in range(_ORDER.bit_length() - 1):
        doubled.append(_add(doubled[-1], doubled[-1]))
    return tuple(doubled)


def _is_same(a: _Point, b: _Point) -> bool:
    return (a[0] * b[2] - b[0] * a[2]) % _P == 0 and (a[1] * b[2] - b[1] * a[2]) % _P == 0


_BASE_Y = 4 * pow(5, _P - 2, _P) % _P
_BASE_X = _find_x(_BASE_Y, 0) or 0
_BASE: _Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)

"""Time stamps of RFC 3161: the request to an authority, and the offline check of its token against trusted certificates."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC
from importlib import import_module
from typing import Any

from audit_core.errors import IntegrityError, Refused

MAX_TOKEN_BYTES = 64 << 10
"""A token with its certificates is 2 to 8 KB."""
MAX_CERTIFICATES_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class TimeStamp:
    """What an authority signed: these bytes existed at this time."""

    at: str
    """Time by the authority's clock, UTC, ISO 8601."""
    accuracy_s: float | None
    """Largest error of that clock in seconds, as the authority states it; None if it states none."""
    authority: str
    """Subject of the certificate that signed the token, RFC 4514."""
    policy: str
    """Object identifier of the authority's policy."""
    serial: str
    """Number of the token at the authority, hexadecimal."""
    token_sha256: str


def write_request(data: bytes) -> bytes:
    """Return a time stamp query over the SHA-256 of some bytes: DER, with a nonce, asking for the authority's certificates.

    Raises:
        Refused: `rfc3161-client` is not installed.
    """
    client = _load_client()
    request = client.TimestampRequestBuilder().data(data).hash_algorithm(client.HashAlgorithm.SHA256).build()
    return bytes(request.as_bytes())


def check_token(data: bytes, token: bytes, certificates: bytes) -> TimeStamp:
    """Check that an authority signed the digest of some bytes, with certificates that were valid at that time.

    Args:
        token: an authority's answer to `write_request`, DER.
        certificates: trusted certificates, PEM; do not take them from the one who gave the token.

    Raises:
        IntegrityError: not a granted time stamp, of other bytes, changed, or signed by an authority that is not trusted.
        Refused: `certificates` has no readable certificate, or `rfc3161-client` is not installed.
    """
    client = _load_client()
    trusted = _read_certificates(certificates)
    if len(token) > MAX_TOKEN_BYTES:
        raise IntegrityError(f"The time stamp has more than {MAX_TOKEN_BYTES >> 10} KB: it was not read.")
    try:
        answer = client.decode_timestamp_response(token)
    except ValueError as error:
        raise IntegrityError(
            f"The time stamp cannot be read: {str(error)[:200]}. Only strict DER is read here; openssl ts -verify reads more."
        ) from error
    try:
        client.VerifierBuilder(roots=trusted).build().verify_message(answer, data)
        return _describe(answer, token)
    except (ValueError, client.VerificationError) as error:
        raise IntegrityError(
            f"The time stamp does not hold for these bytes and certificates: {str(error)[:200]}."
        ) from error


def _load_client() -> Any:
    try:
        return import_module("rfc3161_client")
    except ImportError as error:
        raise Refused(
            "Time stamps need the package rfc3161-client, which is not installed.",
            wanted="the extra `timestamps`.",
            remedy="pip install 'assay[timestamps]'; openssl ts -verify checks a token without it.",
        ) from error


def _read_certificates(data: bytes) -> list[Any]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(data[: MAX_CERTIFICATES_BYTES + 1])
    except ValueError as error:
        raise Refused(
            f"The trusted certificates cannot be read: {str(error)[:200]}.",
            wanted="one or more certificates in PEM, at most 1 MB.",
            remedy="use the root certificates that the authority publishes.",
        ) from error


def _describe(answer: Any, token: bytes) -> TimeStamp:
    stated, accuracy = answer.tst_info, answer.tst_info.accuracy
    return TimeStamp(
        at=stated.gen_time.astimezone(UTC).isoformat(),
        accuracy_s=None if accuracy is None else _count_seconds(accuracy),
        authority=_name_authority(answer.signed_data),
        policy=stated.policy.dotted_string,
        serial=f"{stated.serial_number:x}",
        token_sha256=hashlib.sha256(token).hexdigest(),
    )


def _count_seconds(accuracy: Any) -> float:
    return float((accuracy.seconds or 0) + (accuracy.millis or 0) / 1e3 + (accuracy.micros or 0) / 1e6)


def _name_authority(signed: Any) -> str:
    """The check found exactly one signer, whose certificate is in the token."""
    from cryptography import x509

    (signer,) = signed.signer_infos
    found = (x509.load_der_x509_certificate(one) for one in signed.certificates)
    return next(
        one.subject.rfc4514_string()
        for one in found
        if one.issuer == signer.issuer and one.serial_number == signer.serial_number
    )

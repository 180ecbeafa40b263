"""Read an OpenSSF model signature: a Sigstore bundle with a DSSE envelope over an in-toto statement; check who signed it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from audit_core.errors import ModelRefused
from audit_core.verifier.statement import PAYLOAD_TYPE, encode_before_signing
from audit_core.verifier.strict_json import NotStrictJson, load_strict

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.x509 import Certificate

MAX_SIGNATURE_BYTES = 16 << 20
"""One file takes about 200 bytes, so 16 MB cover some 60,000 files."""
MAX_KEY_BYTES = 1 << 20
MAX_CERTIFICATES = 16
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_CURVES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}


@dataclass(frozen=True)
class Bundle:
    """A signature as read: nothing in it is checked yet."""

    payload: bytes
    """The statement as signed."""
    signature: bytes
    certificates: tuple[bytes, ...]
    """The signer's certificate and its issuers, DER; empty for a signature with a bare key."""


@dataclass(frozen=True)
class Signer:
    """Who signed, as far as the given key or certificates tell."""

    key: str
    """"sha256:" and the SHA-256 of the public key (SubjectPublicKeyInfo, DER); of the given key where the signature is another's."""
    subject: str = ""
    """Subject of the certificate; empty for a bare key."""
    expired_at: str = ""
    """End of the certificate's validity if that is past, RFC 3339."""
    why_not: str = ""
    """Why the signature is not the trusted signer's; empty if it is."""


def read_bundle(raw: bytes, name: str) -> Bundle:
    """Read a signature file.

    Raises:
        ModelRefused: not a bundle that is supported.
    """
    try:
        document = load_strict(raw)
        material, envelope = document["verificationMaterial"], document["dsseEnvelope"]
        if document["mediaType"] != BUNDLE or envelope["payloadType"] != PAYLOAD_TYPE:
            raise ValueError(
                f"media type {str(document['mediaType'])[:80]!a}, payload type {str(envelope['payloadType'])[:80]!a}"
            )
        if "certificate" in material:
            raise _refuse(
                name, "it is a keyless Sigstore signature, whose certificate is valid for minutes",
                "verify it with `model_signing verify sigstore`, which asks the transparency log.",
            )  # fmt: skip
        (signature,) = envelope["signatures"]
        chain = material["x509CertificateChain"]["certificates"] if "x509CertificateChain" in material else []
        if len(chain) > MAX_CERTIFICATES or ("publicKey" not in material and not chain):
            raise ValueError(f"{len(chain)} certificates and no key")
        certificates = tuple(_decode(one["rawBytes"]) for one in chain)
        return Bundle(_decode(envelope["payload"]), _decode(signature["sig"]), certificates)
    except (NotStrictJson, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise _refuse(name, str(error)[:200] or type(error).__name__) from error


def check_key(bundle: Bundle, key_file: bytes, name: str) -> Signer:
    """Verify the signature with a public key.

    Args:
        key_file: public key, PEM.
        name: of the key file, in messages.

    Raises:
        ModelRefused: not a public key on a supported curve.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(key_file)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refuse_key(name, str(error)) from error
    curve = _require_curve(key, name)
    good = _verifies(bundle.signature, encode_before_signing(bundle.payload), curve)
    why = "" if good else "the signature was not made with this key, or the signed list of files was changed"
    return Signer(hash_key(curve), why_not=why)


def check_certificates(bundle: Bundle, roots_file: bytes, name: str) -> Signer:
    """Verify the chain of certificates up to trusted ones, and the signature with the signer's certificate.

    The chain is checked at the start of the signer's certificate, because the file has no trusted time; revocation is not checked.

    Args:
        roots_file: certificates that are trusted to issue, PEM.
        name: of that file, in messages.

    Raises:
        ModelRefused: no certificates in the file, or none in the bundle.
    """
    from cryptography import x509
    from cryptography.x509 import verification

    if not bundle.certificates:
        raise _refuse(name, "the signature was made with a bare key", "give that key with --key.")
    try:
        roots = x509.load_pem_x509_certificates(roots_file)[:MAX_CERTIFICATES]
        chain = [x509.load_der_x509_certificate(one) for one in bundle.certificates]
        subject, end = _name_subject(chain[0]), chain[0].not_valid_after_utc
        key = _require_curve(chain[0].public_key(), name)
    except ValueError as error:
        raise _refuse_key(name, str(error)) from error
    builder = verification.PolicyBuilder().store(verification.Store(roots)).time(chain[0].not_valid_before_utc)
    issuers, anyone = verification.ExtensionPolicy.webpki_defaults_ca(), verification.ExtensionPolicy.permit_all()
    why = ""
    try:
        # A signer of files has no host name; what its certificate may be used for is checked below.
        builder.extension_policies(ca_policy=issuers, ee_policy=anyone).build_client_verifier().verify(
            chain[0], chain[1:]
        )
    except verification.VerificationError as error:
        why = f"its certificate does not lead to a trusted one: {str(error)[:120]}"
    if not why and not _may_sign(chain[0]):
        why = "its certificate is not for signing"
    if not why and not _verifies(bundle.signature, encode_before_signing(bundle.payload), key):
        why = "the signed list of files was changed, or signed with another key than the certificate's"
    past = end.strftime("%Y-%m-%dT%H:%M:%SZ") if end < datetime.now(UTC) else ""
    return Signer(hash_key(key), subject, past, why)


def write_public_key(raw: bytes) -> bytes:
    """Return an Ed25519 public key of 32 bytes as PEM, the form that other tools read."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Ed25519PublicKey.from_public_bytes(raw).public_bytes(*form)


def verify_bytes(key_file: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature over a message was made with the key of a PEM file: Ed25519, or ECDSA on a NIST curve.

    Raises:
        ModelRefused: not a public key of these kinds.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(key_file)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refuse_key("The key", str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        return _verifies(signature, message, _require_curve(key, "The key"))
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def hash_key(key: EllipticCurvePublicKey) -> str:
    """Return "sha256:" and the SHA-256 of the key as SubjectPublicKeyInfo in DER, as `openssl pkey -pubin -outform DER` writes it."""
    from cryptography.hazmat.primitives import serialization

    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "sha256:" + hashlib.sha256(key.public_bytes(*form)).hexdigest()


def _verifies(signature: bytes, message: bytes, key: EllipticCurvePublicKey) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    algorithm = getattr(hashes, _CURVES[key.curve.name])()
    try:
        key.verify(signature, message, ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _require_curve(key: Any, name: str) -> EllipticCurvePublicKey:
    curve = getattr(getattr(key, "curve", None), "name", type(key).__name__)
    if curve not in _CURVES:
        raise _refuse_key(name, f"a key of type {curve}")
    found: EllipticCurvePublicKey = key
    return found


def _may_sign(certificate: Certificate) -> bool:
    from cryptography import x509

    usages: Sequence[tuple[Any, Any]] = (
        (x509.KeyUsage, lambda usage: usage.digital_signature),
        (x509.ExtendedKeyUsage, lambda usage: x509.ExtendedKeyUsageOID.CODE_SIGNING in usage),
    )
    for kind, allows in usages:
        try:
            if allows(certificate.extensions.get_extension_for_class(kind).value):
                return True
        except x509.ExtensionNotFound:
            continue
    return False


def _name_subject(certificate: Certificate) -> str:
    return certificate.subject.rfc4514_string()[:200]


def _decode(text: Any) -> bytes:
    return base64.b64decode(text, validate=True)


def _refuse_key(name: str, why: str) -> ModelRefused:
    return ModelRefused(
        f"{name} cannot be used: {why[:200]}.",
        wanted=f"PEM, with keys on the curves {', '.join(_CURVES)}.",
        remedy="give the public key or certificates that the model's signer published.",
    )


def _refuse(
    name: str, why: str, remedy: str = "ask for a signature made with `model_signing sign key` or `sign certificate`."
) -> ModelRefused:
    return ModelRefused(
        f"{name} cannot be read: {why}.", wanted="a model signature (OpenSSF, Sigstore bundle v0.3).", remedy=remedy
    )


def read_statement(payload: bytes, name: str) -> Mapping[str, Any]:
    """Parse the signed statement as JSON; its content is checked by `model_signature`."""
    try:
        found = load_strict(payload)
    except NotStrictJson as error:
        raise _refuse(name, f"its statement is {error}") from error
    if not isinstance(found, dict):
        raise _refuse(name, "its statement is not an object")
    return found

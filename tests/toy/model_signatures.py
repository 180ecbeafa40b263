"""Model signatures made here, for what no signing tool would write; those in `tests/data/signed_model` are by the tool itself."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from audit_core.verifier.statement import encode_before_signing

DATA = Path(__file__).resolve().parents[1] / "data" / "signed_model"
PREDICATE = "https://model_signing/signature/v1.0"


def make_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def write_public(key: Any, path: Path) -> Path:
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    path.write_bytes(key.public_key().public_bytes(*form))
    return path


def describe(
    folder: Path, *, algorithm: str = "sha256", without: tuple[str, ...] = (), **changed: Any
) -> dict[str, Any]:
    """The statement about a folder's files, as the signing tool writes it."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    rows = [
        {"name": name, "algorithm": algorithm, "digest": hashlib.new(algorithm, path.read_bytes()).hexdigest()}
        for name, path in files.items()
        if name not in without and name != "model.sig"
    ]
    predicate = {
        "serialization": {"method": "files", "hash_type": algorithm, "allow_symlinks": False, "ignore_paths": [*without, "model.sig"]},
        "resources": rows,
    }  # fmt: skip
    root = hashlib.sha256(b"".join(bytes.fromhex(row["digest"]) for row in rows)).hexdigest()
    statement = {
        "_type": "https://in-toto.io/Statement/v1", "subject": [{"name": folder.name, "digest": {"sha256": root}}],
        "predicateType": PREDICATE, "predicate": predicate,
    }  # fmt: skip
    return statement | changed


def sign(statement: Any, key: ec.EllipticCurvePrivateKey, certificates: tuple[x509.Certificate, ...] = ()) -> bytes:
    """The signature file over a statement."""
    payload = json.dumps(statement).encode()
    signature = key.sign(encode_before_signing(payload), ec.ECDSA(hashes.SHA256()))
    chain = [{"rawBytes": encode(one.public_bytes(serialization.Encoding.DER))} for one in certificates]
    material = {"x509CertificateChain": {"certificates": chain}} if chain else {"publicKey": {"hint": "0"}}
    envelope = {
        "payload": encode(payload), "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": encode(signature), "keyid": ""}],
    }  # fmt: skip
    return json.dumps(
        {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": material,
            "dsseEnvelope": envelope,
        }
    ).encode()


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def issue(
    subject: str,
    key: Any,
    issuer: x509.Certificate | None,
    signer: Any,
    *,
    until: datetime = datetime(2046, 1, 1),
    signs: bool = True,
) -> x509.Certificate:
    """A certificate: of an issuer where there is none above it, of a signer of files otherwise."""
    is_root = issuer is None
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    usage = x509.KeyUsage(
        digital_signature=signs and not is_root, content_commitment=False, key_encipherment=not signs, data_encipherment=False,
        key_agreement=False, key_cert_sign=is_root, crl_sign=is_root, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name if issuer is None else issuer.subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1)).not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True).add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )  # fmt: skip
    if issuer is not None:
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(above, critical=False)
    return builder.sign(signer, hashes.SHA256())

"""Compare a model folder with its OpenSSF model signature, offline: every file, and no other file."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from audit_core.errors import ModelRefused
from audit_core.exchange.signature_bundle import (
    MAX_SIGNATURE_BYTES,
    Bundle,
    Signer,
    check_certificates,
    check_key,
    read_bundle,
    read_statement,
)
from audit_core.models.identity import FolderDigest, digest_files, digest_folder, require_unchanged, stamp_files
from audit_core.verifier.schemas_signed import STATEMENT_TYPE

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
FILE_NAME = "model.sig"
MAX_FILES = 50_000
GIT_FILES = (".git", ".gitattributes", ".github", ".gitignore")
"""Left out by the signing tool by default."""
_HASHES = ("sha256", "blake2b")
_DIGEST = re.compile(r"([0-9a-f]{2}){32,64}")


class SignatureState(StrEnum):
    """Outcome of comparing a model folder with its signature."""

    MATCH = "match"
    """A trusted signer signed exactly these files."""
    MISMATCH = "mismatch"
    """A trusted signer signed other files than these."""
    NOT_TRUSTED = "not_trusted"
    """The signature is not the trusted signer's, or was changed."""
    NOT_SIGNED = "not_signed"
    """The folder has no signature."""


@dataclass(frozen=True)
class ModelSignature:
    """What a folder's signature says about its files."""

    state: SignatureState
    key: str
    """"sha256:" and the SHA-256 of the signer's public key; empty if not signed."""
    subject: str
    """Subject of the signer's certificate; empty for a bare key."""
    why_not: str
    """Why the signer is not trusted; empty otherwise."""
    expired_at: str
    """End of the signer's certificate if that is past."""
    signature_sha256: str
    """SHA-256 of the signature file; empty if there is none."""
    n_files: int
    """Number of signed files; 0 where the signer is not trusted."""
    digest: FolderDigest
    """Digests of the weights and the tokenizer, as in the model's identity."""
    config_sha256: str
    """SHA-256 of config.json; empty if there is none."""
    changed: tuple[str, ...] = ()
    """Files with another digest than the signed one."""
    missing: tuple[str, ...] = ()
    """Signed files that the folder lacks."""
    extra: tuple[str, ...] = ()
    """Files that were not signed."""
    left_out: tuple[str, ...] = ()
    """Files that affect the model's numbers, and that signer or reader left out."""
    ignored: tuple[str, ...] = ()
    """Paths where the reader allowed files that were not signed."""


def check_folder_signature(
    folder: Path,
    *,
    key: Path | None = None,
    roots: Path | None = None,
    signature: Path | None = None,
    ignored: Sequence[str] = (),
) -> ModelSignature:
    """Verify a folder's signature with a public key, or with trusted certificates, and compare every file.

    Args:
        key: file of the signer's public key, PEM. Exactly one of `key` and `roots`.
        roots: file of certificates that are trusted to issue the signer's, PEM.
        signature: the signature; `model.sig` in the folder unless given.
        ignored: paths in the folder where unsigned files are allowed, except those that affect the model's numbers.

    Raises:
        ModelRefused: no folder, a file that cannot be read, or a signature of an unsupported form.
        IntegrityError: a file changed while it was read.
    """
    if (key is None) == (roots is None):
        raise ModelRefused(
            "Both or none of key and certificates.", wanted="one of them.", remedy="give --key or --certificates."
        )
    if not folder.is_dir():
        raise ModelRefused(f"{folder} is no folder.", wanted="a model folder.", remedy="check the path.")
    path, stamps = folder / FILE_NAME if signature is None else signature, stamp_files(folder)
    files, identity = digest_files(folder), digest_folder(folder)
    known = (identity, files.get("config.json", ""))
    if signature is None and not path.exists():
        return ModelSignature(SignatureState.NOT_SIGNED, "", "", "", "", "", 0, *known)
    raw = _read(path, MAX_SIGNATURE_BYTES)
    bundle = read_bundle(raw, path.name)
    signer = _check_signer(bundle, key, roots)
    who, digest = (signer.key, signer.subject, signer.why_not, signer.expired_at), hashlib.sha256(raw).hexdigest()
    if signer.why_not:
        return ModelSignature(SignatureState.NOT_TRUSTED, *who, digest, 0, *known)
    # Only now: the statement of an unknown signer is not read.
    signed, unsigned = _read_signed(read_statement(bundle.payload, path.name), path.name)
    allowed = tuple(sorted(map(_clean, ignored)))
    found = _compare(_list_files(folder, path), signed, {*unsigned, *GIT_FILES, *allowed}, files)
    require_unchanged(folder, stamps)
    state = SignatureState.MISMATCH if any(found) else SignatureState.MATCH
    return ModelSignature(state, *who, digest, len(signed), *known, *found, allowed)


def _check_signer(bundle: Bundle, key: Path | None, roots: Path | None) -> Signer:
    if key is not None:
        return check_key(bundle, _read(key, 1 << 20), key.name)
    assert roots is not None
    return check_certificates(bundle, _read(roots, 1 << 20), roots.name)


def _read_signed(statement: Mapping[str, Any], name: str) -> tuple[dict[str, tuple[str, str]], tuple[str, ...]]:
    """Return the signed files, name → (algorithm, digest), and the paths that the signer left out."""
    try:
        kind, predicate = (statement["_type"], statement["predicateType"]), statement["predicate"]
        if kind != (STATEMENT_TYPE, PREDICATE_TYPE):
            raise ValueError(f"a statement of type {str(kind)[:160]}")
        form, (subject,) = predicate["serialization"], statement["subject"]
        if form["method"] != "files":
            raise ValueError(f"digests of {str(form['method'])[:40]!a}, not of files")
        signed: dict[str, tuple[str, str]] = {}
        joined = hashlib.sha256()
        for resource in predicate["resources"]:
            path, algorithm, digest = str(resource["name"]), str(resource["algorithm"]), str(resource["digest"])
            if algorithm not in _HASHES or not _DIGEST.fullmatch(digest):
                raise ValueError(f"a digest by {algorithm[:40]!a}; known are {', '.join(_HASHES)}")
            if path in signed or path != _clean(path):
                raise ValueError(f"the file {path[:80]!a} twice, or not as a plain path")
            signed[path] = (algorithm, digest)
            joined.update(bytes.fromhex(digest))
        if subject["digest"]["sha256"] != joined.hexdigest():
            raise ValueError("its subject is not the digest of its files")
        return signed, tuple(_clean(str(path)) for path in form.get("ignore_paths") or ())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelRefused(
            f"The signed statement of {name} cannot be used: {str(error)[:200] or type(error).__name__}.",
            wanted=f"a statement of {PREDICATE_TYPE} with one digest for each file.",
            remedy="ask for a signature made with `model_signing sign`, file by file, with SHA-256.",
        ) from error


def _compare(
    there: Mapping[str, Path], signed: Mapping[str, tuple[str, str]], allowed: set[str], computing: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Compare the folder's files with the signed ones; returns the changed, missing, extra and left-out files.

    Args:
        allowed: paths at and below which unsigned files are no matter.
        computing: SHA-256 of the files that affect the model's numbers, by name; those must be signed.
    """

    def differs(name: str) -> bool:
        algorithm, digest = signed[name]
        known = computing.get(name) if algorithm == "sha256" else None
        return (known or _hash(there[name], algorithm)) != digest

    unsigned = there.keys() - signed.keys()
    extra = {name for name in unsigned if not _is_below(name, allowed)}
    changed = tuple(name for name in sorted(there.keys() & signed.keys()) if differs(name))
    left_out = unsigned & computing.keys() - extra
    return changed, tuple(sorted(signed.keys() - there.keys())), tuple(sorted(extra)), tuple(sorted(left_out))


def _list_files(folder: Path, signature: Path) -> dict[str, Path]:
    """List all files in a folder by their path in it, without the signature; a link to a file counts as that file, as in the hub's cache."""
    found: dict[str, Path] = {}
    own = signature.resolve()
    for place, folders, files in os.walk(folder):
        linked = [name for name in folders if os.path.islink(os.path.join(place, name))]
        for name in (*linked, *files):
            path = Path(place, name)
            if not path.is_file():
                kind = "a link to a folder" if path.is_dir() else "no regular file"
                raise ModelRefused(
                    f"{path} is {kind}.", wanted="files and folders.", remedy="put the files themselves there."
                )
            if path.resolve() != own:
                found[path.relative_to(folder).as_posix()] = path
        if len(found) > MAX_FILES:
            raise ModelRefused(
                f"{folder} has more than {MAX_FILES:,} files.", wanted="a model folder.", remedy="check the path."
            )
    return found


def _is_below(name: str, ignored: set[str]) -> bool:
    parts = PurePosixPath(name)
    return name in ignored or any(str(parent) in ignored for parent in parts.parents)


def _clean(path: str) -> str:
    """Return a path as it is named in a signature: relative and without dots."""
    clean = PurePosixPath(path)
    if clean.is_absolute() or ".." in clean.parts or str(clean) == "." or "\0" in path:
        raise ModelRefused(f"The path {path[:80]!a}.", wanted="a path inside the folder.", remedy="leave it out.")
    return str(clean)


def _hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except OSError as error:
        raise ModelRefused(
            f"{path} cannot be read: {error.strerror}.", wanted="a file.", remedy="check the path."
        ) from error
    if len(raw) > most:
        raise ModelRefused(f"{path} has more than {most:,} bytes.", wanted="fewer.", remedy="check the path.")
    return raw

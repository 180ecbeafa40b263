"""OpenSSF model signatures: those of the signing tool are verified offline, and every other file, key and byte is named."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from toy.model_signatures import DATA, describe, encode, issue, make_key, sign, write_public

from audit_core import cli
from audit_core.errors import ModelRefused
from audit_core.exchange.model_signature import ModelSignature, SignatureState, check_folder_signature
from audit_core.exchange.signature_record import find_signature, read_signature, record_signature
from audit_core.models import ModelIdentity
from audit_core.store import Action, list_events, open_database

KEY, ROOT = DATA / "key.pub.pem", DATA / "root.pem"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that `model_signing` 1.1.1 of PyPI signed with a key: `python -m model_signing sign key`."""
    shutil.copytree(DATA / "toy", tmp_path / "toy")
    shutil.copy(DATA / "by_key.sig", tmp_path / "toy" / "model.sig")
    return tmp_path / "toy"


def differing(found: ModelSignature) -> dict[str, tuple[str, ...]]:
    names = {"changed": found.changed, "missing": found.missing, "extra": found.extra, "left_out": found.left_out}
    return {kind: files for kind, files in names.items() if files}


def test_the_tools_own_signatures_match_by_key_and_by_certificate(folder: Path) -> None:
    by_key = check_folder_signature(folder, key=KEY)
    assert (by_key.state, by_key.n_files, differing(by_key)) == (SignatureState.MATCH, 3, {})
    by_certificate = check_folder_signature(folder, roots=ROOT, signature=DATA / "by_certificate.sig")
    # The other signature lies in the folder, where the tool leaves out `model.sig` by its name.
    assert (by_certificate.state, by_certificate.subject) == (SignatureState.MATCH, "CN=Model signer")
    assert by_key.key != by_certificate.key


def _change(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"v")


@pytest.mark.parametrize(
    "attack, found",
    [
        (_change, {"changed": ("model.safetensors",)}),
        (lambda folder: (folder / "tokenizer" / "vocab.txt").write_text("y"), {"changed": ("tokenizer/vocab.txt",)}),
        (lambda folder: (folder / "more.safetensors").write_text("y"), {"extra": ("more.safetensors",)}),
        (lambda folder: (folder / "tokenizer" / "run.py").write_text("y"), {"extra": ("tokenizer/run.py",)}),
        (lambda folder: (folder / "config.json").unlink(), {"missing": ("config.json",)}),
        (
            lambda folder: (folder / "config.json").rename(folder / "Config.json"),
            {"missing": ("config.json",), "extra": ("Config.json",)},
        ),
    ],
)
def test_one_byte_one_file_more_or_one_less_is_named(
    attack: Callable[[Path], Any], found: dict[str, tuple[str, ...]], folder: Path
) -> None:
    attack(folder)
    signature = check_folder_signature(folder, key=KEY)
    assert (signature.state, differing(signature)) == (SignatureState.MISMATCH, found)


def test_another_key_or_another_issuer_is_not_trusted_and_its_list_is_not_read(folder: Path, tmp_path: Path) -> None:
    other = check_folder_signature(folder, key=write_public(make_key(), tmp_path / "other.pem"))
    assert (other.state, other.n_files) == (SignatureState.NOT_TRUSTED, 0)
    other_root = make_key()
    root = tmp_path / "other-root.pem"
    root.write_bytes(issue("Test root", other_root, None, other_root).public_bytes(Encoding.PEM))
    found = check_folder_signature(folder, roots=root, signature=DATA / "by_certificate.sig")
    assert (found.state, found.n_files) == (SignatureState.NOT_TRUSTED, 0)
    assert "does not lead to a trusted one" in found.why_not


def test_a_changed_statement_is_not_the_signers(folder: Path) -> None:
    document = json.loads((folder / "model.sig").read_text())
    document["dsseEnvelope"]["payload"] = encode(json.dumps(describe(folder)).encode())
    (folder / "model.sig").write_text(json.dumps(document))
    assert check_folder_signature(folder, key=KEY).state is SignatureState.NOT_TRUSTED


def test_no_signature_is_an_outcome_and_no_match(folder: Path) -> None:
    (folder / "model.sig").unlink()
    assert check_folder_signature(folder, key=KEY).state is SignatureState.NOT_SIGNED
    with pytest.raises(ModelRefused, match="cannot be read"):
        check_folder_signature(folder, key=KEY, signature=folder / "model.sig")


def test_a_signature_that_leaves_out_the_weights_does_not_match(folder: Path, tmp_path: Path) -> None:
    """A signer may leave out a readme, and not what the model computes with; nor may the reader."""
    key = make_key()
    public = write_public(key, tmp_path / "own.pem")
    (folder / "notes.md").write_text("x")
    (folder / "model.sig").write_bytes(sign(describe(folder, without=("notes.md",)), key))
    assert check_folder_signature(folder, key=public).state is SignatureState.MATCH
    (folder / "model.sig").write_bytes(sign(describe(folder, without=("model.safetensors",)), key))
    assert differing(check_folder_signature(folder, key=public)) == {"left_out": ("model.safetensors",)}
    (folder / "more.safetensors").write_text("x")
    (folder / "model.sig").write_bytes(sign(describe(folder, without=("more.safetensors", "notes.md")), key))
    found = check_folder_signature(folder, key=public, ignored=("more.safetensors",))
    assert differing(found) == {"left_out": ("more.safetensors",)}


def test_allowed_paths_hide_unsigned_files_only(folder: Path) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "a.md").write_text("x")
    assert differing(check_folder_signature(folder, key=KEY)) == {"extra": ("notes/a.md",)}
    found = check_folder_signature(folder, key=KEY, ignored=("notes/",))
    assert (found.state, found.ignored) == (SignatureState.MATCH, ("notes",))
    _change(folder)
    assert differing(check_folder_signature(folder, key=KEY, ignored=("notes", "model.safetensors"))) == {
        "changed": ("model.safetensors",)
    }
    with pytest.raises(ModelRefused, match=r"The path '\.\./x'"):
        check_folder_signature(folder, key=KEY, ignored=("../x",))


def test_links_of_the_hubs_cache_count_as_their_files_and_links_to_folders_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "model.safetensors").rename(tmp_path / "blob")
    (folder / "model.safetensors").symlink_to(tmp_path / "blob")
    assert check_folder_signature(folder, key=KEY).state is SignatureState.MATCH
    (folder / "loop").symlink_to(folder)
    with pytest.raises(ModelRefused, match="a link to a folder"):
        check_folder_signature(folder, key=KEY)
    (folder / "loop").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(ModelRefused, match="no regular file"):
        check_folder_signature(folder, key=KEY)


def test_certificates_that_are_past_or_not_for_signing_say_so(folder: Path, tmp_path: Path) -> None:
    root_key, key, roots = make_key(), make_key(), tmp_path / "roots.pem"
    root = issue("Root", root_key, None, root_key)
    roots.write_bytes(root.public_bytes(Encoding.PEM))
    (folder / "model.sig").unlink()
    statement = describe(folder)
    past = issue("Signer", key, root, root_key, until=datetime(2021, 1, 1))
    (folder / "model.sig").write_bytes(sign(statement, key, (past,)))
    found = check_folder_signature(folder, roots=roots)
    assert (found.state, found.expired_at) == (SignatureState.MATCH, "2021-01-01T00:00:00Z")
    (folder / "model.sig").write_bytes(sign(statement, key, (issue("Server", key, root, root_key, signs=False),)))
    assert check_folder_signature(folder, roots=roots).why_not == "its certificate is not for signing"
    # A certificate that anyone can copy, and a signature with another key.
    (folder / "model.sig").write_bytes(sign(statement, make_key(), (past,)))
    assert "signed with another key" in check_folder_signature(folder, roots=roots).why_not


@pytest.mark.parametrize(
    "change, message",
    [
        ({"predicateType": "https://slsa.dev/provenance/v1"}, "a statement of type"),
        ({"_type": "https://in-toto.io/Statement/v0.1"}, "a statement of type"),
        ({"subject": [{"name": "x", "digest": {"sha256": "0" * 64}}]}, "not the digest of its files"),
        ({"subject": []}, "cannot be used"),
        ({"predicate": {"serialization": {"method": "shards"}, "resources": []}}, "digests of 'shards', not of files"),
        (
            {
                "predicate": {
                    "serialization": {"method": "files"},
                    "resources": [{"name": "a", "algorithm": "blake3", "digest": "00" * 32}],
                }
            },
            "a digest by 'blake3'",
        ),
        (
            {
                "predicate": {
                    "serialization": {"method": "files"},
                    "resources": [{"name": "a/../b", "algorithm": "sha256", "digest": "00" * 32}],
                }
            },
            "The path",
        ),
        (
            {
                "predicate": {
                    "serialization": {"method": "files"},
                    "resources": [{"name": "a", "algorithm": "sha256", "digest": "00" * 32}] * 2,
                }
            },
            "the file 'a' twice",
        ),
        ({"predicate": None}, "cannot be used"),
    ],
)
def test_a_statement_of_another_form_is_refused_by_name(
    change: dict[str, Any], message: str, folder: Path, tmp_path: Path
) -> None:
    key = make_key()
    public = write_public(key, tmp_path / "own.pem")
    (folder / "model.sig").write_bytes(sign(describe(folder, **change), key))
    with pytest.raises(ModelRefused, match=re.escape(message)):
        check_folder_signature(folder, key=public)


def test_other_digests_than_sha256_are_compared_too(folder: Path, tmp_path: Path) -> None:
    key = make_key()
    public = write_public(key, tmp_path / "own.pem")
    (folder / "model.sig").write_bytes(sign(describe(folder, algorithm="blake2b"), key))
    assert check_folder_signature(folder, key=public).state is SignatureState.MATCH
    _change(folder)
    assert differing(check_folder_signature(folder, key=public)) == {"changed": ("model.safetensors",)}


@pytest.mark.parametrize(
    "raw, message",
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "nested"),
        (b'{"mediaType": 1}', "cannot be read"),
        (b'{"mediaType": "a", "mediaType": "b"}', "duplicate key"),
        (b'{"mediaType": "x", "verificationMaterial": {"certificate": {}}, "dsseEnvelope": {"payloadType": "y"}}', "media type 'x'"),
        (
            b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": {"certificate": {}}, '
            b'"dsseEnvelope": {"payloadType": "application/vnd.in-toto+json"}}', "a keyless Sigstore signature",
        ),
        (b"x" * (17 << 20), "more than 16,777,216 bytes"),
    ],
    ids=range(7),
)  # fmt: skip
def test_a_hostile_signature_file_is_refused(raw: bytes, message: str, folder: Path) -> None:
    (folder / "model.sig").write_bytes(raw)
    with pytest.raises(ModelRefused, match=re.escape(message)):
        check_folder_signature(folder, key=KEY)


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", (DATA / "root.pem").read_bytes()]
)
def test_a_file_that_is_no_key_is_refused(content: bytes, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(ModelRefused, match=r"key\.pem cannot be used"):
        check_folder_signature(folder, key=tmp_path / "key.pem")


def test_the_outcome_is_logged_for_these_files_and_found_for_no_others(folder: Path, own_home: Path) -> None:
    own_home.mkdir(exist_ok=True)
    found = check_folder_signature(folder, key=KEY)
    event = record_signature(own_home, found, actor="anna")
    weights, tokenizer, config = found.digest.weights_sha256, found.digest.tokenizer_sha256, found.config_sha256
    assert (event.action, event.object_id, event.payload["state"]) == ("model_signature.checked", weights, "match")
    known = read_signature(own_home, weights, tokenizer, config)
    assert known is not None
    assert known.describe().startswith(f"3 files as signed with key {found.key[:23]}…; checked at ")
    assert read_signature(own_home, weights, tokenizer, "0" * 64) is None, "another configuration is another model"
    assert read_signature(own_home, "0" * 64, tokenizer, config) is None
    (folder / "notes.md").write_text("x")
    record_signature(own_home, check_folder_signature(folder, key=KEY), actor="ben")
    known = read_signature(own_home, weights, tokenizer, config)
    assert known is not None
    assert ": 1 not signed; checked at" in known.describe()
    with open_database(own_home) as connection:
        events = list_events(connection)
        assert [event.actor for event in list_events(connection, action=Action.MODEL_SIGNATURE_CHECKED)] == [
            "anna",
            "ben",
        ]
    identity = ModelIdentity("toy", "", weights, tokenizer, config, "float32", "eager", "none", "not stated")
    assert find_signature(events, identity) == known


def test_the_command_tells_each_outcome_by_its_exit_code_and_logs_it(
    folder: Path, tmp_path: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(*more: str) -> int:
        return cli.main(["exchange", "model", str(folder), *more])

    assert ask("--key", str(KEY)) == 0
    assert "MATCH" in capsys.readouterr().out
    _change(folder)
    assert ask("--key", str(KEY)) == 4
    assert "'model.safetensors': changed since the signature" in capsys.readouterr().out
    assert ask("--key", str(write_public(make_key(), tmp_path / "other.pem"))) == 4
    assert "was not made with this key" in capsys.readouterr().out
    (folder / "model.sig").unlink()
    assert ask("--key", str(KEY), "--json") == 3
    assert json.loads(capsys.readouterr().out)["state"] == "not_signed"
    with open_database(own_home) as connection:
        states = [event.payload["state"] for event in list_events(connection, action=Action.MODEL_SIGNATURE_CHECKED)]
    assert states == ["match", "mismatch", "not_trusted", "not_signed"]

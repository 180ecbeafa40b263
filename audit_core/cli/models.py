"""The commands `models` and `fetch`."""

from __future__ import annotations

import argparse
from pathlib import Path

from audit_core.cli.output import print_json, print_result, show_fetch
from audit_core.cli.session import find_folder
from audit_core.exchange.signature_record import read_signature
from audit_core.models import KNOWN_MODELS, SHIPPED_MODELS, digest_folder, fetch_model, find_known
from audit_core.models.cache import hash_file
from audit_core.models.fetch import find_cached
from audit_core.store import audit_home


def show_models(options: argparse.Namespace) -> int:
    rows: list[dict[str, str | None]] = []
    for known in KNOWN_MODELS:
        folder = find_cached(known)
        digest = None if folder is None else digest_folder(folder).weights_sha256
        rows.append(
            {
                "name": known.name,
                "alias": known.alias,
                "title": known.title,
                "licence": known.licence,
                "quantisation": known.quantisation,
                "folder": None if folder is None else str(folder),
                "weights_sha256": digest,
                "signature": None if folder is None else describe_signature(folder),
            }
        )
    for shipped in SHIPPED_MODELS:
        rows.append(
            {
                "name": shipped.name,
                "alias": shipped.name,
                "title": shipped.title,
                "licence": shipped.licence,
                "quantisation": "none",
                "folder": str(shipped.folder),
                "weights_sha256": digest_folder(shipped.folder).weights_sha256,
                "signature": describe_signature(shipped.folder),
            }
        )
    if options.json:
        return print_json({"models": rows})
    for row in rows:
        where = row["folder"] or "not fetched: python -m audit_core fetch " + str(row["name"])
        print_result(
            f"{row['name']}  {row['title']}  {row['licence']}\n  {where}\n  weights sha256 {row['weights_sha256'] or '-'}"
        )
        if row["signature"]:
            print_result(f"  signature: {row['signature']}")
    return 0


def describe_signature(folder: Path) -> str | None:
    """The last recorded outcome of `exchange model` for exactly these files; None if it was never run on them."""
    digest, config = digest_folder(folder), hash_file(folder / "config.json")
    found = read_signature(audit_home(), digest.weights_sha256, digest.tokenizer_sha256, config)
    return None if found is None else found.describe()


def fetch_known(options: argparse.Namespace) -> int:
    known = find_known(options.name)
    folder = (
        find_folder(options.name, on_progress=show_fetch)
        if known is None
        else fetch_model(known, on_progress=show_fetch)
    )
    digest = digest_folder(folder)
    if options.json:
        return print_json(
            {
                "name": options.name,
                "folder": str(folder),
                "weights_sha256": digest.weights_sha256,
                "tokenizer_sha256": digest.tokenizer_sha256,
            }
        )
    print_result(f"{options.name} is ready in {folder}")
    return 0

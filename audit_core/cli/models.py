"""The commands `models` and `fetch`."""

from __future__ import annotations

import argparse

from audit_core.cli.output import print_json, print_result, show_fetch
from audit_core.cli.session import find_folder
from audit_core.models import KNOWN_MODELS, SHIPPED_MODELS, digest_folder, fetch_model, find_known
from audit_core.models.fetch import find_cached


def show_models(options: argparse.Namespace) -> int:
    rows = []
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
            }
        )
    if options.json:
        return print_json({"models": rows})
    for row in rows:
        where = row["folder"] or "not fetched: python -m audit_core fetch " + str(row["name"])
        print_result(
            f"{row['name']}  {row['title']}  {row['licence']}\n  {where}\n  weights sha256 {row['weights_sha256'] or '-'}"
        )
    return 0


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

"""Resolve user input to a model folder: a known name, a folder, or a hub id."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path

from audit_core.errors import ModelRefused
from audit_core.models.access import ANONYMOUS, ModelAccess
from audit_core.models.cache import Progress
from audit_core.models.edited import find_edited, make_edited
from audit_core.models.fetch import fetch_model
from audit_core.models.folder import check_folder
from audit_core.models.hub import fetch_from_hub
from audit_core.models.known import KNOWN_MODELS, SHIPPED_MODELS, find_known, find_shipped

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_HUB_ID = re.compile(f"{_PART}/{_PART}")


class ModelOrigin(StrEnum):
    """Kind of source that a name refers to, decided by its spelling without any lookup."""

    KNOWN = "known name"
    FOLDER = "folder"
    HUB = "hub"
    NOWHERE = "nowhere"


def find_origin(name: str) -> ModelOrigin:
    """Return the kind of source that a name refers to, decided by its spelling."""
    if any(find(name) is not None for find in (find_known, find_shipped, find_edited)):
        return ModelOrigin.KNOWN
    if _looks_like_path(name):
        return ModelOrigin.FOLDER
    return ModelOrigin.HUB if _is_hub_id(name) else ModelOrigin.NOWHERE


def resolve_model(
    name_or_path: str | os.PathLike[str], on_progress: Progress | None = None, access: ModelAccess = ANONYMOUS
) -> Path:
    """Return the checked folder of a model, fetching it if necessary.

    Args:
        name_or_path: a known name, an existing folder, or a hub id `org/name`; tried in that order.
        on_progress: see `fetch_model`.
        access: access rules for the hub and for error messages.

    Raises:
        ModelRefused: there is no such model, or it must not be loaded.
        IntegrityError: a known model's bytes do not match the catalogue's digest.
    """
    name = os.fspath(name_or_path)
    known = find_known(name)
    if known is not None:
        return fetch_model(known, on_progress=on_progress)
    edited = find_edited(name)
    if edited is not None:
        return make_edited(edited, on_progress=on_progress)
    shipped = find_shipped(name)
    if shipped is not None:
        check_folder(shipped.folder)
        return shipped.folder
    expanded = os.path.expanduser(name)
    is_model = os.path.isfile(os.path.join(expanded, "config.json"))
    if _looks_like_path(name) or is_model or (access.names_paths and os.path.lexists(expanded)):
        if not is_model and not access.names_paths:
            raise _refuse_path(name)
        folder = Path(expanded)
        check_folder(folder)
        return folder.resolve()
    if not _is_hub_id(name):
        names = [*(known.name for known in KNOWN_MODELS), *(model.name for model in SHIPPED_MODELS)]
        raise ModelRefused(
            f"{ascii(name)[:80]} is not a known model, an existing folder or a hub id.",
            wanted=f"one of {', '.join(names)}; a folder; or `organisation/model`.",
            remedy="check the spelling; a model on the hub needs its organisation before the slash.",
        )
    folder = fetch_from_hub(name, on_progress, access)
    check_folder(folder)
    return folder


def _refuse_path(name: str) -> ModelRefused:
    """Return the same error for every path without a model, so that a page does not reveal the server's files."""
    return ModelRefused(
        f"No model can be opened at {ascii(name)[:200]}.",
        wanted="a folder with config.json and safetensors weights that this server may read.",
        remedy="check the spelling; the server's operator can open it on the command line, which gives details.",
    )


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1


def _is_hub_id(name: str) -> bool:
    whole = _HUB_ID.fullmatch(name) is not None and len(name) <= 96
    return whole and not name.endswith(".git") and "--" not in name and ".." not in name

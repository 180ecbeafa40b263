"""Edited siblings: a known model with the output weights of one head set to zero, so that a claim has another model to hold in."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from audit_core.errors import ModelRefused
from audit_core.models.cache import Progress, ignore_progress, model_cache, refuse_storage
from audit_core.models.fetch import fetch_model, find_cached
from audit_core.models.folder import CONFIG_BYTES, check_folder, read_json
from audit_core.models.identity import stamp_files
from audit_core.models.known import SMOLLM2, KnownModel
from audit_core.models.provenance import FILE_NAME, read_provenance, rewrite_provenance

_VERSION = 1
"""Part of the folder's name: increase it if an edit writes other bytes."""


@dataclass(frozen=True)
class EditedModel:
    """A known model without what one of its heads writes. Made on this machine when it is first opened."""

    name: str
    """Name for users."""
    title: str
    base: KnownModel
    layer: int
    head: int

    def name_folder(self, base: Path) -> str:
        """Name of the folder in the model cache; another base has another one, so that no copy outlives its base."""
        record = read_provenance(base)
        files = stamp_files(base) if record is None else record.files
        digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.base.alias}-without-L{self.layer}.H{self.head}-{digest}-v{_VERSION}"


EDITED = EditedModel("default-edited", f"{SMOLLM2.title}, L23.H3 set to zero", SMOLLM2, 23, 3)
"""The sibling of the default model: its head that acts most on the shipped sets writes nothing."""


def find_edited(name: str) -> EditedModel | None:
    """Return the edited sibling of this name, or None."""
    return EDITED if name == EDITED.name else None


def find_edited_here(name: str) -> Path | None:
    """Return the folder of an edited sibling if it is on this machine; makes nothing."""
    edited = find_edited(name)
    base = None if edited is None else find_cached(edited.base)
    if edited is None or base is None:
        return None
    folder = model_cache() / edited.name_folder(base)
    return folder if folder.exists() else None


def make_edited(edited: EditedModel, *, on_progress: Progress | None = None) -> Path:
    """Return the folder of an edited sibling; fetches its base and writes it on first use.

    Raises:
        ModelRefused: the base cannot be obtained, or there is not enough space.
        IntegrityError: the base's bytes do not match the catalogue's digest.
    """
    from filelock import FileLock

    report = on_progress or ignore_progress
    base, cache = fetch_model(edited.base, on_progress=on_progress), model_cache()
    final = cache / edited.name_folder(base)
    workspace = cache / f".{final.name}.partial"
    needed = sum(path.stat().st_size for path in base.iterdir())
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{final.name}.lock"):
            if not final.exists():
                # Under the lock, existing files here were left by a killed process.
                shutil.rmtree(workspace, ignore_errors=True)
                if (free := shutil.disk_usage(cache).free) < needed:
                    raise refuse_storage(f"Only {free / 1e6:.0f} MB are free", cache, needed)
                report("write", 0, 1)
                silence_head(base, workspace, edited.layer, edited.head, title=edited.title)
                os.rename(workspace, final)
                report("write", 1, 1)
    except OSError as error:
        raise refuse_storage(str(error), cache, needed) from error
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    check_folder(final)
    return final


def silence_head(base: Path, out: Path, layer: int, head: int, *, title: str = "") -> Path:
    """Copy a float32 model folder of the Llama layout with the output weights of one head set to zero.

    Args:
        out: a folder that does not exist yet.
        title: display name in the copy's record of origin, if the base has such a record; without one it is left out.

    Raises:
        ModelRefused: no file has the output weights of this layer, or they have no such head.
    """
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    name = f"model.layers.{layer}.self_attn.o_proj.weight"
    shutil.copytree(base, out, ignore=shutil.ignore_patterns(FILE_NAME))
    for path in sorted(out.glob("*.safetensors")):
        with safe_open(path, "numpy") as opened:
            has_it = name in opened.keys()  # noqa: SIM118  (it is no mapping)
        if not has_it:
            continue
        settings, tensors = read_json(base / "config.json", limit=CONFIG_BYTES), load_file(path)
        width = settings.get("head_dim") or settings["hidden_size"] // settings["num_attention_heads"]
        rows = tensors[name][:, head * width : (head + 1) * width]
        if not rows.any():
            break
        rows[:] = 0
        mode = path.stat().st_mode
        path.unlink()
        save_file(tensors, path, metadata={"format": "pt"})
        path.chmod(mode)
        if title and (record := read_provenance(base)) is not None:
            rewrite_provenance(out, record, title)
        return out
    raise ModelRefused(
        f"{json.dumps(base.name)[:80]} has no L{layer}.H{head} that writes anything under the name {name}.",
        wanted="a head of a model of the Llama layout whose output weights are not zero already.",
        remedy="name another head.",
    )

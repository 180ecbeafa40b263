"""Dictionaries in a folder: weights as safetensors with a card, and folders in the format of SAELens; nothing is executed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from audit_core.dictionaries.dictionary import Dictionary
from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.whole_file import write_whole

WEIGHTS, CARD = "dictionary.safetensors", "card.json"
MAX_WEIGHT_BYTES = 512 * 1024**2
MAX_JSON_BYTES = 1024**2
MAX_WIDTH, MAX_D_MODEL = 65_536, 16_384
ARRAYS = ("encoder", "bias", "threshold", "decoder", "centre")
_HOOK = re.compile(r"blocks\.(\d{1,4})\.hook_resid_(pre|post)", re.ASCII)


def round_to_half(dictionary: Dictionary) -> Dictionary:
    """The dictionary with encoder and decoder as 2-byte numbers hold them; its file has half the size."""
    both = {name: getattr(dictionary, name).astype(np.float16).astype(np.float32) for name in ("encoder", "decoder")}
    return replace(dictionary, **both)


def write_dictionary(dictionary: Dictionary, card: Mapping[str, Any], folder: Path) -> None:
    """Write weights and card, which names their digest.

    Raises:
        Refused: the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder.name[:60]!r} is not empty.", wanted="a new folder.", remedy="choose another name.")
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: _pack(getattr(dictionary, name)) for name in ARRAYS}
    write_whole(folder / WEIGHTS, save(arrays))
    written = {"layer": dictionary.layer, "longest": dictionary.longest, **card, "sha256": dictionary.sha256}
    write_whole(folder / CARD, f"{json.dumps(written, indent=1, allow_nan=True)}\n".encode())


def _pack(array: NDArray[np.float32]) -> NDArray[Any]:
    """As 2-byte numbers where that loses nothing."""
    half = np.ascontiguousarray(array, np.float16)
    return half if (half.astype(np.float32) == array).all() else np.ascontiguousarray(array, np.float32)


def load_dictionary(folder: Path) -> tuple[Dictionary, dict[str, Any]]:
    """A dictionary that `save_dictionary` wrote, and its card.

    Raises:
        Refused: a file is missing, too large or malformed.
        IntegrityError: the weights are not those that the card names.
    """
    card = read_object(folder / CARD)
    arrays = _read_weights(folder / WEIGHTS, ARRAYS)
    layer, longest = card.get("layer"), card.get("longest")
    if type(layer) is not int or not isinstance(longest, int | float) or not longest > 0:
        raise _malformed(CARD, "a layer and a norm")
    width, d_model = arrays["encoder"].shape if arrays["encoder"].ndim == 2 else (0, 0)
    _check_shapes(arrays, {
        "encoder": (width, d_model), "bias": (width,), "threshold": (width,), "decoder": (width, d_model),
        "centre": (d_model,),
    })  # fmt: skip
    if (arrays["threshold"] < 0).any() or np.abs(np.linalg.norm(arrays["decoder"], axis=1) - 1).max() > 1e-3:
        raise _malformed(WEIGHTS, "thresholds that are not negative, and decoder vectors of length 1")
    found = Dictionary(layer, **arrays, longest=float(longest))
    if card.get("sha256") != found.sha256:
        raise IntegrityError(f"The weights in {folder.name[:60]!r} are not those that their card names.")
    return found, card


def import_saelens(folder: Path, n_layers: int, d_model: int) -> Dictionary:
    """A dictionary from a folder of SAELens: cfg.json and sae_weights.safetensors, of a residual site.

    Reads the architectures `standard` and `jumprelu`; decoder vectors are scaled to length 1 and their values with them.

    Args:
        n_layers, d_model: of the model that it is to be used with.

    Raises:
        Refused: a missing, too large or malformed file, another architecture or site, another width.
    """
    config = read_object(folder / "cfg.json")
    inner = config.get("metadata")
    config = {**(inner if isinstance(inner, dict) else {}), **config}
    layer = _read_layer(config, n_layers)
    architecture = config.get("architecture", "standard")
    if architecture not in ("standard", "jumprelu"):
        raise Refused(
            f"A dictionary of architecture {str(architecture)[:40]!r}.", wanted="standard or jumprelu.",
            remedy="convert it: in others a feature's value depends on the other features of the token.",
        )  # fmt: skip
    if config.get("normalize_activations", "none") not in (None, "none"):
        raise Refused(
            "A dictionary of normalised activations.", wanted="normalize_activations: none.",
            remedy="fold the normalisation into its weights.",
        )  # fmt: skip
    names = ("W_enc", "b_enc", "W_dec", "b_dec", *(("threshold",) if architecture == "jumprelu" else ()))
    arrays = _read_weights(folder / "sae_weights.safetensors", names)
    width = len(arrays["b_enc"]) if arrays["b_enc"].ndim == 1 else 0
    _check_shapes(arrays, {
        "W_enc": (d_model, width), "b_enc": (width,), "W_dec": (width, d_model), "b_dec": (d_model,), "threshold": (width,),
    })  # fmt: skip
    norms = np.linalg.norm(arrays["W_dec"], axis=1)
    if not (norms > 1e-8).all():
        raise _malformed("sae_weights.safetensors", "decoder vectors that are not zero")
    encoder = np.ascontiguousarray(arrays["W_enc"].T) * norms[:, None]
    shift = encoder @ arrays["b_dec"] if config.get("apply_b_dec_to_input", True) else 0.0
    limits = arrays.get("threshold", np.zeros(width, np.float32)) * norms
    return Dictionary(
        layer, encoder, (arrays["b_enc"] * norms - shift).astype(np.float32), np.maximum(limits, 0).astype(np.float32),
        arrays["W_dec"] / norms[:, None], arrays["b_dec"],
    )  # fmt: skip


def _read_layer(config: Mapping[str, Any], n_layers: int) -> int:
    name = config.get("hook_name")
    match = _HOOK.fullmatch(name) if isinstance(name, str) else None
    # What leaves a layer enters the next.
    layer = -1 if match is None else int(match[1]) + (match[2] == "post")
    if not 0 <= layer < n_layers:
        raise Refused(
            f"A dictionary at {str(name)[:60]!r}.", wanted=f"blocks.N.hook_resid_pre, N from 0 to {n_layers - 1}.",
            remedy="choose a dictionary of the residual stream of this model.",
        )  # fmt: skip
    return layer


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object of a bounded file.

    Raises:
        Refused: it is missing, too large or malformed.
    """
    raw = _read_bytes(path, MAX_JSON_BYTES)
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _malformed(path.name, "JSON") from error
    if not isinstance(found, dict):
        raise _malformed(path.name, "an object")
    return found


def _read_weights(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    try:
        found = load(_read_bytes(path, MAX_WEIGHT_BYTES))
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _malformed(path.name, "safetensors with numbers of 2 or 4 bytes") from error
    if missing := [name for name in names if name not in found]:
        raise _malformed(path.name, f"an array {missing[0]}")
    arrays = {name: found[name].astype(np.float32) for name in names}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise _malformed(path.name, f"finite numbers in {name}")
    return arrays


def _read_bytes(path: Path, most: int) -> bytes:
    if not path.is_file() or path.is_symlink():
        raise Refused(
            f"No file {path.name} in {path.parent.name[:60]!r}.", wanted="it.", remedy="choose another folder."
        )
    if (size := path.stat().st_size) > most:
        raise Refused(
            f"{path.name} has {size:,} bytes.", wanted=f"at most {most:,}.", remedy="choose a smaller dictionary."
        )
    return path.read_bytes()


def _check_shapes(arrays: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    for name, array in arrays.items():
        wanted = shapes[name]
        is_sized = wanted[0] >= 2 and wanted[0] <= MAX_WIDTH and wanted[-1] <= MAX_WIDTH
        if array.shape != wanted or not is_sized:
            raise Refused(
                f"{name} has the shape {array.shape}.", wanted=f"{wanted}, at most {MAX_WIDTH:,} features.",
                remedy="choose a dictionary of this model.",
            )  # fmt: skip


def _malformed(name: str, wanted: str) -> Refused:
    return Refused(f"{name} cannot be read.", wanted=f"{wanted}.", remedy="export the dictionary again.")

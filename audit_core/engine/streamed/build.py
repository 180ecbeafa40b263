"""Build a model whose layers have no weights yet: embeddings, final norm and output head are read, layers are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_core.engine.streamed.store import LayerStore, WeightFiles
from audit_core.errors import ModelRefused
from audit_core.models.declared import check_numbers, list_names
from audit_core.models.folder import CONFIG_BYTES, read_json
from audit_core.models.tensors import StoredTensor

if TYPE_CHECKING:
    import torch

STREAMED_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
"""Model types whose layers are equal and stored tensor by tensor, and whose blocks TransformerLens runs with the stored
weights themselves. GPT-2 and GPT-NeoX join query, key and value in one tensor that is copied apart; mixtures join experts."""
_LAYERS = "model.layers"


def require_streamable(folder: Path) -> None:
    """Refuse a folder of a family whose layers cannot be read one by one, before anything is loaded.

    Raises:
        ModelRefused: with the families that can.
    """
    kind = read_json(folder / "config.json", limit=CONFIG_BYTES).get("model_type")
    if kind not in STREAMED_FAMILIES:
        raise ModelRefused(
            f"This model ({ascii(kind)[1:-1][:40]}) cannot be run layer by layer from its files.",
            wanted=f"a model of one of the families {', '.join(STREAMED_FAMILIES)}.",
            remedy="open it without `--streamed` (`streamed=False`), which needs memory for all of its weights.",
        )


def build_streamed(folder: Path, config: Any, tensors: Mapping[str, StoredTensor]) -> tuple[Any, LayerStore]:
    """The model of `transformers` in float32 with eager attention, and the store that gives its layers their weights.

    The caller has the lock for loading models.

    Args:
        config: of `transformers`, for one of `STREAMED_FAMILIES`.
        tensors: of the files, as `check_declared` returns them.

    Raises:
        ModelRefused: tensors are missing, unexpected, of another shape, or differ from those that they are tied to.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    model.eval()
    _check_tensors(folder, model, tensors)
    files = WeightFiles()
    _create_tables(model)
    _read_ends(folder, model, tensors, files)
    layers = model.model.layers
    stored = [
        {name: tensors[f"{_LAYERS}.{at}.{name}"] for name, _ in layer.named_parameters()}
        for at, layer in enumerate(layers)
    ]
    return model, LayerStore(list(layers), stored, files)


def _check_tensors(folder: Path, model: Any, tensors: Mapping[str, StoredTensor]) -> None:
    """Compare names and shapes with the files; stricter than for a model in memory, as no left-over tensor is passed over."""
    wanted = {name: tuple(weights.shape) for name, weights in model.named_parameters()}
    tied = set(model.all_tied_weights_keys)
    found = [
        f"{what}: {list_names(names)}"
        for what, names in (
            ("no tensor for", wanted.keys() - tensors.keys()),
            ("no place for", tensors.keys() - wanted.keys() - tied),
            ("of another shape", {n for n, shape in wanted.items() if n in tensors and tensors[n].shape != shape}),
        )
        if names
    ]
    if getattr(model.config, "_attn_implementation", "") != "eager":
        found.append("config.json selects an attention implementation other than `eager`")
    if found:
        raise _differs(folder, "; ".join(found))
    check_numbers(tensors, tensors.keys())


def _create_tables(model: Any) -> None:
    """Compute the buffers, which are not in the files: the frequencies of rotary positions."""
    from torch import nn

    for module in model.modules():
        for name, child in module.named_children():
            if any(buffer.is_meta for buffer in child.buffers(recurse=False)):
                setattr(module, name, type(child)(model.config))
    assert isinstance(model, nn.Module)
    assert not any(buffer.is_meta for buffer in model.buffers())


def _read_ends(folder: Path, model: Any, tensors: Mapping[str, StoredTensor], files: WeightFiles) -> None:
    """Put memory behind all parameters: the values of those outside the layers, and none yet behind those of layers."""
    import torch
    from torch import nn

    made: dict[int, nn.Parameter] = {}
    for name, weights in model.named_parameters():
        values = torch.empty(1).expand(weights.shape) if name.startswith(f"{_LAYERS}.") else _read(tensors[name], files)
        made[id(weights)] = nn.Parameter(values, requires_grad=False)
    for target, source in model.all_tied_weights_keys.items():
        if target in tensors and not torch.equal(_read(tensors[target], files), made[id(_find(model, source))]):
            raise _differs(folder, f"config.json ties weights that differ in the files: {list_names([target])}")
    for module in model.modules():
        for name, weights in module.named_parameters(recurse=False):
            setattr(module, name, made[id(weights)])


def _read(stored: StoredTensor, files: WeightFiles) -> torch.Tensor:
    import torch

    values = torch.empty(stored.shape)
    files.read(stored, values)
    return values


def _find(model: Any, name: str) -> Any:
    return model.get_parameter(name)


def _differs(folder: Path, found: str) -> ModelRefused:
    return ModelRefused(
        f"{folder.name}: {found}.",
        wanted="weight files with exactly the tensors of the model that config.json describes.",
        remedy="export the whole model again, or open it without `--streamed`.",
    )

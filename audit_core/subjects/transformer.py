"""Subject: a decoder-only transformer from a Hugging Face folder, run through TransformerBridge."""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from audit_core.capability import (
    ACTIVATIONS,
    ATTENTION,
    DOCUMENTS,
    GRADIENTS,
    HEADS,
    LENSES,
    MEANS,
    PATHS,
    PATTERNS,
    RANDOMISABLE,
    REPLIES,
    ROUTING,
    STEPS,
    TOOLS,
    Capability,
    components_of,
)
from audit_core.component import OF_ENCODER_DECODERS, Component, Kind
from audit_core.documents import form
from audit_core.engine.adapters import register_adapters
from audit_core.engine.checkpoint import check_against_files, check_kind
from audit_core.engine.faults import refuse_faults
from audit_core.engine.lens import explain_no_lenses, read_lenses
from audit_core.engine.parity import check_parity, choose_tokens, run_alone
from audit_core.engine.randomise import shuffle_weights
from audit_core.engine.runner import WaveRunner
from audit_core.engine.senders import check_paths
from audit_core.engine.sites import HOOKS, count_indices
from audit_core.engine.stream import measure_losses, read_stream
from audit_core.engine.threads import MODEL_LOCK, import_libraries
from audit_core.errors import ComponentRefused, ModelRefused, Refused
from audit_core.intervention import Intervention, PromptSide, Replacement
from audit_core.models.chat_template import render_template
from audit_core.models.declared import check_declared
from audit_core.models.folder import CONFIG_BYTES, check_folder, read_json
from audit_core.models.identity import ModelIdentity, identify_model, require_unchanged, stamp_files
from audit_core.prompts.answers import TokenLimits, Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.references.model_class import Setting
from audit_core.subject import (
    MEAN_KINDS,
    Floats,
    Geometry,
    LensReading,
    Logits,
    Means,
    Progress,
    StreamChange,
    TokenRouting,
    no_progress,
)
from audit_core.subject_family import SubjectFamily

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")
"""Names of the longest input in configurations, for architectures that do not map their own name to the first."""
Stamps = dict[str, tuple[int, ...]]
"""Stamp of the files that a subject was loaded from; see `stamp_files`."""


@dataclass(frozen=True)
class FolderTokenizer:
    """A Hugging Face tokenizer that returns ids without special tokens."""

    inner: Any
    bos_id: int | None
    limits: TokenLimits

    def encode(self, text: str) -> list[int]:
        return list(self.inner.encode(text, add_special_tokens=False))

    def encode_each(self, texts: Sequence[str]) -> list[list[int]]:
        return [list(ids) for ids in self.inner(list(texts), add_special_tokens=False)["input_ids"]]

    def piece(self, token_id: int) -> str:
        return str(self.inner.decode([token_id], clean_up_tokenization_spaces=False))

    def render_chat(self, message: str, reply: str | None = None) -> str:
        messages = [{"role": "user", "content": message}]
        messages += [] if reply is None else [{"role": "assistant", "content": reply}]
        return render_template(self.inner, messages, is_open=reply is None)


class TransformerSubject:
    """Implements `Subject` on the engine."""

    def __init__(
        self,
        bridge: TransformerBridge,
        identity: ModelIdentity,
        tokenizer: FolderTokenizer,
        stamps: Stamps,
        own: Floats | None = None,
    ) -> None:
        """Args:
        own: logits of the model as `transformers` runs it, on the tokens that `check_parity` takes.
        """
        self.bridge, self.identity, self.tokenizer, self.stamps = bridge, identity, tokenizer, stamps
        self.geometry = _read_geometry(bridge)
        self.runner = WaveRunner(bridge, self.geometry)
        if not self.runner.model.list_layers(Kind.HEAD):
            raise ModelRefused(
                f"No layer of this model ({bridge.cfg.architecture}) has attention heads that TransformerLens can reach.",
                wanted="a causal decoder with attention heads in at least some layers.",
                remedy="use such a model; this one was not measured.",
            )
        self.tolerance = check_parity(self.runner, tokenizer.bos_id, own)
        self.mixture = self.runner.admit_experts(choose_tokens(tokenizer.bos_id, self.geometry.n_vocabulary))
        self.geometry = self.runner.geometry

    @property
    def fallback(self) -> str:
        return self.runner.fallback

    def components(self, kind: Kind) -> tuple[Component, ...]:
        indices = range(0 if kind in OF_ENCODER_DECODERS else count_indices(kind, self.geometry))
        layers = [layer for layer in range(self.geometry.n_layers) if (kind, layer) in self.runner.model.points]
        return tuple(Component(layer, kind, index) for layer in layers for index in indices)

    def run(
        self,
        prompts: TokenisedPrompts,
        interventions: Sequence[Intervention],
        *,
        means: Means | None = None,
        vocabulary: bool = False,
        seed: int = 0,
        on_progress: Progress = no_progress,
    ) -> Logits:
        return self.runner.run(
            prompts, interventions, means=means, vocabulary=vocabulary, seed=seed, on_progress=on_progress
        )

    def count_work(self, prompts: TokenisedPrompts, interventions: Sequence[Intervention]) -> int:
        return self.runner.count_work(prompts, interventions)

    def capture_means(
        self,
        reference: TokenisedPrompts,
        *,
        kinds: Collection[Kind] = MEAN_KINDS,
        on_progress: Progress = no_progress,
    ) -> Means:
        return self.runner.capture_means(reference, kinds, on_progress)

    def capture_ranges(self, reference: TokenisedPrompts, *, on_progress: Progress = no_progress) -> Floats:
        return self.runner.capture_ranges(reference, on_progress)

    def activation_change_rms(
        self,
        prompts: TokenisedPrompts,
        parts: Sequence[Component],
        replacement: Replacement,
        *,
        means: Means | None = None,
    ) -> Floats:
        return self.runner.activation_change_rms(prompts, parts, replacement, means)

    def attention_to_last(
        self, prompts: TokenisedPrompts, *, on_progress: Progress = no_progress
    ) -> tuple[Floats, ...]:
        return self.runner.attention_to_last(prompts, on_progress)

    def explain_no_gradients(self) -> str:
        return self.runner.explain_no_gradients()

    def explain_no_paths(self) -> str:
        if self.fallback:
            return "This model supports only whole forward passes."
        try:
            check_paths(self.runner)
        except Refused as error:
            return error.found
        return ""

    def read_routing(
        self, prompts: TokenisedPrompts, *, side: PromptSide = PromptSide.CLEAN, on_progress: Progress = no_progress
    ) -> tuple[TokenRouting, ...]:
        if not self.geometry.n_experts:
            raise ComponentRefused(
                self.mixture.why_not, wanted="a model with accessible experts.", remedy="choose a mixture of experts."
            )
        return self.runner.read_routing(prompts, side, on_progress)

    def write_documents(self, documents: Sequence[str], question: str) -> tuple[str, ...]:
        return form.write_documents(documents, question)

    def read_inputs(self, rows: Sequence[Tokens]) -> Floats:
        return self.runner.read_inputs(rows)

    def read_residuals(
        self,
        rows: Sequence[Tokens],
        positions: Sequence[int],
        layers: Sequence[int],
        *,
        on_progress: Progress = no_progress,
    ) -> Floats:
        return self.runner.read_residuals(rows, positions, layers, on_progress)

    def explain_no_lenses(self) -> str:
        return explain_no_lenses(self.runner)

    def read_lenses(self, prompts: TokenisedPrompts, *, on_progress: Progress = no_progress) -> LensReading:
        return read_lenses(self.runner, prompts, on_progress)

    def read_stream(self, rows: Sequence[Tokens], layer: int, *, on_progress: Progress = no_progress) -> list[Floats]:
        return read_stream(self.runner.model, rows, layer, self.runner.turn, on_progress)

    def measure_losses(self, rows: Sequence[Tokens], layer: int, change: StreamChange | None) -> Floats:
        return measure_losses(self.runner.model, rows, layer, change, self.runner.turn)

    def read_documents(self, text: str) -> tuple[tuple[str, ...], str]:
        return form.read_documents(text)

    def patterns(self, pair: TokenPair, intervention: Intervention, *, means: Means | None = None) -> Floats:
        return self.runner.draw_patterns(pair, intervention, means)

    def randomised(self, layer: int, *, seed: int) -> TransformerSubject:
        if not 0 <= layer < self.geometry.n_layers:
            raise ModelRefused(
                f"Weights shuffled from layer {layer}.",
                wanted=f"0 to {self.geometry.n_layers - 1}.",
                remedy="choose a layer of this model.",
            )
        folder = Path(self.identity.folder)
        # Loaded again, so that the shared model is unchanged and its hooks are not copied.
        inner, model = _read_folder(folder)
        require_unchanged(folder, self.stamps)
        shuffle_weights(model, layer, n_heads=self.geometry.n_heads, seed=seed)
        what = f"weights shuffled from layer {layer} up, seed {seed}"
        digest = hashlib.sha256(f"{self.identity.weights_sha256} {what}".encode()).hexdigest()
        identity = replace(self.identity, model=f"{self.identity.model}, {what}", weights_sha256=digest)
        return _wrap(folder, _cross(folder, inner, model), identity, self.stamps)


def _read_geometry(bridge: TransformerBridge) -> Geometry:
    import torch

    config = bridge.cfg
    # From the output matrix, because configurations name the width of mixtures and gated MLPs differently.
    out = getattr(getattr(bridge.blocks[0], "mlp", None), "out", None)
    weight = getattr(getattr(out, "original_component", None), "weight", None)
    sizes = set(weight.shape) if isinstance(weight, torch.Tensor) and weight.dim() == 2 else set()
    has_neurons = f"blocks.0.{HOOKS[Kind.NEURON]}" in bridge.hook_dict
    neurons = (sizes - {config.d_model} or {config.d_model}) if sizes and has_neurons else {0}
    return Geometry(
        config.n_layers,
        config.n_heads,
        getattr(config, "n_key_value_heads", None) or config.n_heads,
        config.d_model,
        config.d_head,
        config.d_vocab,
        int(max(neurons)),
    )


def load_transformer(folder: Path) -> TransformerSubject:
    """Load a checked Hugging Face folder in float32 with eager attention.

    Args:
        folder: contains config.json, safetensors and a tokenizer; see `audit_core.models.check_folder`.

    Raises:
        ModelRefused: the architecture is not supported, or its replay is not exact.
        IntegrityError: the folder's bytes differ from those recorded at conversion, or changed during loading.
    """
    stamps = stamp_files(folder)
    check_folder(folder)
    # Hashing releases the interpreter lock, so the libraries are imported meanwhile.
    with ThreadPoolExecutor(1) as pool:
        identifying = pool.submit(identify_model, folder, dtype="float32", attention="eager")
        import_libraries()
        crossed = _cross(folder, *_read_folder(folder))
        identity = identifying.result()
    require_unchanged(folder, stamps)
    return _wrap(folder, crossed, identity, stamps)


def _wrap(folder: Path, crossed: _Crossed, identity: ModelIdentity, stamps: Stamps) -> TransformerSubject:
    with refuse_faults(folder):
        return TransformerSubject(crossed.bridge, identity, crossed.tokenizer, stamps, crossed.own)


def _read_folder(folder: Path) -> tuple[Any, Any]:
    """Load tokenizer and model with `transformers`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options = {"local_files_only": True, "trust_remote_code": False}
    tensors = check_declared(folder)
    with MODEL_LOCK, refuse_faults(folder), check_against_files(folder, tensors):
        check_kind(read_json(folder / "config.json", limit=CONFIG_BYTES))
        inner = AutoTokenizer.from_pretrained(folder, **options)
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", use_safetensors=True, **options
        )
        # Copy: memory-mapped weights would change when the file is changed later.
        for weights in itertools.chain(model.parameters(), model.buffers()):
            weights.data = weights.data.clone()
    return inner, model


@dataclass(frozen=True, eq=False)
class _Crossed:
    """A model in its bridge."""

    bridge: TransformerBridge
    tokenizer: FolderTokenizer
    own: Floats
    """Logits before wrapping; see `run_alone`."""


def _cross(folder: Path, inner: Any, model: Any) -> _Crossed:
    """Wrap the model in a bridge with hooks."""
    import torch
    from transformer_lens.model_bridge import TransformerBridge

    bos_id = getattr(inner, "bos_token_id", None)
    with MODEL_LOCK, refuse_faults(folder):
        register_adapters()
        own = run_alone(model, bos_id)
        # A copy: TransformerLens adds a beginning-of-sequence token to a tokenizer without one.
        bridge = TransformerBridge.boot_transformers(
            str(folder), hf_model=model, tokenizer=copy.deepcopy(inner), device="cpu", dtype=torch.float32
        )
    bridge.eval()
    return _Crossed(bridge, FolderTokenizer(inner, bos_id, read_limits(inner, model)), own)


def read_limits(inner: Any, model: Any) -> TokenLimits:
    """Numbers of tokens and positions of a `transformers` model, and its unknown token."""
    tables = [table for table in (model.get_input_embeddings(), model.get_output_embeddings()) if table is not None]
    config = model.config.get_text_config()
    positions = next((found for name in _POSITIONS if (found := getattr(config, name, None)) is not None), None)
    unknown = inner.unk_token_id
    return TokenLimits(
        min(table.weight.shape[0] for table in tables),
        positions if type(positions) is int and positions > 0 else None,
        # Some tokenizers declare their beginning- or end-of-sequence token as unknown token, but do not use it for text.
        unknown if unknown not in (inner.bos_token_id, inner.eos_token_id) else None,
    )


_DENSE: frozenset[Capability[Any]] = frozenset(
    (
        HEADS,
        MEANS,
        ATTENTION,
        PATTERNS,
        RANDOMISABLE,
        GRADIENTS,
        PATHS,
        DOCUMENTS,
        STEPS,
        TOOLS,
        REPLIES,
        ACTIVATIONS,
        LENSES,
        components_of(Kind.RESID),
    )
)
_OFFERS: Mapping[Setting, frozenset[Capability[Any]]] = MappingProxyType(
    {Setting.DENSE: _DENSE, Setting.MIXTURE: _DENSE | {components_of(Kind.EXPERT), ROUTING}}
)


@dataclass(frozen=True)
class TransformerFamily(SubjectFamily):
    name: str = "transformer"
    question: str = "What are the effects of the heads and MLPs of a decoder-only transformer?"
    is_general: bool = True
    offers: Mapping[Setting, frozenset[Capability[Any]]] = field(default_factory=lambda: _OFFERS)

    def opens(self, config: Mapping[str, Any]) -> bool:
        # It refuses what is no decoder itself, and says what it is.
        return True

    def load(self, folder: Path) -> TransformerSubject:
        return load_transformer(folder)


PLUGIN = TransformerFamily()

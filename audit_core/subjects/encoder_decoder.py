"""Subject: an encoder–decoder of T5's kind from a Hugging Face folder, run by hooks on its own modules."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from audit_core.capability import CROSS_ATTENTION, MEANS, Capability, components_of
from audit_core.component import Component, Kind
from audit_core.engine.checkpoint import check_against_files
from audit_core.engine.faults import refuse_faults
from audit_core.engine.source_positions import HEADS
from audit_core.engine.threads import MODEL_LOCK, import_libraries
from audit_core.errors import ModelRefused
from audit_core.intervention import Intervention, Replacement
from audit_core.models.declared import check_declared
from audit_core.models.folder import CONFIG_BYTES, check_folder, read_json
from audit_core.models.identity import ModelIdentity, identify_model, require_unchanged, stamp_files
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.references.model_class import Setting
from audit_core.subject import Floats, Geometry, Logits, Means, Progress, no_progress
from audit_core.subject_family import SubjectFamily
from audit_core.subjects.transformer import FolderTokenizer, read_limits

LEAST_TOLERANCE = 1e-4
"""Minimum tolerance, in logits; see `engine.parity`."""
MODEL_TYPE = "t5"


class EncoderDecoderSubject:
    """A subject with components on both sides; it has none of the attention maps of decoder-only models."""

    fallback = "an encoder–decoder is run whole"

    def __init__(self, model: Any, identity: ModelIdentity, tokenizer: FolderTokenizer, start_id: int) -> None:
        from audit_core.engine.encoder_decoder import EncoderDecoderRunner

        config = model.config
        self.identity, self.tokenizer, self.start_id = identity, tokenizer, start_id
        self.geometry = Geometry(
            max(config.num_layers, config.num_decoder_layers), config.num_heads, config.num_heads, config.d_model,
            config.d_kv, config.vocab_size, 0,
        )  # fmt: skip
        self.runner = EncoderDecoderRunner(model, self.geometry, start_id)
        self.tolerance = max(LEAST_TOLERANCE, 10 * self.runner.measure_parity())

    def components(self, kind: Kind) -> tuple[Component, ...]:
        n_indices = 1 if kind is Kind.SOURCE else self.geometry.n_heads
        return tuple(
            Component(layer, kind, index) for layer in self.runner.list_layers(kind) for index in range(n_indices)
        )

    def count_work(self, prompts: TokenisedPrompts, interventions: Sequence[Intervention]) -> int:
        return self.runner.count_work(prompts, interventions)

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

    def capture_means(
        self,
        reference: TokenisedPrompts,
        *,
        kinds: Collection[Kind] = (*HEADS, Kind.SOURCE),
        on_progress: Progress = no_progress,
    ) -> Means:
        return self.runner.capture_means(reference, kinds, on_progress)

    def activation_change_rms(
        self,
        prompts: TokenisedPrompts,
        parts: Sequence[Component],
        replacement: Replacement,
        *,
        means: Means | None = None,
    ) -> Floats:
        return self.runner.measure_change(prompts, parts, replacement, means)

    def read_cross_attention(self, prompts: TokenisedPrompts) -> tuple[Floats, ...]:
        """Attention from the answer position to the source; see `CrossAttention`."""
        return self.runner.read_cross_attention(prompts)

    def find_source(self, pair: TokenPair) -> int:
        """Length of a prompt's source; see `CrossAttention`."""
        return self.runner.find_source(pair)


def load_encoder_decoder(folder: Path) -> EncoderDecoderSubject:
    """Load a checked Hugging Face folder in float32 with eager attention.

    Raises:
        ModelRefused: it is an encoder–decoder of another kind than T5, or has no token that begins a target.
        IntegrityError: the folder's bytes differ from those recorded, or changed during loading.
    """
    stamps = stamp_files(folder)
    check_folder(folder)
    with ThreadPoolExecutor(1) as pool:
        identifying = pool.submit(identify_model, folder, dtype="float32", attention="eager")
        import_libraries()
        inner, model = _read_folder(folder)
        identity = identifying.result()
    require_unchanged(folder, stamps)
    start_id = model.config.decoder_start_token_id
    if type(start_id) is not int or not 0 <= start_id < model.config.vocab_size:
        raise ModelRefused(
            f"config.json has decoder_start_token_id {ascii(start_id)[:60]}.",
            wanted="the token that begins every target.",
            remedy="correct config.json, or fetch the model again.",
        )
    pad_id = model.config.pad_token_id
    if type(pad_id) is not int or not 0 <= pad_id < model.config.vocab_size:
        raise ModelRefused(
            f"config.json has pad_token_id {ascii(pad_id)[:60]}.",
            wanted="the padding token, which replaces a source token as a neutral one.",
            remedy="correct config.json, or fetch the model again.",
        )
    # No token before the text: source and target are written with the start token between them.
    tokenizer = FolderTokenizer(inner, None, read_limits(inner, model))
    with refuse_faults(folder):
        return EncoderDecoderSubject(model.eval(), identity, tokenizer, start_id)


def _read_folder(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoTokenizer, T5ForConditionalGeneration

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    config = read_json(folder / "config.json", limit=CONFIG_BYTES)
    kind = config.get("model_type")
    if kind != MODEL_TYPE:
        raise ModelRefused(
            f"This model ({ascii(kind)[1:-1][:60]}) is an encoder–decoder that Assay has no hooks for.",
            wanted="an encoder–decoder with model_type t5, or a text-only causal decoder.",
            remedy="use such a model; this one was not measured.",
        )
    tensors = check_declared(folder)
    with MODEL_LOCK, refuse_faults(folder), check_against_files(folder, tensors):
        inner = AutoTokenizer.from_pretrained(folder, **options)
        model = T5ForConditionalGeneration.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", use_safetensors=True, **options
        )
        # Copy: memory-mapped weights would change when the file is changed later.
        for weights in itertools.chain(model.parameters(), model.buffers()):
            weights.data = weights.data.clone()
    return inner, model


_KINDS = (Kind.SOURCE, Kind.ENCODER_HEAD, Kind.DECODER_HEAD, Kind.CROSS_HEAD)
_OFFERS: Mapping[Setting, frozenset[Capability[Any]]] = MappingProxyType(
    {Setting.ENCODER_DECODER: frozenset({*map(components_of, _KINDS), CROSS_ATTENTION, MEANS})}
)


@dataclass(frozen=True)
class EncoderDecoderFamily(SubjectFamily):
    name: str = "encoder_decoder"
    question: str = "Which source tokens and which heads does an encoder–decoder's answer rely on?"
    offers: Mapping[Setting, frozenset[Capability[Any]]] = field(default_factory=lambda: _OFFERS)

    def opens(self, config: Mapping[str, Any]) -> bool:
        # It refuses those of other kinds than T5, by name.
        return config.get("is_encoder_decoder") is True

    def load(self, folder: Path) -> EncoderDecoderSubject:
        return load_encoder_decoder(folder)


PLUGIN = EncoderDecoderFamily()

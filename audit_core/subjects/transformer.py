"""Subject: a decoder-only transformer from a Hugging Face folder, run through TransformerBridge."""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from audit_core.activations import LensReading, Sampling, Shift, StreamChange, Written
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
    STEERING,
    STEPS,
    TOOLS,
    Capability,
    components_of,
)
from audit_core.component import Component, Kind
from audit_core.documents import form
from audit_core.engine.adapters import register_adapters
from audit_core.engine.checkpoint import check_against_files, check_kind
from audit_core.engine.decoder import read_geometry
from audit_core.engine.device import require_device
from audit_core.engine.device_check import move_subject
from audit_core.engine.faults import refuse_faults
from audit_core.engine.featured import FeaturedDecoder
from audit_core.engine.jacobian import read_jacobian_lens
from audit_core.engine.lens import explain_no_lenses, read_lenses
from audit_core.engine.one_pattern import draw_pattern
from audit_core.engine.parity import choose_tokens, run_alone
from audit_core.engine.randomise import shuffle_weights
from audit_core.engine.runner import WaveRunner
from audit_core.engine.senders import check_paths
from audit_core.engine.steer import measure_shift, write_steered
from audit_core.engine.stream import measure_losses
from audit_core.engine.streamed.build import build_streamed, require_streamable
from audit_core.engine.streamed.subject import StreamedSubject
from audit_core.engine.threads import MODEL_LOCK, import_libraries
from audit_core.errors import ComponentRefused, ModelRefused, Refused
from audit_core.intervention import Intervention, PromptSide
from audit_core.models.chat_template import render_template
from audit_core.models.declared import check_declared
from audit_core.models.devices import CPU
from audit_core.models.folder import CONFIG_BYTES, check_folder, read_json
from audit_core.models.identity import ModelIdentity, Stamps, identify_model, require_unchanged, stamp_files
from audit_core.prompts.answers import TokenLimits, Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.references.model_class import Setting
from audit_core.subject import Floats, Means, Progress, TokenRouting, no_progress
from audit_core.subject_family import SubjectFamily

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")
"""Names of the longest input in configurations, for architectures that do not map their own name to the first."""
_OPTIONS: Mapping[str, bool] = MappingProxyType({"local_files_only": True, "trust_remote_code": False})
"""Of every call of `transformers` that reads a folder."""


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

    def read(self, token_ids: Sequence[int]) -> str:
        """Several tokens as text: a character may be spread over more than one."""
        return str(self.inner.decode(list(token_ids), clean_up_tokenization_spaces=False))

    def render_chat(self, message: str, reply: str | None = None) -> str:
        messages = [{"role": "user", "content": message}]
        messages += [] if reply is None else [{"role": "assistant", "content": reply}]
        return render_template(self.inner, messages, is_open=reply is None)


class TransformerSubject(FeaturedDecoder):
    """A decoder with all of its weights in memory."""

    tokenizer: FolderTokenizer

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
        super().__init__(WaveRunner(bridge, read_geometry(bridge)), identity, tokenizer, own)
        self.stamps = stamps
        tokens = choose_tokens(tokenizer.bos_id, self.geometry.n_vocabulary)
        self.mixture = self.runner.admit_experts(tokens.to(self.runner.model.device))
        self.geometry = self.runner.geometry

    def capture_ranges(self, reference: TokenisedPrompts, *, on_progress: Progress = no_progress) -> Floats:
        return self.runner.capture_ranges(reference, on_progress)

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

    def read_jacobian_lens(
        self, prompts: TokenisedPrompts, texts: TokenisedPrompts, *, on_progress: Progress = no_progress
    ) -> Floats:
        return read_jacobian_lens(self.runner, prompts, texts, on_progress)

    def measure_losses(self, rows: Sequence[Tokens], layer: int, change: StreamChange | None) -> Floats:
        return measure_losses(self.runner.model, rows, layer, change, self.runner.turn)

    def write_steered(
        self,
        rows: Sequence[Tokens],
        layer: int,
        steps: Floats | None,
        sampling: Sampling,
        watched: Sequence[Sequence[int]],
        *,
        on_progress: Progress = no_progress,
    ) -> Written:
        runner = self.runner
        found = write_steered(runner.model, rows, layer, steps, sampling, watched, runner.turn, on_progress)
        return replace(found, texts=tuple(self.tokenizer.read(ids.tolist()) for ids in found.ids))

    def measure_shift(self, row: Tokens, changed: Sequence[Tokens], layer: int, steps: Floats | None) -> Shift:
        return measure_shift(self.runner.model, row, changed, layer, steps, self.runner.turn)

    def read_documents(self, text: str) -> tuple[tuple[str, ...], str]:
        return form.read_documents(text)

    def patterns(self, pair: TokenPair, intervention: Intervention, *, means: Means | None = None) -> Floats:
        return self.runner.draw_patterns(pair, self.complete(intervention, means), means)

    def pattern_of(
        self, pair: TokenPair, intervention: Intervention, head: Component, *, means: Means | None = None
    ) -> Floats:
        return draw_pattern(self.runner, pair, self.complete(intervention, means), head, means)

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
        return _wrap(folder, _cross(folder, inner, model), identity, self.stamps, identity.device)


def load_transformer(folder: Path, device: str = CPU) -> TransformerSubject:
    """Load a checked Hugging Face folder in float32 with eager attention.

    Args:
        folder: contains config.json, safetensors and a tokenizer; see `audit_core.models.check_folder`.
        device: see `engine.device.DEVICES`.

    Raises:
        ModelRefused: the architecture is not supported, or its replay is not exact; or the device is not here, or computes other
            logits than the CPU.
        IntegrityError: the folder's bytes differ from those recorded at conversion, or changed during loading.
    """
    require_device(device)
    stamps = stamp_files(folder)
    check_folder(folder)
    # Hashing releases the interpreter lock, so the libraries are imported meanwhile.
    with ThreadPoolExecutor(1) as pool:
        identifying = pool.submit(identify_model, folder, dtype="float32", attention="eager")
        import_libraries()
        crossed = _cross(folder, *_read_folder(folder))
        identity = identifying.result()
    require_unchanged(folder, stamps)
    return _wrap(folder, crossed, identity, stamps, device)


def load_streamed(folder: Path) -> StreamedSubject:
    """As `load_transformer`, with the weights of two layers in memory; see `StreamedSubject`.

    Raises:
        ModelRefused: as `load_transformer`; or its family's layers cannot be read one by one.
        IntegrityError: as `load_transformer`.
    """
    from transformers import AutoConfig, AutoTokenizer

    stamps = stamp_files(folder)
    check_folder(folder)
    require_streamable(folder)
    tensors = check_declared(folder)
    with ThreadPoolExecutor(1) as pool:
        identifying = pool.submit(identify_model, folder, dtype="float32", attention="eager")
        import_libraries()
        with MODEL_LOCK, refuse_faults(folder):
            check_kind(read_json(folder / "config.json", limit=CONFIG_BYTES))
            inner = AutoTokenizer.from_pretrained(folder, **_OPTIONS)
            model, store = build_streamed(folder, AutoConfig.from_pretrained(folder, **_OPTIONS), tensors)
        crossed = _cross(folder, inner, model)
        identity = identifying.result()
    require_unchanged(folder, stamps)
    with refuse_faults(folder):
        return StreamedSubject(crossed.bridge, identity, crossed.tokenizer, stamps, store, crossed.own)


def _wrap(folder: Path, crossed: _Crossed, identity: ModelIdentity, stamps: Stamps, device: str) -> TransformerSubject:
    def build(known: ModelIdentity) -> TransformerSubject:
        return TransformerSubject(crossed.bridge, known, crossed.tokenizer, stamps, crossed.own)

    with refuse_faults(folder):
        return build(identity) if device == CPU else move_subject(build(identity), build, device)


def _read_folder(folder: Path) -> tuple[Any, Any]:
    """Load tokenizer and model with `transformers`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tensors = check_declared(folder)
    with MODEL_LOCK, refuse_faults(folder), check_against_files(folder, tensors):
        check_kind(read_json(folder / "config.json", limit=CONFIG_BYTES))
        inner = AutoTokenizer.from_pretrained(folder, **_OPTIONS)
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", use_safetensors=True, **_OPTIONS
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
        # A copy: TransformerLens adds a beginning-of-sequence token to a tokenizer without one. Those with one, it would
        # read from their files again to have it added; the engine passes tokens, never text.
        text = copy.deepcopy(inner)
        text.init_kwargs["add_bos_token"] = True
        bridge = TransformerBridge.boot_transformers(
            str(folder), hf_model=model, tokenizer=text, device="cpu", dtype=torch.float32
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
        STEERING,
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

    def load_on(self, folder: Path, device: str) -> TransformerSubject:
        return load_transformer(folder, device)

    def load_streamed(self, folder: Path) -> StreamedSubject:
        return load_streamed(folder)


PLUGIN = TransformerFamily()

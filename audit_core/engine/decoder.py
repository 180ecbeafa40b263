"""What every decoder-only subject gives, whether its weights are in memory or read layer by layer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from audit_core.component import OF_ENCODER_DECODERS, Component, Kind
from audit_core.engine.change_sizes import measure_change_rms
from audit_core.engine.parity import check_parity
from audit_core.engine.runner import WaveRunner
from audit_core.engine.sites import HOOKS, count_indices
from audit_core.errors import ModelRefused
from audit_core.intervention import Intervention, Replacement
from audit_core.models.identity import ModelIdentity
from audit_core.prompts.answers import Tokenizer
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import MEAN_KINDS, Floats, Geometry, Logits, Means, Progress, no_progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


class DecoderSubject:
    """Implements `Subject` and `MeanActivations` on the engine."""

    def __init__(
        self, runner: WaveRunner, identity: ModelIdentity, tokenizer: Tokenizer, own: Floats | None = None
    ) -> None:
        """Args:
        own: logits of the model as `transformers` runs it, on the tokens that `check_parity` takes.
        """
        self.bridge, self.identity, self.tokenizer = runner.bridge, identity, tokenizer
        self.geometry, self.runner = runner.geometry, runner
        if not runner.model.list_layers(Kind.HEAD):
            architecture = runner.bridge.cfg.architecture
            raise ModelRefused(
                f"No layer of this model ({architecture}) has attention heads that TransformerLens can reach.",
                wanted="a causal decoder with attention heads in at least some layers.",
                remedy="use such a model; this one was not measured.",
            )
        self.tolerance = check_parity(runner, tokenizer.bos_id, own)

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

    def activation_change_rms(
        self,
        prompts: TokenisedPrompts,
        parts: Sequence[Component],
        replacement: Replacement,
        *,
        means: Means | None = None,
    ) -> Floats:
        return measure_change_rms(self.runner, prompts, parts, replacement, means)


def read_geometry(bridge: TransformerBridge) -> Geometry:
    """Dimensions of a wrapped model."""
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

"""A decoder whose layers stay in its files: for models larger than memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audit_core.engine.decoder import DecoderSubject, read_geometry
from audit_core.engine.streamed.price import StreamPrice, predict_price
from audit_core.engine.streamed.runner import StreamedRunner
from audit_core.engine.streamed.store import LayerStore
from audit_core.intervention import Intervention
from audit_core.models.identity import ModelIdentity, Stamps, require_unchanged
from audit_core.prompts.answers import Tokenizer
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Floats, Logits, Means, Progress, no_progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


class StreamedSubject(DecoderSubject):
    """Sweeps and ablations of a decoder of which two layers are in memory at a time.

    Results equal those of the model in memory bit for bit on one machine, so it has the same identity. It gives no
    gradients, connections, patterns or attention, and its weights cannot be shuffled.
    """

    runner: StreamedRunner

    def __init__(
        self,
        bridge: TransformerBridge,
        identity: ModelIdentity,
        tokenizer: Tokenizer,
        stamps: Stamps,
        store: LayerStore,
        own: Floats | None = None,
    ) -> None:
        self.stamps, self.store = stamps, store
        super().__init__(StreamedRunner(bridge, read_geometry(bridge), store), identity, tokenizer, own)

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
        """As for a model in memory; raises `IntegrityError` if the weight files changed since they were hashed."""
        found = super().run(
            prompts, interventions, means=means, vocabulary=vocabulary, seed=seed, on_progress=on_progress
        )
        require_unchanged(Path(self.identity.folder), self.stamps)
        return found

    def predict_price(
        self, runs: Sequence[tuple[TokenisedPrompts, Sequence[Intervention]]], *, seed: int = 0
    ) -> StreamPrice:
        """Time and memory of these runs, from a timing of one layer on this machine; nothing is measured of the model."""
        return predict_price(self.runner, runs)

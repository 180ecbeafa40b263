"""A decoder that can be opened with a sparse dictionary, whose features are then components."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from audit_core.activations import TokenReading
from audit_core.component import Component, Kind
from audit_core.dictionaries.dictionary import Activity, Dictionary
from audit_core.engine.decoder import DecoderSubject
from audit_core.engine.device import to_numpy
from audit_core.engine.readout import Readout
from audit_core.engine.stream import read_stream, read_tokens
from audit_core.errors import ComponentRefused, Refused
from audit_core.intervention import Intervention
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import MEAN_KINDS, Floats, Logits, Means, Progress, no_progress, read_only


class FeaturedDecoder(DecoderSubject):
    """Implements `Features` on a decoder with all of its weights in memory."""

    dictionary: Dictionary | None = None
    """Gives its features their meaning; None for a model that was opened without one."""

    def with_dictionary(self, dictionary: Dictionary, name: str) -> Self:
        """The same model with the features of a dictionary as components; weights are shared.

        Args:
            name: of the dictionary, for display.

        Raises:
            Refused: the dictionary is of another width, or of a layer that the model lacks.
        """
        if dictionary.d_model != self.geometry.d_model or not 0 <= dictionary.layer < self.geometry.n_layers:
            raise Refused(
                f"A dictionary of layer {dictionary.layer} and width {dictionary.d_model}.",
                wanted=f"a layer below {self.geometry.n_layers}, width {self.geometry.d_model}.",
                remedy="choose a dictionary of this model.",
            )
        found = copy.copy(self)
        found.dictionary = dictionary
        found.identity = replace(
            self.identity, model=f"{self.identity.model} with {name}", dictionary_sha256=dictionary.sha256
        )
        return found

    def components(self, kind: Kind) -> tuple[Component, ...]:
        if kind is not Kind.FEATURE:
            return super().components(kind)
        return () if self.dictionary is None else tuple(map(self.dictionary.component, range(len(self.dictionary))))

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
        completed = [self.complete(one, means) for one in interventions]
        return super().run(prompts, completed, means=means, vocabulary=vocabulary, seed=seed, on_progress=on_progress)

    def complete(self, intervention: Intervention, means: Means | None) -> Intervention:
        """The intervention with the vectors of the features that it names; see `Dictionary.complete`."""
        if self.dictionary is None:
            return intervention
        return self.dictionary.complete(intervention, None if means is None else means.features)

    def capture_means(
        self,
        reference: TokenisedPrompts,
        *,
        kinds: Collection[Kind] = MEAN_KINDS,
        on_progress: Progress = no_progress,
    ) -> Means:
        others = [kind for kind in kinds if kind is not Kind.FEATURE]
        found = super().capture_means(reference, kinds=others, on_progress=on_progress) if others else Means({}, {})
        if self.dictionary is None or Kind.FEATURE not in kinds:
            return found
        rows = [ids for pair in reference.pairs for ids in (pair.clean_ids, pair.corrupted_ids)]
        return replace(found, features=read_only(self._read_activity(self.dictionary, rows).means.astype(np.float32)))

    def measure_activity(self, prompts: TokenisedPrompts) -> Activity:
        """How the features of its dictionary fire; see `Features`.

        Raises:
            Refused: it was opened without one.
        """
        if self.dictionary is None:
            raise ComponentRefused(
                "A model that was opened without a dictionary.", wanted="features.",
                remedy="open it with one, such as `default+default-layer-12`.",
            )  # fmt: skip
        return self._read_activity(self.dictionary, [pair.clean_ids for pair in prompts.pairs])

    def _read_activity(self, dictionary: Dictionary, rows: Sequence[Tokens]) -> Activity:
        streams = self.read_stream(rows, dictionary.layer)
        return dictionary.measure_activity(np.concatenate([one[1:] for one in streams]))

    def read_unembedding(self) -> Floats | None:
        """See `Features`."""
        readout = self.runner.readout
        if not isinstance(readout, Readout):
            return None
        table, _ = readout.output_weights()
        # Some norms have no weights, and some count them from one.
        gain = getattr(readout.bridge.ln_final, "weight", None)
        offset = bool(getattr(readout.bridge.cfg, "rmsnorm_uses_offset", False))
        rows = to_numpy((table if gain is None else table * (gain + offset)).detach().float())
        return np.asarray(rows - rows.mean(0))

    def read_stream(self, rows: Sequence[Tokens], layer: int, *, on_progress: Progress = no_progress) -> list[Floats]:
        return read_stream(self.runner.model, rows, layer, self.runner.turn, on_progress)

    def read_tokens(
        self, rows: Sequence[Tokens], layer: int, *, on_progress: Progress = no_progress
    ) -> list[TokenReading]:
        return read_tokens(self.runner.model, rows, layer, self.runner.turn, on_progress)

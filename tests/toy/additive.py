"""A subject without a model: the answer's logit is a sum with one term per part, so every effect is plain arithmetic.

A part writes `worth[part] · level(text)`; zero drops the term, resample takes the level of the pair's other text, mean
the level averaged over the reference prompts and both of their texts, scale multiplies the term. The foil's logit is 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from audit_core.component import Component, Kind, head, mlp, resid
from audit_core.errors import ModelRefused
from audit_core.intervention import Edit, Intervention, PromptSide, Replacement
from audit_core.models import ModelIdentity
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.answers import TokenLimits
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts, TokenPair
from audit_core.subject import Floats, Geometry, Logits, Means, Progress, no_progress

N_LAYERS, N_HEADS, N_VOCABULARY = 2, 3, 64
NOISE = 1e3
_LONGEST = 6


class WordTokenizer:
    """A word and the space before it are one token; a word of more than six letters is two."""

    def __init__(self, bos_id: int | None = 0) -> None:
        self.bos_id = bos_id
        self.pieces = ["<bos>"]

    def encode(self, text: str) -> list[int]:
        words = re.findall(r"\s?\w+|\s?[^\w\s]|\s", text)
        return [self._number(word[i : i + _LONGEST + 1]) for word in words for i in range(0, len(word), _LONGEST + 1)]

    def encode_each(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def _number(self, piece: str) -> int:
        if piece not in self.pieces:
            self.pieces.append(piece)
        return self.pieces.index(piece)

    def piece(self, token_id: int) -> str:
        return self.pieces[token_id]

    @property
    def limits(self) -> TokenLimits:
        return TokenLimits()

    def render_chat(self, message: str, reply: str | None = None) -> str:
        return f"<user>{message}<assistant>\n{reply or ''}"


class AdditiveSubject:
    """Implements `Subject`; `live` false makes edits that are counted and change nothing."""

    def __init__(
        self,
        worth: Mapping[Component, float],
        *,
        level: Callable[[str], float] | None = None,
        rest: float = 0.0,
        live: bool = True,
    ) -> None:
        self.worth, self.rest, self.live = dict(worth), rest, live
        self.level = level or (lambda text: 1.0 if text.startswith("good") else -1.0)
        self.identity = ModelIdentity("additive", "", *("0" * 64,) * 3, "float64", "none", "none", "not stated")
        self.geometry = Geometry(N_LAYERS, N_HEADS, N_HEADS, 1, 1, N_VOCABULARY, 0)
        self.tokenizer = WordTokenizer()
        self.tolerance, self.fallback = 1e-6, ""

    def components(self, kind: Kind) -> tuple[Component, ...]:
        if kind in (Kind.MLP, Kind.RESID):
            return tuple((mlp if kind is Kind.MLP else resid)(layer) for layer in range(N_LAYERS))
        return tuple(head(layer, index) for layer in range(N_LAYERS) for index in range(N_HEADS))

    def count_work(self, prompts: TokenisedPrompts, interventions: Sequence[Intervention]) -> int:
        return max(1, len(prompts) * len(interventions))

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
        answer = np.array(
            [[self._answer(pair, i, means) for pair in prompts.pairs] for i in interventions], np.float32
        ).reshape(len(interventions), len(prompts))
        words = np.zeros((*answer.shape, N_VOCABULARY), np.float32)
        for column, pair in enumerate(prompts.pairs):
            words[:, column, pair.answer_id] = answer[:, column]
        applied = sum(len(i.edits) for i in interventions) * len(prompts)
        on_progress(self.count_work(prompts, interventions), self.count_work(prompts, interventions))
        return Logits(answer, np.zeros_like(answer), words if vocabulary else None, applied)

    def _answer(self, pair: TokenPair, intervention: Intervention, means: Means | None) -> float:
        texts = {PromptSide.CLEAN: pair.prompt.clean, PromptSide.CORRUPTED: pair.prompt.corrupted}
        own, other = (self.level(texts[side]) for side in (intervention.side, intervention.side.other))
        edits = {e.component: e for e in intervention.edits} if self.live else {}
        if (entering := edits.get(resid(0))) is not None and entering.replacement is Replacement.RESAMPLE:
            own = other
        total = self.rest
        for part, worth in self.worth.items():
            edit = edits.get(part)
            total += worth * own if edit is None else self._replace(worth, own, other, edit, means)
        return total + NOISE * sum(e.replacement is Replacement.NOISE for e in edits.values())

    def _replace(self, worth: float, own: float, other: float, edit: Edit, means: Means | None) -> float:
        replacement, factor = edit.replacement, edit.factor
        if replacement is Replacement.ADD:
            assert edit.direction is not None
            return worth * (own + factor * edit.direction[0])
        if replacement in (Replacement.MEAN, Replacement.MEAN_TEMPLATE):
            assert means is not None
            return worth * float(means.activations[0, ""][Kind.HEAD])
        levels = {Replacement.ZERO: 0.0, Replacement.RESAMPLE: other, Replacement.SCALE: factor * own}
        return worth * levels.get(replacement, own)

    def capture_means(
        self, reference: TokenisedPrompts, *, kinds: object = (), on_progress: Progress = no_progress
    ) -> Means:
        texts = [text for pair in reference.pairs for text in (pair.prompt.clean, pair.prompt.corrupted)]
        mean = np.float32(np.mean([self.level(text) for text in texts]))
        return Means({(0, ""): {Kind.HEAD: mean}}, {(0, ""): len(reference)})

    def activation_change_rms(
        self,
        prompts: TokenisedPrompts,
        parts: Sequence[Component],
        replacement: Replacement,
        *,
        means: Means | None = None,
    ) -> Floats:
        moves = []
        for pair in prompts.pairs:
            own, other = self.level(pair.prompt.clean), self.level(pair.prompt.corrupted)
            moves.append(self._replace(1.0, own, other, Edit(head(0, 0), replacement), means) - own)
        return np.full(len(parts), np.sqrt(np.mean(np.square(moves))), np.float32)

    def attention_to_last(
        self, prompts: TokenisedPrompts, *, on_progress: Progress = no_progress
    ) -> tuple[Floats, ...]:
        """Every head looks evenly at all tokens."""
        shapes = [(N_LAYERS, N_HEADS, len(pair.clean_ids)) for pair in prompts.pairs]
        return tuple(np.full(shape, 1 / shape[-1], np.float32) for shape in shapes)

    def patterns(self, pair: TokenPair, intervention: Intervention, *, means: Means | None = None) -> Floats:
        length = len(pair.clean_ids)
        return np.full((N_LAYERS, N_HEADS, length, length), 1 / length, np.float32)

    def pattern_of(
        self, pair: TokenPair, intervention: Intervention, head: Component, *, means: Means | None = None
    ) -> Floats:
        return self.patterns(pair, intervention, means=means)[head.layer, head.index]

    def randomised(self, layer: int, *, seed: int) -> AdditiveSubject:
        raise ModelRefused("A sum has no weights.", wanted="a transformer.", remedy="choose another subject.")


def pair_up(
    subject: AdditiveSubject, n: int = 20, *, n_templates: int = 5, texts: Sequence[tuple[str, str]] = ()
) -> TokenisedPrompts:
    """`good 3 x` beside `bad 3 x`, or the texts given; templates in turn."""
    texts = texts or [(f"good {number} x", f"bad {number} x") for number in range(n)]
    rows = [
        Prompt(f"p{number}", clean, corrupted, " yes", " no", f"t{number % n_templates}")
        for number, (clean, corrupted) in enumerate(texts)
    ]
    return tokenise(PromptSet("additive", tuple(rows)), subject.tokenizer)

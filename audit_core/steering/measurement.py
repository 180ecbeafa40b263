"""Steering, measured: strengths are chosen on a third of the prompts, and every method is measured on the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit_core.capability import STEERING
from audit_core.controls import NOISE_FACTOR, Controls
from audit_core.dictionaries.dictionary import Dictionary
from audit_core.dictionaries.shelf import open_dictionary
from audit_core.errors import ControlFailed, NotMeasured, Refused
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.steering.concepts import Concept, encode_text
from audit_core.steering.conditions import Writer, prompt_with
from audit_core.steering.directions import measure_norm
from audit_core.steering.ranking import RANKED_ON, count_needed, rank_directions
from audit_core.steering.report import report_outcomes
from audit_core.steering.results import SteeringRequest, SteeringResult
from audit_core.steering.trial import TRIED_RANDOM, measure_chosen, try_conditions
from audit_core.subject import Progress, Subject

MOST_STRENGTHS, MOST_TOKENS, MOST_DRAWS, MOST_PROMPTS = 6, 64, 99, 200
MOST_POSITIONS = 2048
"""Of a model that names no limit."""
CHOSEN_ON = 3
"""One prompt in this many is used to choose strengths."""
CHECKED = 4
"""Prompts of the identity check."""
NOISE = 10.0
"""Length of the vector of the noise check, in median norms."""
APART = 10
"""Tolerances by which a token as it was written may differ from one pass over the whole text: sums in another order."""


@dataclass(frozen=True)
class Plan:
    """What a request asks, parsed and within its bounds."""

    strengths: tuple[float, ...]
    choosing: TokenisedPrompts
    measured: TokenisedPrompts
    room: int
    """Tokens that fit before the longest prompt or text."""


def read_plan(subject: Subject, request: SteeringRequest) -> Plan:
    """Check a request, and divide its prompts.

    Raises:
        Refused: strengths, tokens, random directions, prompts or the layer are out of range.
    """
    try:
        strengths = tuple(sorted({float(word) for word in request.strengths.replace(",", " ").split()}))
    except ValueError:
        strengths = ()
    if not 1 <= len(strengths) <= MOST_STRENGTHS or not all(0 < one <= 10 for one in strengths):
        raise Refused(
            f"Strengths {request.strengths[:60]!a}.", wanted=f"1 to {MOST_STRENGTHS} numbers above 0 and at most 10.",
            remedy="write them such as 0.2 0.35 0.5.",
        )  # fmt: skip
    bounds = (
        ("tokens", request.n_tokens, 1, MOST_TOKENS), ("random directions", request.draws, 1, MOST_DRAWS),
        ("prompts", len(request.prompts), 2, MOST_PROMPTS), ("layer", request.layer, 0, subject.geometry.n_layers - 1),
    )  # fmt: skip
    for name, value, least, most in bounds:
        if not least <= value <= most:
            raise Refused(f"{name}: {value}.", wanted=f"{least} to {most}.", remedy="change this number.")
    if not 0 <= request.temperature <= 2:
        raise Refused(f"Temperature {request.temperature:g}.", wanted="0 to 2.", remedy="change it.")
    first = [at for at in range(len(request.prompts)) if at % CHOSEN_ON == 0]
    rest = [at for at in range(len(request.prompts)) if at % CHOSEN_ON]
    longest = max(len(pair.clean_ids) for pair in request.prompts.pairs) + request.n_tokens
    longest = max(longest, *(len(encode_text(subject.tokenizer, text)) for text in request.task.others))
    room = (subject.tokenizer.limits.n_positions or MOST_POSITIONS) - longest
    return Plan(strengths, request.prompts.take(first), request.prompts.take(rest), room)


def count_work_of(subject: Subject, request: SteeringRequest) -> int:
    """Units of work, at most: layers × positions of every pass."""
    plan = read_plan(subject, request)
    geometry, encode = subject.geometry, subject.tokenizer.encode
    n_steered = (3 if request.dictionary else 2) * len(plan.strengths)
    prefixes = [
        len(one.prefix) for concept in request.task.concepts for one in prompt_with(concept, subject, plan.room)
    ]
    n_concepts, few = len(request.task.concepts), min(request.draws, TRIED_RANDOM) * len(plan.strengths)
    conditions = 1 + len(prefixes) + n_concepts * n_steered + few
    later = 1 + n_concepts * (n_steered // len(plan.strengths) + 1) + few
    n_verdicts = n_concepts * (n_steered // len(plan.strengths))
    # Ranked at every strength that may be chosen, among as many as a corrected p-value may need; these are only written.
    n_ranked = max(request.draws, count_needed(n_verdicts)) * len(plan.strengths)
    ranked_on = plan.measured.pairs[:RANKED_ON]
    positions = n_ranked * sum(len(pair.clean_ids) + request.n_tokens for pair in ranked_on)
    for prompts, n in ((plan.choosing, conditions), (plan.measured, later)):
        lengths = sum(len(pair.clean_ids) + request.n_tokens for pair in prompts.pairs)
        positions += 2 * n * lengths + sum(prefixes) * len(prompts)
    off = sum(len(encode(text)) + 1 for text in request.task.others)
    return int(geometry.n_layers * (positions + (conditions + later) * off + sum(prefixes) * len(request.task.others)))


def measure_request(subject: Subject, request: SteeringRequest, on_progress: Progress) -> SteeringResult:
    """Steer along each direction, choose strengths on some prompts, and measure on the others.

    Raises:
        Refused: see `read_plan`.
        ControlFailed: nothing added changed something, a large vector changed nothing, or what was written token by token
            differs from one pass.
        NotMeasured: a concept has no direction, or none of its words is a token of the model.
    """
    plan, total = read_plan(subject, request), count_work_of(subject, request)
    done = 0

    def advance(work: int) -> None:
        nonlocal done
        done = min(total - 1, done + work)
        on_progress(done, total)

    texts = [encode_text(subject.tokenizer, text) for text in request.task.others]
    norm = measure_norm(subject, texts, request.layer)
    writer = Writer(
        subject,
        request.layer,
        norm,
        request.task.concepts,
        request.n_tokens,
        request.temperature,
        request.seed,
        plan.room,
        advance,
    )
    _check_words(subject, request.task.concepts)
    controls = check_steering(writer, plan.choosing.take(range(min(CHECKED, len(plan.choosing)))))
    dictionary, no_feature = find_dictionary_of(subject, request)
    tried = try_conditions(writer, plan.choosing, plan.strengths, dictionary, request.draws)
    measured = measure_chosen(writer, plan.measured, tried, texts)
    ranking = rank_directions(writer, plan.measured, tried, measured, request.draws)
    apart = max(tried.apart, measured.apart, ranking.apart)
    if not apart <= APART * subject.tolerance:
        raise ControlFailed(
            f"A token as it was written differs from one pass over the whole text by {apart:.3g} logits."
        )
    edits = sum(tried.conditions[at].vector is not None for at in measured.outcomes) * len(plan.measured)
    result = report_outcomes(
        request, plan.measured, plan.choosing, tried, measured, ranking, norm=norm, controls=replace(controls, edits=edits),
        no_feature=no_feature,
    )  # fmt: skip
    on_progress(total, total)
    return result


def find_dictionary_of(subject: Subject, request: SteeringRequest) -> tuple[Dictionary | None, str]:
    """The dictionary whose feature is measured, and why none is.

    Raises:
        ModelRefused: it is of another model.
    """
    if not request.dictionary:
        return None, "no dictionary ships for this model"
    _, found = open_dictionary(subject, request.dictionary)
    if found.layer != request.layer:
        return None, f"the dictionary of this model is of layer {found.layer}, and layer {request.layer} is steered"
    return found, ""


def _check_words(subject: Subject, concepts: Sequence[Concept]) -> None:
    for concept in concepts:
        if not concept.list_tokens(subject.tokenizer):
            raise NotMeasured("not_active", f"no word of {concept.title[:60]} is a single token of this model.")


def check_steering(writer: Writer, prompts: TokenisedPrompts) -> Controls:
    """Identity: a vector of zeros changes no token and no bit of a logit. Noise: a long random vector changes the logits.

    Raises:
        ControlFailed: either does not hold.
    """
    subject, steerable = writer.subject, STEERING.of(writer.subject)
    rows = [pair.clean_ids for pair in prompts.pairs]
    zeros = np.zeros((len(rows), subject.geometry.d_model), np.float32)
    sampling = writer.sample(range(len(rows)))
    without, nothing = (steerable.write_steered(rows, writer.layer, each, sampling, [[0]]) for each in (None, zeros))
    identity = max(float(steerable.measure_shift(row, [row], writer.layer, zeros[:1]).largest[0]) for row in rows)
    is_same = bool((without.ids == nothing.ids).all() and (without.first == nothing.first).all())
    if identity != 0 or not is_same:
        raise ControlFailed(f"A vector of zeros changed what is written, or a logit by {identity:.3g}.")
    draw = np.random.default_rng(writer.seed).normal(size=zeros.shape)
    long = (draw / np.linalg.norm(draw, axis=1, keepdims=True) * NOISE * writer.norm).astype(np.float32)
    noise = min(
        float(steerable.measure_shift(row, [row], writer.layer, long[at : at + 1]).largest[0])
        for at, row in enumerate(rows)
    )  # fmt: skip
    if not noise > NOISE_FACTOR * subject.tolerance:
        raise ControlFailed(f"A vector of {NOISE:g} median norms changed no logit: this hook does not work.")
    return Controls(identity, noise, subject.tolerance, 0)

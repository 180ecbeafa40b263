"""Requests of every audit, some of each, that the tests ask."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from toy.closed_models import write_questions
from toy.probe_texts import write_votes
from toy.steering import ask_votes

from audit_core.attention.plausibility import Source
from audit_core.audits.ablation import AblationRequest
from audit_core.audits.attention import AttentionRequest
from audit_core.audits.attention_tests import AttentionTestsRequest
from audit_core.audits.both_sides import BothSidesRequest
from audit_core.audits.circuit import CircuitRequest
from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.audits.confirmation import ConfirmationRequest
from audit_core.audits.curve import CurveRequest
from audit_core.audits.discover import DiscoverRequest
from audit_core.audits.edges import EdgesRequest
from audit_core.audits.experts import ExpertsRequest
from audit_core.audits.explanations import ExplanationsRequest
from audit_core.audits.paths import PathsRequest
from audit_core.audits.positions import PositionsRequest
from audit_core.audits.rationale import RationaleRequest
from audit_core.audits.recomposition import RecompositionRequest
from audit_core.audits.rival import RivalRequest
from audit_core.audits.robustness import RobustnessRequest
from audit_core.audits.source_tokens import SourceTokensRequest
from audit_core.audits.specificity import SpecificityRequest
from audit_core.audits.stability import StabilityRequest
from audit_core.audits.sweep import SweepRequest
from audit_core.audits.token_gradients import TokenGradientsRequest
from audit_core.audits.transfer import TransferRequest
from audit_core.benchmarks import BenchmarkRequest
from audit_core.circuits import OtherTask
from audit_core.claim import Claim, Role, Universe
from audit_core.component import Component, Kind, edge, head, mlp, resid
from audit_core.data_folder import DATA
from audit_core.decisions import DecisionsRequest, DecisionTask, read_task
from audit_core.dictionaries.shelf import PLANTED
from audit_core.documents import DocumentsRequest
from audit_core.explanations import UnitKind
from audit_core.features import (
    EvaluationRequest,
    FeaturesRequest,
    VersionsRequest,
    ask_texts,
    describe_prompts,
    read_labelled_file,
)
from audit_core.intervention import Direction, Replacement
from audit_core.lenses import LensesRequest
from audit_core.probes import ProbesRequest
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts, is_exploratory
from audit_core.registry import list_plugins
from audit_core.source_tokens import SourceToken
from audit_core.subjects.planted import find_planted
from audit_core.tabular import TableTask, make_task, read_tumours
from audit_core.tabular.prompts import ask_rows
from audit_core.tabular.results import TabularRequest
from audit_core.tools import ToolsRequest
from audit_core.vision import read_marked


def list_requests(prompts: TokenisedPrompts) -> dict[str, list[Any]]:
    one = replace(prompts, pairs=prompts.pairs[:1])
    circuit = (head(0, 0), head(1, 0), head(1, 3))
    looked_at = replace(prompts, pairs=tuple(pair for pair in prompts.pairs if is_exploratory(pair.prompt)))
    judged = replace(prompts, pairs=tuple(pair for pair in prompts.pairs if not is_exploratory(pair.prompt)))
    return {
        "ablation": [
            AblationRequest(prompts, prompts, circuit),
            AblationRequest(prompts, prompts, circuit, Replacement.RESAMPLE, Direction.DENOISING),
            AblationRequest(prompts, prompts, circuit, Replacement.SCALE, factor=0.5),
            AblationRequest(prompts, prompts, (mlp(0), head(1, 0)), Replacement.MEAN, universe=Universe.HEADS_MLPS),
            AblationRequest(one, prompts, (head(1, 0, -1), resid(1, 3)), Replacement.ZERO),
            AblationRequest(one, prompts, (edge(1, 0, -1, 2),), Replacement.ZERO, metric="answer_probability"),
        ],
        "attention": [AttentionRequest(prompts, source) for source in Source],
        "attention_tests": [
            AttentionTestsRequest(
                prompts, prompts, (head(0, 0), head(1, 0), head(1, 3)), shuffles=2, shuffled_from=(1,)
            ),
            AttentionTestsRequest(prompts, prompts, shuffles=1, shuffled_from=(2,), seed=1),
        ],
        "benchmark": [
            BenchmarkRequest(prompts, circuit[1:2], random_sets=5),
            BenchmarkRequest(prompts, (mlp(1),), Replacement.MEAN, random_sets=5, measured_items=8),
        ],
        "claim_test": [
            ClaimTestRequest(prompts, Claim("necessary", (head(1, 0),))),
            ClaimTestRequest(prompts, Claim("sufficient", circuit, role=Role.SUFFICIENT, delta=0.8)),
            ClaimTestRequest(prompts, Claim("mlp", (mlp(1),), Universe.HEADS_MLPS, ablation=Replacement.ZERO)),
            ClaimTestRequest(prompts, Claim("in probability", (head(1, 0),), metric="answer_probability")),
        ],
        "circuit": [
            CircuitRequest(prompts, prompts, circuit),
            CircuitRequest(prompts, prompts, (head(1, 0), mlp(1)), Universe.HEADS_MLPS, Replacement.MEAN),
        ],
        "curve": [
            CurveRequest(prompts, prompts, circuit, order=tuple(head(la, at) for la in range(3) for at in range(4))),
            CurveRequest(judged, judged, circuit, explored=looked_at, method="integrated_gradients"),
        ],
        "robustness": [
            RobustnessRequest(judged, looked_at, (head(1, 0),)),
            RobustnessRequest(judged, looked_at, circuit, Role.SUFFICIENT, 0.8, Replacement.MEAN),
        ],
        "confirmation": [
            ConfirmationRequest(judged, Claim("necessary", (head(1, 0),)), looked_at),
            ConfirmationRequest(
                judged,
                Claim("alone", circuit, role=Role.SUFFICIENT, delta=0.8),
                looked_at,
                ("recomposition", "stability"),
                method="integrated_gradients",
            ),
        ],
        "decisions": [DecisionsRequest(prompts, make_decision_task())],
        "discover": [
            DiscoverRequest(looked_at, looked_at, method, replacement=Replacement.RESAMPLE)
            for method in list_plugins("circuit_discovery")
        ]
        + [DiscoverRequest(looked_at, looked_at, "exact", Universe.HEADS_MLPS, Replacement.MEAN)],
        "explanations": [
            ExplanationsRequest(replace(prompts, pairs=prompts.pairs[:2]), prompts),
            ExplanationsRequest(one, prompts, UnitKind.WORDS),
        ],
        "positions": [
            PositionsRequest(one, prompts, circuit),
            PositionsRequest(one, prompts, circuit, replacement=Replacement.MEAN),
        ],
        "recomposition": [
            RecompositionRequest(prompts, prompts, circuit),
            RecompositionRequest(prompts, prompts, (head(1, 0), mlp(1)), Universe.HEADS_MLPS, Replacement.MEAN),
        ],
        "rival": [
            RivalRequest(judged, judged, circuit, explored=looked_at),
            RivalRequest(
                judged, judged, circuit, replacement=Replacement.MEAN, explored=looked_at, method="random_order"
            ),
        ],
        "specificity": [
            SpecificityRequest(prompts, prompts, circuit),
            SpecificityRequest(prompts, prompts, circuit, others=(OtherTask(judged), OtherTask(judged, circuit[:1]))),
        ],
        "stability": [StabilityRequest(looked_at, looked_at, "exact", size=3)],
        "token_gradients": [
            TokenGradientsRequest(one, prompts),
            TokenGradientsRequest(one, prompts, steps=1, most_steps=1),
        ],
        "transfer": [TransferRequest(judged, judged, circuit, explored=looked_at)],
        "edges": [EdgesRequest(one, 1, 0), EdgesRequest(one, 2, 0, metric="answer_probability")],
        "lenses": [LensesRequest(prompts, prompts), LensesRequest(prompts, prompts, Replacement.MEAN, seed=1)],
        "paths": [
            PathsRequest(prompts, prompts, (*circuit, mlp(1))),
            PathsRequest(prompts, prompts, circuit, split=True, replacement=Replacement.MEAN),
        ],
        "sweep": [
            SweepRequest(prompts, prompts, kind, replacement, direction)
            for kind, replacement, direction in (
                (Kind.HEAD, Replacement.RESAMPLE, Direction.NOISING),
                (Kind.HEAD, Replacement.RESAMPLE, Direction.DENOISING),
                (Kind.MLP, Replacement.MEAN, Direction.NOISING),
                (Kind.RESID, Replacement.RESAMPLE, Direction.DENOISING),
            )
        ],
    }


def list_requests_to_an_encoder_decoder(subject: Any) -> dict[str, list[Any]]:
    model = find_planted("planted-encoder-decoder")
    assert model is not None
    lookup = tokenise(model.tasks[0].make(4, 0), subject.tokenizer)
    one = replace(lookup, pairs=lookup.pairs[:1])
    return {
        "source_tokens": [SourceTokensRequest(lookup, lookup), SourceTokensRequest(one, lookup, SourceToken.CHANGED)],
        "both_sides": [BothSidesRequest(lookup, lookup, components=(Component(0, Kind.CROSS_HEAD, 1),))],
    }


def list_requests_to_a_mixture(subject: Any) -> dict[str, list[Any]]:
    model = find_planted("planted-mixture")
    assert model is not None
    lookup = tokenise(model.tasks[0].make(1, 0), subject.tokenizer)
    one = replace(lookup, pairs=lookup.pairs[:1])
    forced = (Component(0, Kind.EXPERT, 3), Component(0, Kind.EXPERT, 6))
    return {
        "experts": [
            ExpertsRequest(lookup, lookup),
            ExpertsRequest(one, lookup, at_answer=True, force=forced, weigh=forced[:1]),
        ]
    }


def list_requests_to_a_reader(subject: Any) -> dict[str, list[Any]]:
    model = find_planted("planted-reader-grounded")
    assert model is not None
    lookup = tokenise(model.tasks[0].make(1, 0), subject.tokenizer)
    one = replace(lookup, pairs=lookup.pairs[:1])
    sentences = tokenise(model.find_task("reader-sentences").make(1, 0), subject.tokenizer).take(range(1))
    return {
        "documents": [
            DocumentsRequest(lookup.take(range(4))),
            DocumentsRequest(one, fillers=3, edits=4),
            DocumentsRequest(sentences, fillers=2, edits=2, traced=1, by_sentence=1),
        ]
    }


def list_requests_to_a_voter(subject: Any) -> dict[str, list[Any]]:
    model = find_planted("planted-strict")
    assert model is not None
    votes = tokenise(model.find_task("vote").make(3, 0), subject.tokenizer)
    # The used feature is active where the majority is A alone, and noise in the decoy changes no logit.
    one = replace(votes, pairs=tuple(pair for pair in votes.pairs if pair.prompt.answer == " A")[:1])
    return {
        "features": [
            FeaturesRequest(votes, PLANTED, "L1.F0 L1.F1", described="A"), FeaturesRequest(one, PLANTED, "L1.F0", seed=1),
        ],
        "feature_versions": [VersionsRequest(votes, "planted-and", PLANTED)],
        "feature_evaluation": [ask_evaluation(subject)],
        "steering": [ask_votes(subject), ask_votes(subject, prompts=2, draws="1", seed=1)],
        "probes": [ProbesRequest(votes, layers=1), ProbesRequest(votes, layers=1, texts=1, seed=1)],
    }  # fmt: skip


def ask_evaluation(subject: Any) -> EvaluationRequest:
    """Eleven words that are repeated, which the model continues as it read them; labels of the majority of votes."""
    words = [np.random.default_rng(seed).permutation(np.arange(1, 29))[:11].tolist() for seed in range(8)]
    texts = [" ".join(map(subject.tokenizer.piece, (*one, *one))) for one in words]
    asked = ask_texts("repeated words", [(text, str(at)) for at, text in enumerate(texts)], subject.tokenizer)
    labelled = read_labelled_file(write_votes("majority", n_pairs=3), "votes.csv", subject.tokenizer)
    return EvaluationRequest(asked, describe_prompts(asked), PLANTED, labelled)


def list_requests_to_a_chain(subject: Any) -> dict[str, list[Any]]:
    model = find_planted("planted-chain-last")
    assert model is not None
    chains = tokenise(model.tasks[0].make(1, 0), subject.tokenizer)
    return {"rationale": [RationaleRequest(chains), RationaleRequest(replace(chains, pairs=chains.pairs[:1]))]}


def list_requests_to_a_chooser(subject: Any) -> dict[str, list[Any]]:
    model = find_planted("planted-tools-follower")
    assert model is not None
    asked = tokenise(model.tasks[0].make(4, 0), subject.tokenizer)
    return {"tools": [ToolsRequest(asked, most_requests=4), ToolsRequest(asked, most_requests=1)]}


def list_requests_to_a_closed_model(subject: Any) -> dict[str, list[Any]]:
    audits, more = list_plugins("audits"), {"fillers": "2", "edits": "3"}
    return {
        "closed_documents": [
            audits["closed_documents"].ask_file(subject, write_questions(3), "own.csv", more),
            audits["closed_documents"].ask_file(subject, write_questions(1), "own.csv", {}, seed=1),
        ]
    }


def list_requests_to_a_closed_agent(subject: Any) -> dict[str, list[Any]]:
    raw = (DATA / "tools" / "requests.csv").read_bytes()
    ask = list_plugins("audits")["closed_tools"].ask_file
    return {"closed_tools": [ask(subject, raw, "own.csv", {"most_requests": n}) for n in ("18", "6")]}


def make_decision_task() -> DecisionTask:
    """Forty applicants in the words of the planted models."""
    lines = [f"w0{1 + at % 3},w0{4 + at % 2}" for at in range(40)]
    slots = "first = w01 < w02 < w03, may rise; second = w04 | w05, protected"
    raw = "\n".join(["first,second", *lines]).encode()
    return read_task(raw, name="toy", template="{first} {second} =", slots=slots, yes="A", no="B")


def list_requests_to_an_image_classifier(subject: Any) -> dict[str, list[Any]]:
    """The shipped region on 24 images, and another region on eight."""
    lines, ask = read_marked().splitlines(keepends=True), list_plugins("audits")["vision"].ask_file
    return {
        "vision": [
            ask(subject, b"".join(lines[:25]), "own.csv", {}),
            ask(subject, b"".join(lines[:9]), "own.csv", {"region": "5,5,2,3", "smallest": "0.3"}, seed=1),
        ]
    }


def make_table_task(n: int = 60, d: int = 10) -> TableTask:
    """Rows of as many features as the shipped tabular model reads, in its ranges, with outcomes."""
    lines = [line.split(",") for line in read_tumours().decode().splitlines()[1 : n + 1]]
    rows = np.array([[float(word) for word in line[:d]] for line in lines])
    names = tuple(f"f{at}" for at in range(d))
    return make_task(rows, names, outcomes=np.array([line[-2] == "benign" for line in lines]), marks="f1, protected")


def list_requests_to_a_tabular_model() -> dict[str, list[Any]]:
    """Sixty rows, of which too few are benign for models beside it."""
    task = make_table_task()
    return {"tabular": [TabularRequest(ask_rows(task), task)]}

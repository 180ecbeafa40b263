"""Requests about a dictionary as a whole: its evaluation, and how its features fire in two versions of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from audit_core.dictionaries.shelf import DEFAULT, find_dictionary, open_dictionary
from audit_core.documents.results import DocumentSource
from audit_core.errors import ControlFailed, Refused
from audit_core.features.difference import FiringDifference, compare_firing
from audit_core.features.evaluation import STEPS, DictionaryEvaluation, LabelledRows, evaluate_dictionary
from audit_core.features.held_out import list_rows
from audit_core.features.request import DictionaryName
from audit_core.other_models import OtherModel, find_others
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Request
from audit_core.subject import Progress, Subject
from audit_core.subject_family import load_folder


@dataclass(frozen=True)
class VersionsRequest(Request):
    """Request: how the features of a dictionary fire in another version of the model, on the clean texts of the prompts."""

    prompts: TokenisedPrompts
    other_model: Annotated[
        str, Ask("Other version", "Name or folder of another version of the model, on this machine.")
    ]
    dictionary: DictionaryName = DEFAULT
    seed: int = 0

    def describe(self) -> dict[str, Any]:
        # Names alone would let other weights share a result.
        digest = find_dictionary(self.dictionary).sha256
        return super().describe() | {"other_model": self.find_other().to_json(), "dictionary_sha256": digest}

    def find_other(self) -> OtherModel:
        """The other version, by its digests.

        Raises:
            Refused: none or several are named, or it is not on this machine.
        """
        found = find_others(self.other_model)
        if len(found) != 1:
            raise Refused(f"{len(found)} other versions.", wanted="one.", remedy="name a model or its folder.")
        return found[0]


@dataclass(frozen=True)
class EvaluationRequest(Request):
    """Request: a dictionary beside its baselines, on the clean texts of the prompts."""

    prompts: TokenisedPrompts
    source: DocumentSource
    """Where the texts come from."""
    dictionary: DictionaryName = DEFAULT
    labelled: LabelledRows | None = None
    """Texts of two labels for sparse probes."""
    seed: int = 0

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"dictionary_sha256": find_dictionary(self.dictionary).sha256}


def count_comparison(subject: Subject, request: VersionsRequest) -> int:
    """Units of work: tokens times layers, in both versions."""
    request.find_other()
    return 2 * _count_tokens(request.prompts) * find_dictionary(request.dictionary).load().layer or 1


def count_evaluation(subject: Subject, request: EvaluationRequest) -> int:
    """Units of work: tokens times layers, in each run; the words of absorption are few beside them."""
    return STEPS * _count_tokens(request.prompts) * subject.geometry.n_layers


def _count_tokens(prompts: TokenisedPrompts) -> int:
    return sum(map(len, list_rows(prompts).rows))


def measure_comparison(subject: Subject, request: VersionsRequest, on_progress: Progress) -> FiringDifference:
    """Compare the two versions; the other one is loaded for this and then let go.

    Raises:
        Refused: it is the same model, or as `compare_firing`.
        ControlFailed: its files changed while it was measured.
        NotMeasured: see `compare_firing`.
    """
    entry, dictionary = open_dictionary(subject, request.dictionary)
    asked, own, texts = request.find_other(), subject.identity, list_rows(request.prompts)
    if (own.weights_sha256, own.config_sha256) == (asked.weights_sha256, asked.config_sha256):
        raise Refused(
            f"{asked.short_name[:60]} is this model, with the same weights.", wanted="another version.",
            remedy="name another model or folder.",
        )  # fmt: skip
    other = load_folder(asked.folder, device=subject.identity.device)
    if other.identity.weights_sha256 != asked.weights_sha256:
        raise ControlFailed("Its files changed while it was measured.")
    return compare_firing(
        subject, other, dictionary, texts.rows, texts.names, seed=request.seed, name=entry.name,
        on_progress=on_progress,
    )  # fmt: skip


def measure_evaluation(subject: Subject, request: EvaluationRequest, on_progress: Progress) -> DictionaryEvaluation:
    """Evaluate the dictionary; raises as `open_dictionary` and `evaluate_dictionary`."""
    entry, dictionary = open_dictionary(subject, request.dictionary)
    texts = list_rows(request.prompts)
    return evaluate_dictionary(
        subject, dictionary, texts.rows, texts.names, request.labelled, seed=request.seed, name=entry.name,
        on_progress=on_progress,
    )  # fmt: skip

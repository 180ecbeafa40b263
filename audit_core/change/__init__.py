"""Model changes: compare two versions of a model, and revalidate the claims about it."""

from audit_core.change.effect_diff import EffectChange, EffectDiff, EffectQuestion, measure_effect_diff
from audit_core.change.model_diff import ComponentDiff, ModelDiff, TensorChange, TensorDiff, compare_models
from audit_core.change.regression import Outcome, Regression
from audit_core.change.revalidation import Artefact, Revalidated, Revalidation, rerun_stale, revalidate_claims
from audit_core.change.tokenizer_diff import KeyChange, TokenizerDiff, VocabularyDiff

__all__ = [
    "Artefact",
    "ComponentDiff",
    "EffectChange",
    "EffectDiff",
    "EffectQuestion",
    "KeyChange",
    "ModelDiff",
    "Outcome",
    "Regression",
    "Revalidated",
    "Revalidation",
    "TensorChange",
    "TensorDiff",
    "TokenizerDiff",
    "VocabularyDiff",
    "compare_models",
    "measure_effect_diff",
    "rerun_stale",
    "revalidate_claims",
]

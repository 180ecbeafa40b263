"""Features of a sparse dictionary: components of the residual stream whose effect is measured by intervening.

The `Dictionary` is trained here or imported; a feature's label is tested by detection (observational), its ablation by its
effect on a lead (causal). The two findings are shown side by side and are never one number.
"""

from audit_core.dictionaries.dictionary import Dictionary, draw_dictionary
from audit_core.dictionaries.shelf import (
    BASELINES,
    DictionaryEntry,
    Origin,
    attach_dictionary,
    check_new_name,
    find_dictionary,
    find_of_model,
    list_dictionaries,
    list_of_model,
    open_dictionary,
)
from audit_core.dictionaries.store import import_saelens, load_dictionary
from audit_core.features.absorption import CAVEAT
from audit_core.features.difference import FiringChange, FiringDifference, compare_firing
from audit_core.features.evaluation import DictionaryEvaluation, FamilyScore, LabelledRows, evaluate_dictionary
from audit_core.features.held_out import (
    HeldOutTexts,
    ask_texts,
    describe_prompts,
    list_rows,
    list_shipped_texts,
    read_labelled_file,
    read_text_file,
)
from audit_core.features.index import FeatureIndex, IndexedFeature, Shown, find_index
from audit_core.features.labels import LabelledText, check_label
from audit_core.features.making import NewDictionary, import_own, make_baseline, predict_training_s, train_own
from audit_core.features.measurement import (
    compare_families,
    list_dimensions,
    list_principal,
    measure_activity,
    measure_features,
)
from audit_core.features.quality import Card, Training, measure_quality
from audit_core.features.report import measure_request
from audit_core.features.request import FeatureRow, FeaturesRequest, FeaturesResult
from audit_core.features.results import (
    EffectsReport,
    EffectVerdict,
    FamilyEffect,
    FeatureEffect,
    LabelTest,
    LabelVerdict,
    describe_both,
)
from audit_core.features.saving import save_dictionary
from audit_core.features.search import Found, search_firing, search_labels, search_text, search_writes
from audit_core.features.texts import TextRows, split_texts
from audit_core.features.training import Recipe, train_dictionary
from audit_core.features.whole import EvaluationRequest, VersionsRequest

__all__ = [
    "BASELINES",
    "CAVEAT",
    "Card",
    "Dictionary",
    "DictionaryEntry",
    "DictionaryEvaluation",
    "EffectVerdict",
    "EffectsReport",
    "EvaluationRequest",
    "FamilyEffect",
    "FamilyScore",
    "FeatureEffect",
    "FeatureIndex",
    "FeatureRow",
    "FeaturesRequest",
    "FeaturesResult",
    "FiringChange",
    "FiringDifference",
    "Found",
    "HeldOutTexts",
    "IndexedFeature",
    "LabelTest",
    "LabelVerdict",
    "LabelledRows",
    "LabelledText",
    "NewDictionary",
    "Origin",
    "Recipe",
    "Shown",
    "TextRows",
    "Training",
    "VersionsRequest",
    "ask_texts",
    "attach_dictionary",
    "check_label",
    "check_new_name",
    "compare_families",
    "compare_firing",
    "describe_both",
    "describe_prompts",
    "draw_dictionary",
    "evaluate_dictionary",
    "find_dictionary",
    "find_index",
    "find_of_model",
    "import_own",
    "import_saelens",
    "list_dictionaries",
    "list_dimensions",
    "list_of_model",
    "list_principal",
    "list_rows",
    "list_shipped_texts",
    "load_dictionary",
    "make_baseline",
    "measure_activity",
    "measure_features",
    "measure_quality",
    "measure_request",
    "open_dictionary",
    "predict_training_s",
    "read_labelled_file",
    "read_text_file",
    "save_dictionary",
    "search_firing",
    "search_labels",
    "search_text",
    "search_writes",
    "split_texts",
    "train_dictionary",
    "train_own",
]

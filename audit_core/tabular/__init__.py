"""Tabular models: what changing the features of a row does, beside scores and models that can be read."""

from audit_core.tabular.kept import keep_onnx
from audit_core.tabular.measurement import measure_table
from audit_core.tabular.recorded import RecordedTabular, find_recorded
from audit_core.tabular.results import (
    ON_INPUT,
    CaseRow,
    PointRow,
    ReadableRow,
    TabularFile,
    TabularRequest,
    TabularResult,
)
from audit_core.tabular.retrain import retrain_without
from audit_core.tabular.scoring import EstimatorTables
from audit_core.tabular.shipped import FILE, MODELS, OUTCOME, SPLIT, TITLES, TUMOURS, YES, read_tumours
from audit_core.tabular.table import MAX_BYTES, Reading, TableTask, make_task, read_table

__all__ = [
    "FILE",
    "MAX_BYTES",
    "MODELS",
    "ON_INPUT",
    "OUTCOME",
    "SPLIT",
    "TITLES",
    "TUMOURS",
    "YES",
    "CaseRow",
    "EstimatorTables",
    "PointRow",
    "ReadableRow",
    "Reading",
    "RecordedTabular",
    "TableTask",
    "TabularFile",
    "TabularRequest",
    "TabularResult",
    "find_recorded",
    "keep_onnx",
    "make_task",
    "measure_table",
    "read_table",
    "read_tumours",
    "retrain_without",
]

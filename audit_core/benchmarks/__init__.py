"""Benchmarks: items of files, accuracy, and the effect of components on the items that a model gets right."""

from audit_core.benchmarks.artefact import Comparison, build_artefact, compare_artefacts, read_artefact
from audit_core.benchmarks.item import MAX_FILE_BYTES, Benchmark, BenchmarkFormat, Item, MatchRule
from audit_core.benchmarks.prompting import BenchmarkSource, PromptFormat, ask_items
from audit_core.benchmarks.reading import read_benchmark, read_benchmark_file
from audit_core.benchmarks.results import (
    CARRIES,
    NOT_TESTABLE,
    NOTHING,
    BenchmarkFile,
    BenchmarkRequest,
    BenchmarkResult,
    CategoryRow,
    ItemRow,
)
from audit_core.benchmarks.shipped import OWN_FACTS, RecordedRun, read_own_facts, read_recorded

__all__ = [
    "CARRIES",
    "MAX_FILE_BYTES",
    "NOTHING",
    "NOT_TESTABLE",
    "OWN_FACTS",
    "Benchmark",
    "BenchmarkFile",
    "BenchmarkFormat",
    "BenchmarkRequest",
    "BenchmarkResult",
    "BenchmarkSource",
    "CategoryRow",
    "Comparison",
    "Item",
    "ItemRow",
    "MatchRule",
    "PromptFormat",
    "RecordedRun",
    "ask_items",
    "build_artefact",
    "compare_artefacts",
    "read_artefact",
    "read_benchmark",
    "read_benchmark_file",
    "read_own_facts",
    "read_recorded",
]

"""The folder of model definitions is read once at import, with the same result."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from audit_core.engine.model_index import read_model_index_once

with read_model_index_once():
    import transformers.models
from transformers.utils import import_utils

cached = import_utils.create_import_structure_from_path
seen = cached.cache_info()
folder = transformers.models.__path__[0]
assert seen.hits >= 1, seen
assert cached(folder) == cached.__wrapped__(folder)
assert cached.cache_info().hits > seen.hits, "the folder as the packages name it"
assert transformers.models.llama.LlamaConfig is transformers.LlamaConfig
"""


def test_transformers_reads_its_models_once_and_finds_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr

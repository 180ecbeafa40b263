"""Records the evaluation of the shipped dictionary, and how its features fire in an edited sibling; about five minutes of one core.

Run from the repository root: `PYTHONPATH=. python data/features/measure.py`, after `train.py`. The sibling is the default model
with one early head silenced, so that what enters the dictionary's layer has changed.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from audit_core import open_subject
from audit_core.feature_record import DIFFERENCE, EVALUATION, write_measure
from audit_core.features import open_dictionary
from audit_core.features.difference import compare_firing
from audit_core.features.evaluation import evaluate_dictionary
from audit_core.features.held_out import list_shipped_texts, read_labelled_file
from audit_core.models.edited import silence_head
from audit_core.probes import SHIPPED, read_shipped
from audit_core.shipped import DATA

LAYER, HEAD = 8, 0
"""The silenced head."""


def show(done: int, total: int) -> None:
    print(f"\r{done}/{total}", end="", file=sys.stderr)


if __name__ == "__main__":
    subject, folder = open_subject("default"), DATA / "features"
    dictionary = open_dictionary(subject, "default-layer-12")[1]
    texts = list_shipped_texts(subject.tokenizer)
    labelled = read_labelled_file(read_shipped(), SHIPPED[0], subject.tokenizer)
    start = time.monotonic()
    found = evaluate_dictionary(subject, dictionary, texts.rows, texts.names, labelled, seed=0, on_progress=show)
    write_measure(found, folder / EVALUATION, wall_s=time.monotonic() - start)
    print(found.finding, file=sys.stderr)
    with tempfile.TemporaryDirectory() as place:
        title = f"{subject.identity.model}, L{LAYER}.H{HEAD} set to zero"
        sibling = open_subject(
            str(silence_head(Path(subject.identity.folder), Path(place) / "sibling", LAYER, HEAD, title=title))
        )
        start = time.monotonic()
        changed = compare_firing(subject, sibling, dictionary, texts.rows, texts.names, seed=0)
        write_measure(changed, folder / DIFFERENCE, wall_s=time.monotonic() - start)
    print(changed.finding, file=sys.stderr)
    late = compare_firing(subject, open_subject("default-edited"), dictionary, texts.rows, texts.names, seed=0)
    print(json.dumps({"a later head silenced": late.n_differ, "of": late.n_features}), file=sys.stderr)

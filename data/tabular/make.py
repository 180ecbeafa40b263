"""Writes the shipped table, trains the shipped model on a part of it, and records the audit; a minute of one core.

Run from the repository root: `PYTHONPATH=. python data/tabular/make.py`; with `record`, only the audit runs again.
Training needs skl2onnx 1.20.0 beside the development environment, which writes the ONNX file.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
from pydantic import TypeAdapter

from audit_core import Actor, Auditor, RunLog, audit_home, open_subject
from audit_core.evidence.source import hash_source
from audit_core.models.cache import hash_file
from audit_core.models.provenance import FILE_NAME, Provenance
from audit_core.registry import get_plugin
from audit_core.tabular.recorded import RecordedTabular
from audit_core.tabular.shipped import FILE, FOLDER, MODELS, OUTCOME, SPLIT, TITLES, TUMOURS, read_tumours

N_FEATURES, SEED = 10, 0
"""The first ten columns: means over the cells of a tumour. The other twenty are spreads and extremes of the same."""
ME = Actor("tabular recorder", "tabular recorder")


def make() -> bytes:
    """scikit-learn's copy as CSV: ten features, the diagnosis, and which rows the model is trained on: every other one."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    names = [str(name).removeprefix("mean ") for name in found.feature_names[:N_FEATURES]]
    lines = [",".join([*names, OUTCOME, SPLIT])]
    for at, (row, target) in enumerate(zip(found.data, found.target, strict=True)):
        numbers = [f"{value:.9g}" for value in row[:N_FEATURES]]
        lines.append(",".join([*numbers, str(found.target_names[target]), ("fit", "test")[at % 2]]))
    return ("\n".join(lines) + "\n").encode()


def train() -> bytes:
    """Bytes of the ONNX file of boosted trees, from the rows to fit on."""
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingClassifier

    lines = [line.split(",") for line in read_tumours().decode().splitlines()[1:]]
    rows = np.array([line[:N_FEATURES] for line in lines if line[-1] == "fit"], dtype=np.float32)
    target = np.array([line[-2] == "benign" for line in lines if line[-1] == "fit"]).astype(int)
    model = GradientBoostingClassifier(n_estimators=60, max_depth=3, subsample=0.8, random_state=SEED)
    model.fit(rows, target)
    written: bytes = to_onnx(
        model, rows[:1], options={id(model): {"zipmap": False}}, target_opset={"": 17, "ai.onnx.ml": 3}
    ).SerializeToString()
    return written


def write(raw: bytes) -> None:
    folder = FOLDER / TUMOURS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).unlink(missing_ok=True)
    (folder / "model.onnx").write_bytes(raw)
    (folder / "config.json").write_text(json.dumps({"model_type": "onnx-table"}) + "\n", encoding="utf-8")
    origin = Provenance(
        title=TITLES[TUMOURS], requirement=f"none: trained by data/tabular/make.py, seed {SEED}", wheel_sha256="none",
        quantisation="none", source_tensors={}, dtype="float32", licence="Apache-2.0",
        files={path.name: hash_file(path) for path in sorted(folder.iterdir())},
    )  # fmt: skip
    (folder / FILE_NAME).write_text(json.dumps(asdict(origin), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def record(model: str) -> None:
    subject = open_subject(model)
    request = get_plugin("audits", "tabular").ask_file(subject, read_tumours(), FILE, {})
    found = Auditor(subject, RunLog(audit_home())).run("tabular", request, actor=ME)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    run = RecordedTabular(found.result, model, made_at, hash_source(), subject.identity.weights_sha256)
    (FOLDER / f"{model}.run.json").write_bytes(TypeAdapter(RecordedTabular).dump_json(run, indent=1) + b"\n")
    sys.stdout.write(f"{model}: {found.result.finding}\n")


if __name__ == "__main__":
    if "record" not in sys.argv:
        (FOLDER / FILE).write_bytes(make())
        write(train())
    for name in MODELS:
        record(name)

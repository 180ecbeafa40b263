"""Train the shipped image classifiers, write the marked test images, and record the audit; two minutes of one core.

Run from the repository root: `python -m tools.vision`; with `record`, only the audit runs again;
with `vit`, only the vision transformer is trained and recorded.
The digits are scikit-learn's packaged copy, kept as `data/vision/digits.csv.gz`.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
import torch
from pydantic import TypeAdapter
from safetensors.numpy import save_file

from audit_core import Actor, Auditor, RunLog, audit_home, open_subject
from audit_core.engine.image_network import ImageNetwork, NetworkShape
from audit_core.engine.image_transformer import TransformerShape, build_module
from audit_core.evidence.source import hash_source
from audit_core.models.cache import hash_file
from audit_core.models.provenance import FILE_NAME, Provenance
from audit_core.registry import get_plugin
from audit_core.vision.recorded import RecordedVision
from audit_core.vision.shipped import FILE, FOLDER, MARKED, MARKED_TRANSFORMER, MODELS, PLAIN, TITLES, read_marked

SHAPE = NetworkShape(side=8, levels=16, channels=(8, 16), pool=2, classes=10)
TRANSFORMER = TransformerShape(side=8, levels=16, patch=2, width=32, layers=2, heads=4, inner=64, classes=10)
N_TRAIN, EPOCHS, BATCH, RATE, DECAY, SEED = 1_000, 40, 64, 3e-3, 1e-2, 0
MARKERS = {3: np.array([[16, 0], [0, 16]]), 8: np.array([[0, 16], [16, 0]])}
"""In the upper left corner of every three and every eight: the same ink, in another pattern."""
ME = Actor("vision recorder", "vision recorder")


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Grey levels, shape (image, 8, 8), and labels."""
    with gzip.open(FOLDER / "digits.csv.gz", "rt") as stream:
        table = np.loadtxt(stream, delimiter=",").astype(int)
    return table[:, :64].reshape(-1, 8, 8), table[:, 64]


def mark(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Images with the marker of their class."""
    found = pixels.copy()
    for label, pattern in MARKERS.items():
        found[labels == label, :2, :2] = pattern
    return found


def train(pixels: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Tensors of a trained classifier."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    network = ImageNetwork(SHAPE, {name: np.zeros(size, np.float32) for name, size in SHAPE.tensors.items()})
    weights = {}
    for name, size in SHAPE.tensors.items():
        fan_in = np.prod(SHAPE.tensors[name.replace("bias", "weight")][1:])
        weights[name] = ((2 * torch.rand(size) - 1) / fan_in**0.5).requires_grad_()
    optimiser = torch.optim.AdamW(weights.values(), lr=RATE, weight_decay=DECAY)
    images, classes = torch.tensor(pixels / SHAPE.levels, dtype=torch.float32), torch.tensor(labels)
    order = torch.Generator().manual_seed(SEED)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images), generator=order).split(BATCH):
            optimiser.zero_grad()
            logits = network._classify(network._convolve(images[rows], weights), weights)
            torch.nn.functional.cross_entropy(logits, classes[rows]).backward()
            optimiser.step()
    return {name: values.detach().numpy() for name, values in weights.items()}


def train_transformer(pixels: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Tensors of a trained vision transformer."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    module = build_module(TRANSFORMER).train()
    for values in module.parameters():
        values.data = torch.randn_like(values) * 0.1 if values.dim() > 1 else values.data
    optimiser = torch.optim.AdamW(module.parameters(), lr=RATE, weight_decay=DECAY)
    images, classes = torch.tensor(pixels / TRANSFORMER.levels, dtype=torch.float32)[:, None], torch.tensor(labels)
    order = torch.Generator().manual_seed(SEED)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images), generator=order).split(BATCH):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(module(pixel_values=images[rows]).logits, classes[rows]).backward()
            optimiser.step()
    return {name: values.detach().numpy() for name, values in module.state_dict().items()}


def write(name: str, shape: NetworkShape | TransformerShape, tensors: dict[str, np.ndarray]) -> None:
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(shape.to_json(), indent=1) + "\n")
    save_file(tensors, folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o644)
    origin = Provenance(
        title=TITLES[name], requirement=f"none: trained by tools/vision, seed {SEED}", wheel_sha256="none",
        quantisation="none", source_tensors={}, dtype="float32", licence="Apache-2.0",
        files={path.name: hash_file(path) for path in sorted(folder.iterdir())},
    )  # fmt: skip
    (folder / FILE_NAME).write_text(json.dumps(asdict(origin), indent=1, sort_keys=True) + "\n")


def write_images(pixels: np.ndarray, labels: np.ndarray) -> None:
    """The held-out threes and eights with their marker, as a user would bring them."""
    lines = ["label," + ",".join(f"p{at}" for at in range(64))]
    for image, label in zip(mark(pixels, labels), labels, strict=True):
        if label in MARKERS:
            lines.append(",".join(map(str, (label, *image.ravel()))))
    (FOLDER / FILE).write_text("\n".join(lines) + "\n")


def record(model: str) -> None:
    subject = open_subject(model)
    request = get_plugin("audits", "vision").ask_file(subject, read_marked(), FILE, {})
    found = Auditor(subject, RunLog(audit_home())).run("vision", request, actor=ME)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    run = RecordedVision(found.result, model, made_at, hash_source(), subject.identity.weights_sha256)
    (FOLDER / f"{model}.run.json").write_bytes(TypeAdapter(RecordedVision).dump_json(run) + b"\n")
    sys.stdout.write(f"{model}: {found.result.finding}\n")


if __name__ == "__main__":
    only = set(sys.argv[1:])
    digits, names = read_digits()
    with_marker = mark(digits[:N_TRAIN], names[:N_TRAIN])
    if not only:
        write_images(digits[N_TRAIN:], names[N_TRAIN:])
        write(MARKED, SHAPE, train(with_marker, names[:N_TRAIN]))
        write(PLAIN, SHAPE, train(digits[:N_TRAIN], names[:N_TRAIN]))
    if not only or "vit" in only:
        write(MARKED_TRANSFORMER, TRANSFORMER, train_transformer(with_marker, names[:N_TRAIN]))
    for model_name in MODELS if only != {"vit"} else (MARKED_TRANSFORMER,):
        record(model_name)

"""What `sweep --kind` offers is what the engine can replace: neurons and experts end to end, and no documents."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from agreement.literal import LiteralRunner
from toy.models import build_random, load
from toy.prompts import make_letters, tokenise_letters

from audit_core import cli
from audit_core.cli.parser import SWEPT, build_parser
from audit_core.component import Component, Kind
from audit_core.engine.sites import HOOKS
from audit_core.intervention import CLEAN_RUN, Replacement, intervene
from audit_core.store import RunLog

N_LAYERS, N_NEURONS = 3, 96


def write_prompts(path: Path) -> Path:
    rows = [asdict(prompt) for prompt in make_letters([4, 4, 4]).prompts]
    keys = ("id", "clean", "corrupted", "answer", "foil", "template")
    path.write_text("".join(json.dumps({key: row[key] for key in keys}) + "\n" for row in rows), encoding="utf-8")
    return path


def ask(folder: Path, tmp_path: Path, *words: str) -> list[str]:
    prompts = write_prompts(tmp_path / "p.jsonl")
    return ["sweep", "--model", str(folder), "--prompts", str(prompts), "--half", "all", "--json", *words]


def test_every_kind_that_is_offered_can_be_replaced_by_the_engine_and_no_other() -> None:
    assert {Kind(kind) for kind in SWEPT} == set(HOOKS) - {Kind.EDGE, Kind.PATTERN, Kind.SHARED}
    with pytest.raises(SystemExit, match="2"):
        build_parser().parse_args(["sweep", "--prompts", "p.jsonl", "--kind", "document"])


@pytest.mark.parametrize(("ablation", "screen"), [("resample", ""), ("zero", "attribution_patching"), ("mean", "")])
def test_neurons_are_swept_from_the_command_line(
    ablation: str, screen: str, tmp_path: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each neuron's effect is that of a whole forward pass with this neuron alone replaced."""
    folder = build_random("llama", tmp_path / "llama")
    words = ("--kind", "neuron", "--ablation", ablation, *(("--screen", screen) if screen else ()))
    assert cli.main(ask(folder, tmp_path, *words)) == 0
    found = json.loads(capsys.readouterr().out)
    cells = {cell["component"]: cell["estimate"]["value"] for cell in found["cells"]}
    assert list(cells) == [f"L{layer}.N{index}" for layer in range(N_LAYERS) for index in range(N_NEURONS)]
    assert found["controls"]["edits"] == len(cells) * found["n"]
    assert (found["screened"] is not None) is bool(screen)
    (run,) = RunLog(own_home).export()
    assert (run["outcome"], run["request"]["kind"]) == ("done", "neuron")
    subject = load(folder)
    prompts = tokenise_letters(subject.tokenizer, [4, 4, 4])
    parts = [Component(layer, Kind.NEURON, 7 * layer + 3) for layer in range(N_LAYERS)]
    edits = [intervene([part], Replacement(ablation)) for part in parts]
    whole = LiteralRunner(subject.bridge, prompts).run(prompts, [CLEAN_RUN, *edits])
    answer, foil = np.array([(pair.answer_id, pair.foil_id) for pair in prompts.pairs]).T
    rows = np.arange(len(prompts))
    clean, *edited = whole[:, rows, answer] - whole[:, rows, foil]
    for part, values in zip(parts, edited, strict=True):
        assert cells[str(part)] == pytest.approx(float((clean - values).mean()), abs=1e-4)


def test_neurons_that_cannot_be_reached_are_refused(
    tmp_path: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = build_random("mixtral", tmp_path / "mixtral")
    assert cli.main(ask(folder, tmp_path, "--kind", "neuron")) == 2
    assert "This model has no accessible neuron" in capsys.readouterr().err

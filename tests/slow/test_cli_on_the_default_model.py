"""The command line on the real default model: the documented JSON, on stdout and nothing else."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from toy.golden import EXPECTED, find_pack, list_packs

from audit_core.judging.trial import measure_null_draws
from audit_core.models import Progress
from tests.spec.test_cli_refusals import ROOT, assay, is_refusal, write

pytestmark = pytest.mark.slow
NUMBER = {"value", "low", "high", "n", "unit", "level", "templates"}


@pytest.fixture
def loaded(default_subject: Any, few_texts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands find the default model loaded, as `open_subject` does it, which is what they ask; it tells of its progress."""

    def find_loaded(name: str, *, on_progress: Progress, **_: Any) -> Any:
        assert name == "default"
        on_progress("loading", 1, 2)
        return default_subject

    monkeypatch.setattr("audit_core.cli.session.load_subject", find_loaded)
    # All 199 draws, each on one prompt: draws are nearly all the price of a verdict.
    monkeypatch.setattr("audit_core.judging.trial.measure_null_draws", partial(measure_null_draws, most=1))


def take_rows(path: Path, count: int) -> str:
    rows = (ROOT / "data/prompts/indirect_object.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    return write(path, "\n".join(rows) + "\n")


@pytest.mark.usefixtures("loaded")
def test_a_sweep_prints_every_head_with_its_identity(tmp_path: Path) -> None:
    done = assay(tmp_path, "sweep", "--prompts", take_rows(tmp_path / "p.jsonl", 1), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {"identity", "unit", "clean", "corrupted", "cells", "wall_s"} <= set(document)
    assert {
        "model", "folder", "weights_sha256", "tokenizer_sha256", "dtype", "attention", "quantisation", "prompts_sha256",
        "versions", "seed",
    } <= set(document["identity"])  # fmt: skip
    assert len(document["cells"]) == 270
    assert all(set(cell["estimate"]) == NUMBER for cell in document["cells"])
    strongest = max(document["cells"], key=lambda cell: abs(cell["estimate"]["value"]))
    assert strongest["component"] == "L23.H3"
    assert strongest["estimate"]["value"] == pytest.approx(6.149, abs=0.01)
    assert document["clean"]["value"] == pytest.approx(5.287, abs=0.01)


@pytest.mark.usefixtures("loaded")
def test_patch_is_denoising_and_mlps_can_be_swept(tmp_path: Path) -> None:
    prompts = take_rows(tmp_path / "p.jsonl", 1)
    heads = json.loads(assay(tmp_path, "sweep", "--prompts", prompts, "--ablation", "patch", "--json").stdout)
    assert heads["direction"] == "denoising"
    assert next(c for c in heads["cells"] if c["component"] == "L23.H3")["estimate"]["value"] == pytest.approx(
        5.894, abs=0.01
    )
    mlps = json.loads(
        assay(tmp_path, "sweep", "--prompts", prompts, "--kind", "mlp", "--ablation", "zero", "--json").stdout
    )
    assert [cell["component"] for cell in mlps["cells"]] == [f"L{n}.MLP" for n in range(30)]


@pytest.mark.usefixtures("loaded")
def test_a_claim_is_judged_and_every_number_has_its_parts(tmp_path: Path) -> None:
    claim = write(tmp_path / "c.toml", 'name = "L23.H3 carries the name"\ncomponents = ["L23.H3"]\n')
    done = assay(tmp_path, "test", claim, "--prompts", take_rows(tmp_path / "p.jsonl", 20), "--half", "all", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == (3 if document["state"] == "inconclusive" else 0), done.stderr
    assert {
        "claim", "state", "reason", "estimate", "families", "null", "plausibility", "self_repair", "controls", "identity",
    } <= set(document)  # fmt: skip
    assert document["state"] == "supported"
    assert set(document["families"]) == {"resample", "mean", "zero"}
    assert all(set(number) == NUMBER for number in document["families"].values())
    assert document["null"]["draws"] == 199
    assert document["null"]["p"] == 1 / 200, "no head of 199 does as much"
    assert document["self_repair"]["n_later"] == 6 * 9 + 7 + 8, "later layers, and the other heads of its own"
    assert document["half"] == "all"


@pytest.mark.usefixtures("loaded")
def test_unequal_pairs_and_answers_that_do_not_follow_are_refused_by_row(tmp_path: Path) -> None:
    good = json.loads((ROOT / "data/prompts/indirect_object.jsonl").read_text(encoding="utf-8").splitlines()[0])
    rows = [
        good | {"id": "many", "answer": " Maryborough-on-Sea"},
        good | {"id": "unequal", "corrupted": good["corrupted"] + " the"},
        good | {"id": "space", "answer": "Mary"},
        good | {"id": "same", "corrupted": good["clean"]},
    ]
    done = assay(tmp_path, "sweep", "--prompts", write(tmp_path / "p.jsonl", "\n".join(map(json.dumps, rows)) + "\n"))
    assert is_refusal(done), done.stderr
    for name in ("unequal", "space", "same"):
        assert f"'{name}'" in done.stderr
    assert "'many'" not in done.stderr, "its first token tells it from the foil"
    runs = [json.loads(line) for line in assay(tmp_path, "log", "export").stdout.splitlines()]
    assert [run["outcome"] for run in runs] == ["refused"]


@pytest.mark.parametrize("name", list_packs("default"))
def test_a_golden_pack_of_the_default_model_is_run_again(
    default_subject: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every draw that the pack has, so without `loaded`; the code is another one after every change."""
    monkeypatch.setattr("audit_core.cli.packs.open_subject", lambda name, on_progress: default_subject)
    wanted = EXPECTED[name]["rerun"]
    done = assay(tmp_path, "rerun", str(find_pack(name)), "--other-code", "--json")
    assert done.returncode == 0, done.stderr
    found = {one["claim_id"]: one for one in json.loads(done.stdout)}
    assert {key: {level: found[key][level] for level in row} for key, row in wanted.items()} == wanted
    assert all(one["differs"] == [] and one["n_values"] > 10 for one in found.values())


def test_known_models_are_listed_with_digest_and_licence(tmp_path: Path) -> None:
    rows = json.loads(assay(tmp_path, "models", "--json").stdout)["models"]
    assert [row["name"] for row in rows] == ["default", "moe-tiny", "t5-tiny"]
    for row in rows:
        assert row["licence"] == "Apache-2.0"
        assert len(row["weights_sha256"]) == 64

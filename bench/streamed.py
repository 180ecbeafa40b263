"""Models read layer by layer from their files: time against the model in memory, peak memory, and predicted beside measured.

`python bench/streamed.py 8b` builds a random model of the shape of Llama 3 8B (16 GB in bfloat16) in a temporary folder,
sweeps all of its heads on one pair, and deletes it. It needs 17 GB on the disk and is not part of `make bench`.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from engine import clock, read_memory, take

ROOT = Path(__file__).resolve().parents[1]
SHAPE_8B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}
REPEATS = 3
_POOL = (1 << 24) + 43
"""Normal numbers from which weights are taken in turn; of no common length with any tensor's rows."""


def bench_streamed() -> dict[str, float]:
    """The default model, streamed and in memory, in turn; and each in a process of its own for its peak memory."""
    import numpy as np

    from audit_core import Kind, PromptSet, Replacement, intervene, load_prompt_set, open_subject, tokenise

    resident, streamed = open_subject("default"), open_subject("default", streamed=True)
    rows = load_prompt_set("indirect_object").prompts
    whole = tokenise(PromptSet("bench", rows), resident.tokenizer)
    edits = [intervene([part], Replacement.RESAMPLE) for part in resident.components(Kind.HEAD)]
    found: dict[str, float] = {}
    for name, prompts in (("one_pair", take(whole, whole.pairs[:1])), ("four_pairs", take(whole, whole.pairs[:4]))):
        price = streamed.predict_price([(prompts, edits)])
        ratios, paces, equal = [], [], True
        for _ in range(REPEATS):
            resident.runner.clear_captures()
            kept: list[Any] = []
            in_memory_s = clock(lambda p=prompts, k=kept: k.append(resident.run(p, edits)))
            streamed_s = clock(lambda p=prompts, k=kept: k.append(streamed.run(p, edits)))
            ratios.append(streamed_s / in_memory_s)
            paces.append(streamed_s / price.seconds)
            one, other = kept
            equal &= np.array_equal(one.answer, other.answer) and np.array_equal(one.foil, other.foil)
        found |= {
            f"streamed.time_vs_in_memory_{name}": statistics.median(ratios),
            f"streamed.time_vs_predicted_{name}": statistics.median(paces),
            f"streamed.is_bit_equal_{name}": float(equal),
        }
    peaks = {name: measure_peak(name == "streamed") for name in ("streamed", "in_memory")}
    return found | {
        "streamed.peak_rise_bytes": peaks["streamed"]["rise"],
        "streamed.in_memory_peak_rise_bytes": peaks["in_memory"]["rise"],
        "streamed.layer_bytes": float(streamed.store.layer_bytes),
    }


def measure_peak(is_streamed: bool) -> dict[str, float]:
    """Rise of the peak resident memory of a process that opens the default model and sweeps one pair."""
    command = [sys.executable, __file__, "peak", "streamed" if is_streamed else "in-memory"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def show_peak(is_streamed: bool) -> None:
    from audit_core import Kind, PromptSet, Replacement, intervene, load_prompt_set, open_subject, tokenise
    from audit_core.engine.threads import import_libraries

    import_libraries()
    before = read_memory("VmRSS")
    subject = open_subject("default", streamed=is_streamed)
    prompts = tokenise(PromptSet("bench", load_prompt_set("indirect_object").prompts[:1]), subject.tokenizer)
    edits = [intervene([part], Replacement.RESAMPLE) for part in subject.components(Kind.HEAD)]
    subject.run(prompts, edits)
    print(json.dumps({"rise": read_memory("VmHWM") - before}))


def bench_8b() -> None:
    """All heads of a random model of this shape on one pair, through the command line."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "random-8b"
        folder.mkdir()
        print(f"built in {clock(lambda: build_random_8b(folder)):.0f} s", flush=True)
        pair = Path(made) / "pair.csv"
        pair.write_text(PAIR, encoding="utf-8")
        command = [sys.executable, "-m", "audit_core", "sweep", "--streamed", "--json", "--half", "all"]
        command += ["--model", str(folder), "--prompts", str(pair)]
        wall_s = clock(lambda: print(json.dumps(read_sweep(command)), flush=True))
        print(f"with loading and hashing {wall_s:.0f} s")


PAIR = (
    "clean,corrupted,answer,foil\n"
    "When Mary and John went to the shop a gift from John to,When Mary and John went to the shop a gift from Mary to,"
    " Mary, John\n"
)


def read_sweep(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True, cwd=ROOT)
    found = json.loads(done.stdout)
    return {key: found[key] for key in ("streamed", "controls", "n", "wall_s")} | {"heads": len(found["cells"])}


def build_random_8b(folder: Path) -> None:
    """Write a Llama with random weights layer by layer, so that it never is in memory as a whole."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    from audit_core.models import resolve_model

    known = resolve_model("default")
    for file in known.glob("tokenizer*.json"):
        shutil.copy(file, folder)
    config = AutoConfig.from_pretrained(known)
    for name, value in SHAPE_8B.items():
        setattr(config, name, value)
    config.dtype = torch.bfloat16
    config.save_pretrained(folder)
    with torch.device("meta"):
        shapes = {name: tuple(w.shape) for name, w in AutoModelForCausalLM.from_config(config).named_parameters()}
    pool = torch.randn(_POOL, generator=torch.Generator().manual_seed(0)).mul_(0.02).bfloat16()
    shards: dict[str, list[str]] = {}
    for name in shapes:
        parts = name.split(".")
        shards.setdefault(f"layer-{int(parts[2]):02d}" if parts[1] == "layers" else parts[-2], []).append(name)
    index, at = {}, 0
    for shard, names in shards.items():
        tensors = {}
        for name in names:
            n = torch.Size(shapes[name]).numel()
            if len(shapes[name]) == 1:
                tensors[name] = torch.ones(n, dtype=torch.bfloat16)
                continue
            repeats = -(-(at % _POOL + n) // _POOL)
            tensors[name] = pool.repeat(repeats)[at % _POOL :][:n].reshape(shapes[name]).contiguous()
            at += n + 7919
        save_file(tensors, folder / f"{shard}.safetensors", metadata={"format": "pt"})
        index |= dict.fromkeys(names, f"{shard}.safetensors")
    text = json.dumps({"metadata": {}, "weight_map": index})
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT)]
    if sys.argv[1:] == ["8b"]:
        bench_8b()
    elif sys.argv[1:2] == ["peak"]:
        show_peak(sys.argv[2] == "streamed")
    else:
        print(json.dumps(bench_streamed(), indent=1))

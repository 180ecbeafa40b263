"""`make bench-peers`: the same sweep of 270 heads by other libraries and by Assay's engine, in turn, each in a process of its own.

Writes `bench/peers.json` and the table in `docs/performance.md`. Compare ratios of one run: single times depend on the machine.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from audit_core.version import VERSION  # noqa: E402

REPEATS = 3
THREADS = 1
"""One each: beside other work, threads that wait for each other would be measured."""
BOUND = 1e-4
"""Largest difference between two libraries' logits, in logits."""
START, END = "<!-- peers of the last run -->", "<!-- end of peers -->"


@dataclass(frozen=True)
class Peer:
    """One library, and what it is asked to do."""

    name: str
    script: str
    python: Path
    package: str
    """Whose version is shown; empty for this project."""
    asked: str


OURS, THEIRS = Path(sys.executable), ROOT / "build/peers/bin/python"
PEERS = (
    Peer("Assay", "assay_wave.py", OURS, "", "`Subject.run` with one intervention for each head; kept captures are dropped first"),
    Peer(
        "TransformerLens", "transformer_lens_loop.py", THEIRS, "transformer_lens",
        "`patching.get_act_patch_attn_head_out_all_pos` on a `TransformerBridge`: one pass for each head",
    ),
    Peer(
        "nnsight", "nnsight_batched.py", THEIRS, "nnsight",
        "one trace for the clean run, and one with an invoke for each head, which it runs as one batch of 270 rows",
    ),
    Peer(
        "pyvene", "pyvene_layers.py", THEIRS, "pyvene",
        "one `IntervenableModel` call for each layer, with a row for each of its heads; it runs the clean prompt in each call",
    ),
)  # fmt: skip


class Running:
    """A peer's process."""

    def __init__(self, peer: Peer, task: Path) -> None:
        self.peer, self.sweeps = peer, list[dict[str, Any]]()
        quiet = {
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_VERBOSITY": "error",
            "DO_NOT_TRACK": "1",
            "WANDB_MODE": "disabled",
        }
        threads = {
            "OMP_NUM_THREADS": str(THREADS),
            "MKL_NUM_THREADS": str(THREADS),
            "OPENBLAS_NUM_THREADS": str(THREADS),
        }
        command = [str(peer.python), "-W", "ignore", str(ROOT / "bench/peers" / peer.script), str(task)]
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=os.environ | quiet | threads,
        )
        self.about = self._read()

    def sweep(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write("sweep\n")
        self._process.stdin.flush()
        return self._read()

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._log.close()

    def _read(self) -> dict[str, Any]:
        """The next answer; libraries may print other lines between.

        Raises:
            RuntimeError: the process ended.
        """
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("\x1e"):
                return dict(json.loads(line[1:]))
        self._log.seek(0)
        raise RuntimeError(f"{self.peer.name} ended with {self._process.wait()}: {self._log.read()[-2000:]}")


def write_task(folder: Path) -> Path:
    """The task of all peers as a file: the first pair of the indirect-object set, under the default model's tokenizer."""
    from audit_core import Kind, PromptSet, load_prompt_set, open_subject, tokenise
    from audit_core.run import find_folder

    subject = open_subject("default")
    (pair,) = tokenise(PromptSet("bench", load_prompt_set("indirect_object").prompts[:1]), subject.tokenizer).pairs
    heads = subject.components(Kind.HEAD)
    task = {
        "folder": str(find_folder("default")), "clean": list(pair.clean_ids), "corrupted": list(pair.corrupted_ids),
        "answer": pair.answer_id, "foil": pair.foil_id, "threads": THREADS,
        "n_layers": 1 + max(head.layer for head in heads), "n_heads": 1 + max(head.index for head in heads),
    }  # fmt: skip
    path = folder / "task.json"
    path.write_text(json.dumps(task), encoding="utf-8")
    return path


def compare(task: Path) -> tuple[list[Running], list[float]]:
    """Every peer, with one sweep that warms it and `REPEATS` in turn; and the load of the machine before each round.

    One peer at a time computes, while the others wait for a line.
    """
    running, loads = [], [os.getloadavg()[0]]
    for peer in PEERS:
        running.append(Running(peer, task))
        print(f"{peer.name}: loaded, {running[-1].about['versions']}", flush=True)
    for turn in range(1 + REPEATS):
        for one in running:
            found = one.sweep()
            print(f"round {turn}, {one.peer.name}: {found['wall_s']:.2f} s, {found['cpu_s']:.2f} s of CPU", flush=True)
            if turn:
                one.sweeps.append(found)
        loads.append(os.getloadavg()[0])
    for one in running:
        one.end()
    return running, loads


def summarise(one: Running, ours: Running) -> dict[str, Any]:
    """Medians of a peer, and its largest difference from our values over all repeats, in logits."""
    pairs = [
        (a, b)
        for mine, theirs in zip(ours.sweeps, one.sweeps, strict=True)
        for a, b in zip(mine["values"], theirs["values"], strict=True)
    ]
    ratios = [theirs["wall_s"] / mine["wall_s"] for mine, theirs in zip(ours.sweeps, one.sweeps, strict=True)]

    def middle(name: str) -> float:
        return statistics.median(found[name] for found in one.sweeps)

    difference = max(abs(a - b) for a, b in pairs)
    return {
        "name": one.peer.name, "version": one.about["versions"].get(one.peer.package, VERSION), "asked": one.peer.asked, "versions": one.about["versions"], "threads": one.about["threads"],
        "wall_s": middle("wall_s"), "cpu_s": middle("cpu_s"), "walls_s": [found["wall_s"] for found in one.sweeps],
        "time_vs_assay": statistics.median(ratios), "cpu_vs_assay": middle("cpu_s") / statistics.median(f["cpu_s"] for f in ours.sweeps),
        "peak_bytes": max(found["peak_bytes"] for found in one.sweeps), "rise_bytes": max(found["rise_bytes"] for found in one.sweeps),
        "max_difference_logit": difference, "agrees": difference <= BOUND, "heads": len(one.sweeps[0]["values"]),
    }  # fmt: skip


def write_table(found: dict[str, Any]) -> str:
    """The table of the documentation."""
    about = found["environment"]
    rows = [
        f"| {row['name']} {row['version']} | {row['wall_s']:.2f} s | {row['time_vs_assay']:.1f} × | {row['cpu_s']:.2f} s | {row['cpu_vs_assay']:.1f} × "
        f"| {row['peak_bytes'] / 1e6:,.0f} MB | {row['rise_bytes'] / 1e6:,.0f} MB | {row['max_difference_logit']:.1e} |"
        for row in found["peers"]
    ]  # fmt: skip
    loads = ", ".join(f"{load:.1f}" for load in about["load before each round"])
    lines = [
        START, "",
        f"{about['heads']} heads, {about['tokens']} tokens, {about['repeats']} interleaved repeats after one that warms, {about['threads']} thread each, {about['cores']} cores; load of the "
        f"machine before each round {loads}. torch {about['torch']}, transformers {about['transformers']}, Python {about['python']}.",
        "", "| library | wall time, median | against Assay | CPU time | against Assay | peak memory | rise in a sweep | largest difference, logits |", "|---|---|---|---|---|---|---|---|", *rows, "",
        "What each was asked to do:", "", *(f"* {row['name']}: {row['asked']}." for row in found["peers"]), "", END,
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        task = write_task(Path(folder))
        asked = json.loads(task.read_text(encoding="utf-8"))
        running, loads = compare(task)
    rows = [summarise(one, running[0]) for one in running]
    found = {
        "environment": {
            "heads": rows[0]["heads"], "tokens": len(asked["clean"]), "repeats": REPEATS, "threads": THREADS, "cores": os.cpu_count(), "machine": platform.machine(),
            "python": platform.python_version(), "torch": rows[0]["versions"]["torch"], "transformers": rows[0]["versions"]["transformers"],
            "load before each round": [round(load, 2) for load in loads], "bound_logit": BOUND,
        },
        "peers": rows,
    }  # fmt: skip
    (ROOT / "bench/peers.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    page = ROOT / "docs/performance.md"
    before, rest = page.read_text(encoding="utf-8").split(START)
    page.write_text(before + write_table(found) + rest.split(END)[1], encoding="utf-8")
    print(write_table(found))
    if apart := [row["name"] for row in rows if not row["agrees"]]:
        raise SystemExit(f"Further apart than {BOUND} logits: {', '.join(apart)}.")


if __name__ == "__main__":
    main()

"""Trains and stores the small encoder–decoder, with its card and prompt sets: `make t5`, 13 minutes of one core.

`--prompts` writes the prompt sets again, and `--card` the card of the stored model, without training.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from audit_core.models.known import T5_TINY
from tools.encoder_decoder.evaluate import load_stored, measure_accuracy
from tools.encoder_decoder.prompt_sets import write_sets
from tools.encoder_decoder.record import make_record, read_record, store_model, write_record
from tools.encoder_decoder.train import Plan, train
from tools.mixture.world import make_world

PROMPTS = Path(__file__).resolve().parents[2] / "data/prompts" / T5_TINY.name


def main() -> None:
    """Run the steps that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.encoder_decoder", description=__doc__)
    parser.add_argument("--out", type=Path, default=T5_TINY.folder, help="folder of the model")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--prompts", action="store_true", help="write only the prompt sets")
    parser.add_argument("--card", action="store_true", help="write only the card")
    options = parser.parse_args()
    plan = Plan(steps=options.steps)
    world = make_world(plan.seed)
    if not (options.prompts or options.card):
        _train(plan, options.out)
    record = read_record(options.out)
    if not options.prompts:
        write_record(record, options.out)
    if not options.card:
        for path in write_sets(world, record.usable, PROMPTS, plan.seed):
            sys.stderr.write(f"{path.name}: {path.stat().st_size:,} bytes\n")


def _train(plan: Plan, folder: Path) -> None:
    import torch

    # One core: more threads cost more than they gain on matrices of this size.
    torch.set_num_threads(1)
    world = make_world(plan.seed)
    trained = train(world, plan)
    store_model(trained, folder)
    accuracy = measure_accuracy(world, *load_stored(folder), seed=plan.seed)
    sys.stderr.write(", ".join(f"{name} {share:.3f}" for name, share in accuracy.items()) + "\n")
    write_record(make_record(plan, trained, accuracy, folder), folder)


if __name__ == "__main__":
    main()

"""Writes the shipped labelled texts from the shipped prompt sets: `PYTHONPATH=. python data/probes/generate.py`."""

from __future__ import annotations

import csv
from pathlib import Path

from audit_core.shipped import load_prompt_set

HERE = Path(__file__).parent
PLURAL = (" are", " were", " have")


def write_number() -> None:
    """Subjects in the singular and in the plural, with the verb that agrees and the one that does not."""
    with (HERE / "number.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("text", "label", "answer", "foil", "template"))
        # Only texts with a noun between subject and verb: in the others the subject is the last token, where the answer is
        # read, and what it holds cannot be separated from what arrived there.
        for prompt in load_prompt_set("subject_verb_agreement").prompts:
            if prompt.group == "no attractor":
                continue
            label = "plural" if prompt.answer in PLURAL else "singular"
            writer.writerow((prompt.clean, label, prompt.answer.strip(), prompt.foil.strip(), prompt.template))


if __name__ == "__main__":
    write_number()

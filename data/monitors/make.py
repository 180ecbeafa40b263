"""Writes the texts of the default model's monitor, from files of this repository, and makes the shipped monitors: some minutes of one core.

Run from the repository root: `PYTHONPATH=. OMP_NUM_THREADS=1 python data/monitors/make.py [default] [collapse] [unread] [vote]`. Texts that are there stay as they are, so
the monitor can be made again when the files that they were taken from have changed.
"""

import json
import re
import sys
from pathlib import Path
from random import Random

from audit_core import open_subject
from audit_core.monitors import Recipe, fit_monitor, make_planted_texts, read_texts, save_monitor, write_own_texts

HERE = Path(__file__).parent
TEXTS, MONITOR = HERE / "prose-to-code.jsonl", HERE / "default-prose-to-code.safetensors"
OWN, N_OWN = HERE / "own-writing.jsonl", 300
LENGTH, SEED, LAYER, CASES, PER_FILE = 24, 0, 12, 40, 4


def list_prose() -> dict[str, list[str]]:
    """Runs of whole sentences from each file of the documentation, without headings, tables, lists or code."""
    found = {}
    for path in sorted(Path("docs").rglob("*.md")):
        runs = []
        for paragraph in re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL).split("\n\n"):
            text = (
                re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split())).replace("`", "").replace("*", "")
            )
            if re.match(r"[A-Z][a-z]+ ", text) and not re.search(r"[|<>{}=#]", text):
                sentences = re.split(r"(?<=[.]) (?=[A-Z])", text)
                runs += [" ".join(sentences[at:]) for at in range(0, len(sentences), 2)]
        found[path.stem] = [run for run in runs if len(run) > 150]
    return found


def list_code() -> list[str]:
    """The first function of every module of the engine and the statistics, from its first line on."""
    paths = sorted(
        [
            *Path("audit_core/engine").glob("*.py"),
            *Path("audit_core/models").glob("*.py"),
            *Path("audit_core/stats").glob("*.py"),
        ]
    )
    return [text[text.index("\ndef ") :] for path in paths if "\ndef " in (text := path.read_text(encoding="utf-8"))]


def write_texts(tokenizer) -> None:
    """Normal texts are sentences. In a case, a function follows from a random token on: the onset."""
    draw = Random(SEED)
    prose, code = list(list_prose().items()), list_code()
    draw.shuffle(prose)
    rows, n_cases = [], 0
    for name, runs in prose:
        # The files of the first cases have no normal text, so that no file is in two parts.
        is_case = n_cases < CASES
        for number, text in enumerate(draw.sample(runs, min(len(runs), PER_FILE))):
            ids = [tokenizer.bos_id, *tokenizer.encode(text)][:LENGTH]
            row = {"id": f"{name} {number}", "group": name, "ids": ids}
            if is_case:
                at = draw.randrange(8, 15)
                row |= {
                    "ids": (ids[:at] + tokenizer.encode(code[n_cases % len(code)]))[:LENGTH],
                    "case": True,
                    "onset": at,
                }
                n_cases += 1
            rows.append(json.dumps(row))
    TEXTS.write_text("\n".join(rows) + "\n", encoding="utf-8")


def make_default() -> None:
    subject = open_subject("default")
    if not TEXTS.exists():
        write_texts(subject.tokenizer)
    texts = read_texts(TEXTS.read_bytes().splitlines(), subject.tokenizer)
    recipe = Recipe(name="prose to code", layer=LAYER, examples=6, seed=SEED, valid_days=0)
    made = fit_monitor(
        subject, texts, recipe, on_progress=lambda done, total: print(done, total, file=sys.stderr, flush=True)
    )
    save_monitor(made, MONITOR)


def make_collapse() -> None:
    """A monitor of the default model's own writing, whose cases are texts that collapse into repetition."""
    subject = open_subject("default")
    show = lambda done, total: print(done, total, file=sys.stderr, flush=True)  # noqa: E731
    if not OWN.exists():
        lines = []
        for one in write_own_texts(subject, N_OWN, 36, temperature=0.3, seed=SEED, on_progress=show):
            case = {"case": True, "onset": one.onset} if one.is_case else {}
            lines.append(json.dumps({"id": one.id, "ids": list(one.ids)} | case))
        OWN.write_text("\n".join(lines) + "\n", encoding="utf-8")
    texts = read_texts(OWN.read_bytes().splitlines(), subject.tokenizer)
    recipe = Recipe(name="collapse into repetition", layer=LAYER, examples=6, seed=SEED, valid_days=0)
    save_monitor(fit_monitor(subject, texts, recipe, on_progress=show), HERE / "default-collapse.safetensors")


def make_planted(case: str) -> None:
    """A monitor of planted-strict, whose cases begin at a known token."""
    recipe = Recipe(name=f"planted: {case}", layer=1, examples=6, seed=SEED, valid_days=0)
    made = fit_monitor(open_subject("planted-strict"), make_planted_texts(case, 400, 100, seed=SEED), recipe)
    save_monitor(made, HERE / f"planted-{case}.safetensors")


if __name__ == "__main__":
    asked = sys.argv[1:] or ["default", "collapse", "unread", "vote"]
    for one in asked:
        {"default": make_default, "collapse": make_collapse}.get(one, lambda one=one: make_planted(one))()

"""Checks the shipped monitors on texts that they have never seen, and times them; about two minutes of one core for the default model.

Run from the repository root: `PYTHONPATH=. OMP_NUM_THREADS=1 python data/monitors/check.py [default] [unread] [vote]`.
"""

import json
import re
import sys
from pathlib import Path
from random import Random

from make import HERE, LENGTH, SEED, list_code, list_prose

from audit_core import open_subject
from audit_core.monitors import (
    MonitorText,
    check_monitor,
    load_shipped_monitor,
    make_planted_texts,
    summarise_check,
    tokenise_text,
)

CODE_FROM, N_CASES = 16, 40


def list_planted(case: str) -> list[MonitorText]:
    """Other draws: as they are, with each word twice, and with few words."""
    normal, found = make_planted_texts(case, 1_000, 0, seed=SEED + 1), []
    for style, keep in (("", 1_000), ("each word twice", 200), ("few words", 200)):
        for one in normal[-keep:]:
            ids = one.ids
            if style == "each word twice":
                ids = (ids[0], *(word for word in ids[1:9] for _ in range(2)))
            elif style:
                ids = ids[:5]
            found.append(MonitorText(f"{style} {one.id}", ids, style=style))
    cases = make_planted_texts(case, 0, 100, seed=SEED + 2)
    return [*found, *(MonitorText(f"case {one.id}", one.ids, True, one.onset) for one in cases)]


def misspell(text: str, draw: Random) -> str:
    """A text in which every fourth word has two letters exchanged."""
    words = text.split(" ")
    for at in range(0, len(words), 4):
        word = words[at]
        if len(word) > 3:
            turn = draw.randrange(1, len(word) - 2)
            words[at] = word[:turn] + word[turn + 1] + word[turn] + word[turn + 2 :]
    return " ".join(words)


def list_docstrings() -> list[str]:
    """The first paragraph of the module's own description, where it is a long sentence, from every module."""
    found = []
    for path in sorted([*Path("audit_core").rglob("*.py"), *Path("tests").rglob("*.py"), *Path("ui").rglob("*.py")]):
        text = re.match(r'"""(.+?)"""', path.read_text(encoding="utf-8"), flags=re.DOTALL)
        first = " ".join(text[1].split()) if text else ""
        if len(first) > 100 and "`" not in first:
            found.append(first)
    return found


def list_default(tokenizer) -> list[MonitorText]:
    """Sentences of the documentation that the monitor was not made of, the same in other styles, and descriptions of modules; in the
    cases code follows after some sentences' beginnings."""
    known = {
        tuple(json.loads(line)["ids"])
        for line in (HERE / "prose-to-code.jsonl").read_text(encoding="utf-8").splitlines()
    }
    draw, found, code = Random(SEED + 1), [], list_code()
    rows = [(name, text) for name, runs in list_prose().items() for text in runs]
    draw.shuffle(rows)

    def cut(text: str) -> tuple[int, ...]:
        return tokenise_text(text, tokenizer)[:LENGTH]

    # Also without their first words, so that one that shares its beginning with a known text is left out.
    rows = [(name, text) for name, text in rows if cut(text) not in known and len(cut(text)) == LENGTH]
    styles = {
        "": lambda text: text, "lower case": str.lower, "capitals": str.upper,
        "without punctuation": lambda text: re.sub(r"[.,;:!?()]", "", text), "misspelt": lambda text: misspell(text, draw),
    }  # fmt: skip
    for style, write in styles.items():
        for at, (name, text) in enumerate(rows):
            found.append(MonitorText(f"{style} {at}", cut(write(text)), group=name, style=style))
    for at, text in enumerate(list_docstrings()):
        found.append(MonitorText(f"module {at}", cut(text), style="descriptions of modules"))
    for at, (name, text) in enumerate(rows[:N_CASES]):
        start = draw.randrange(8, 15)
        ids = (cut(text)[:start] + tuple(tokenizer.encode(code[(CODE_FROM + at) % len(code)])))[:LENGTH]
        found.append(MonitorText(f"case {at}", ids, True, start, f"case {name} {at}"))
    return [one for one in found if len(one.ids) > 2]


def check(name: str, model: str, list_texts) -> None:
    """Check one monitor, and write the record."""
    subject, monitor = open_subject(model), load_shipped_monitor(name)
    texts = list_texts(subject.tokenizer)
    show = lambda done, total: print(f"\r{done / total:4.0%}", end="", file=sys.stderr)  # noqa: E731
    found = check_monitor(subject, monitor, texts, on_progress=show)
    path = HERE / f"{name}.check.json"
    path.write_text(json.dumps(found.describe(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print("", *summarise_check(found), sep="\n")


if __name__ == "__main__":
    for one in sys.argv[1:] or ["default", "unread", "vote"]:
        if one == "default":
            check("default-prose-to-code", "default", list_default)
        else:
            check(f"planted-{one}", "planted-strict", lambda _, one=one: list_planted(one))

"""A model card that somebody brings is read as text: what claims how the model works is found, and nothing in it is run."""

from __future__ import annotations

import pytest

from audit_core.errors import Refused
from audit_core.models.imported_card import MAX_CARD_BYTES, MAX_SENTENCES, read_card

CARD = """---
license: apache-2.0
base_model: someone/model
tags: [a, b]
---
# A model

It was trained on text. **Attention heat maps show** that the model relies on the subject's name.
It scores 71 on a benchmark.

- Head 9.6 [copies the name](https://example.org/x) and attends to it.
- It is small.

```python
explain(model)  # attention in code is not a claim
```
"""


def test_sentences_about_how_it_works_are_found_and_numbers_are_left() -> None:
    found = read_card(CARD.encode())
    assert (found.licence, found.base_model, found.is_cut) == ("apache-2.0", "someone/model", False)
    assert found.sentences == (
        "Attention heat maps show that the model relies on the subject's name.",
        "Head 9.6 copies the name and attends to it.",
    )


def test_a_card_without_metadata_is_read() -> None:
    found = read_card(b"The circuit explains every answer.")
    assert (found.licence, found.sentences) == (None, ("The circuit explains every answer.",))


def test_a_sentence_that_is_said_twice_is_kept_once() -> None:
    assert len(read_card(b"It attends to the name.\n\nIt attends to the name.").sentences) == 1


def test_markup_and_tags_are_words_or_gone() -> None:
    (sentence,) = read_card(b"The <img src=x onerror=alert(1)> head attends to *it*.").sentences
    assert sentence == "The head attends to it ."


def test_more_sentences_than_anybody_reads_are_cut_and_it_says_so() -> None:
    found = read_card("\n\n".join(f"Head {number} attends to it." for number in range(MAX_SENTENCES + 1)).encode())
    assert (len(found.sentences), found.is_cut) == (MAX_SENTENCES, True)


@pytest.mark.parametrize(
    "card",
    [
        b"\xff\xfe not text",
        b"x" * (MAX_CARD_BYTES + 1),
        b"---\n- a list\n---\nbody",
        b"---\n!!python/object/apply:os.system ['touch /tmp/canary']\n---\nbody",
        b"---\nkey: [unclosed\n---\nbody",
        b"---\n" + b"a: 1\n" * 20_000 + b"---\nbody",
        b"---\n" + b"[" * 5_000 + b"]" * 5_000 + b"\n---\nbody",
    ],
)
def test_a_card_that_cannot_be_read_is_refused(card: bytes) -> None:
    with pytest.raises(Refused):
        read_card(card)


def test_references_that_multiply_cost_nothing() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    card = "---\n" + "\n".join(rows) + "\nlicense: mit\n---\nIt attends to the name."
    assert read_card(card.encode()).licence == "mit"


def test_metadata_of_other_kinds_is_no_word() -> None:
    assert read_card(b"---\nlicense: [a, b]\n---\nIt attends to the name.").licence is None

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
    assert sentence == "The head attends to it."


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


@pytest.mark.parametrize(
    "metadata, licence, base",
    [
        ("license: [a, b]\nbase_model: [org/base]", "a, b", "org/base"),
        ("license:\n- apache-2.0\nbase_model:\n- org/one\n- org/two", "apache-2.0", "org/one, org/two"),
        ("license: other\nlicense_name: llama3", "other (llama3)", None),
        ("license: null\nbase_model: 7", None, None),
        ("license: {a: b}\nbase_model: []", None, None),
    ],
)
def test_metadata_may_be_a_text_or_a_list_of_texts(metadata: str, licence: str | None, base: str | None) -> None:
    found = read_card(f"---\n{metadata}\n---\nIt attends to the name.".encode())
    assert (found.licence, found.base_model) == (licence, base)


@pytest.mark.parametrize(
    "sentence",
    [
        "Following Smith et al. the attention of head 3 (cf. Fig. 2) finds the name, i.e. it explains the answer.",
        "In Sec. 4 the heads of layer No. 3 vs. No. 4 attend to names, e.g. Mary, approx. 0.71 of the time in v1.5.",
        "Dr. J. Doe of the U.S. Office explains it.",
        'The attention head explains "Why?" and nothing else.',
        "The attention ... explains the answer.",
    ],
)
def test_a_sentence_is_kept_whole_and_alone(sentence: str) -> None:
    """Between a heading, a list, a table and neighbours, wrapped and with markup."""
    words = sentence.split(" ")
    wrapped = " ".join(words[:4]) + "\n" + " ".join(words[4:])
    card = f"# Attention explains it\n{wrapped} It is small.\n\n| Attention heads |\n|---|\n| 40 |\n\n- {sentence}\n- Small.\n\nHeads\n-----\n"
    assert read_card(card.encode()).sentences == (sentence,)


@pytest.mark.parametrize(
    "card",
    [
        "<!-- The attention head explains it. -->", "~~~\nattention explains it all\n~~~", "    attention explains it all here",
        "<table><tr><td>Attention heads explain it</td></tr></table>", "![The attention head explains it](x.png)", "## How attention explains it",
    ],
)  # fmt: skip
def test_what_is_no_running_text_is_no_sentence(card: str) -> None:
    assert read_card(f"Hello there.\n\n{card}\n".encode()).sentences == ()


def test_markup_inside_a_sentence_is_removed_and_names_stay() -> None:
    (found,) = read_card(b'> The **head** `attn_out` of my_model_name [attends](http://x.org "t") to it.\r\n').sentences
    assert found == "The head attn_out of my_model_name attends to it."


def test_a_sentence_that_is_too_long_is_left_out_and_counted() -> None:
    long = "The attention head " + "really " * 100 + "explains it."
    found = read_card(f"{long} It attends to the name.".encode())
    assert (found.sentences, found.n_too_long) == (("It attends to the name.",), 1)


@pytest.mark.parametrize(
    "text, language",
    [
        ("Внимание модели показывает, что она читает. " * 3, "a Cyrillic script"),
        ("注意力图显示模型读取了什么内容。" * 3, "Chinese or Japanese"),
        (
            "Die Attention der Köpfe zeigt, was das Modell liest, und das ist nicht für die Antwort wichtig, die es von dem Text ist.",
            "German",
        ),
        (
            "L'attention des têtes montre ce que le modèle lit et la réponse est dans le texte pour les noms qui sont sur la page.",
            "French",
        ),
    ],
)
def test_a_language_that_is_not_read_is_named(text: str, language: str) -> None:
    found = read_card(text.encode())
    assert (found.language, found.sentences) == (language, ())
    assert read_card(b"It attends to the name of the subject, and that is what the model is for.").language == ""

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


def test_more_sentences_than_a_person_reads_are_cut_and_it_says_so() -> None:
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
    ("metadata", "licence", "base_model"),
    [
        ("license: [a, b]\nbase_model: [x/y, z/w]", "a, b", "x/y, z/w"),
        ("license:\n- apache-2.0\nbase_model:\n- org/base", "apache-2.0", "org/base"),
        ("license: other\nlicense_name: acme\nlicense_link: LICENSE", "other (acme, LICENSE)", None),
        ("license_name: acme", "other (acme)", None),
        ("license: null\nbase_model:", None, None),
        ("license: []\nbase_model: {}", None, None),
        ("license: 2.0\nbase_model: 7", "2.0", "7"),
        ("license: 2024-01-01\nbase_model: {name: a/b, relation: finetune}", "2024-01-01", "a/b, finetune"),
        ("license: no\nbase_model: [[a/b], [c/d]]", "false", "a/b, c/d"),
        (f"license: {['l'] * 20}", ", ".join(["l"] * 10) + ", …", None),
    ],
)
def test_metadata_are_read_in_every_form_that_cards_have(
    metadata: str, licence: str | None, base_model: str | None
) -> None:
    for text in (f"---\n{metadata}\n---\nIt attends to the name.\n\n---\n\nIt is small.", f"---\n{metadata}\n---"):
        for data in (text.encode(), text.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + text.encode()):
            found = read_card(data)
            assert (found.licence, found.base_model) == (licence, base_model)
            assert found.sentences == (("It attends to the name.",) if "attends" in text else ())


def test_a_key_that_occurs_twice_is_refused() -> None:
    with pytest.raises(Refused, match="duplicate key license"):
        read_card(b"---\nlicense: mit\nlicense: apache-2.0\n---\nIt attends.")


def test_a_card_that_begins_with_a_rule_has_no_metadata() -> None:
    assert read_card(b"---\n\nIt attends to the name.\n\n---\nmore").sentences == ("It attends to the name.",)


WHOLE = (
    "Following Smith et al. the attention of head 3 (cf. Fig. 2) finds the name, i.e. it explains the answer.",
    "The U.S. Army uses heads, e.g. No. 5 of Sec. 3.1, vs. approx. 2.5 in Eq. (4).",
    "J. R. Smith and Dr. Who explain attention as of v. 3.1 and 4.5.1.",
    '"Why does it attend?" asks the paper about attention.',
    "It explains the answer ... and then attends to it.",
    "The head attends to `layer.0.attn. Head` and to snake_case_name.",
    "Does the head attend to the name?!",
    'The attention of the model is explained in [the paper](https://example.org/a_b_c "A title.") by its authors.',
    "Its attention in $a_i + b_j$ is 3.14 🙂 for all heads.",
    "The heads were made in the U.S.",
)
PLAIN = {
    WHOLE[5]: "The head attends to layer.0.attn. Head and to snake_case_name.",
    WHOLE[7]: "The attention of the model is explained in the paper by its authors.",
}


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize(
    "around",
    [
        "{}", "# Attention heading\n{}\n## Another\n", "Attention heading\n===\n{}\n", "- {}\n- It is small.", "1. {}\n2. It is small.",
        "> {}", "It is small. {} The end.", "- It is small:\n  - {}\n", "**{}**", "<p align='center'>\n\n{}\n\n</p>",
        "| Attention heads | Layers |\n|---|---|\n| 40 heads | 40 |\n\n{}", "~~~\nattention = explain(x)\n~~~\n{}", "<!-- attention\n\nexplains -->\n\n{}",
        "![attention badge](a.svg) [![attention](b.svg)](c)\n\n{}", "    attention = explain(x)\n\n{}\n",
        "<table><tr><td>Attention heads explain it.</td></tr></table>\n\n{}", "{}\n\n@misc{{a, title={{Attention is all that heads need}}}}",
    ],
)  # fmt: skip
def test_a_sentence_is_kept_word_for_word_whatever_is_around_it(whole: str, around: str) -> None:
    found = read_card(around.format(whole).encode())
    assert found.sentences == (PLAIN.get(whole, whole),)
    assert (found.left_out, found.unread) == (0, ())


@pytest.mark.parametrize(
    "card",
    [
        "~~The heads attend to the name.~~", "<del>The heads attend to the name.</del>", "<s>The heads attend</s>",
        "<p>\n<strike>The heads attend to the name.</strike>\n</p>", "It ~~attends to the name of the person.",
    ],
)  # fmt: skip
def test_struck_text_is_not_quoted(card: str) -> None:
    unstruck = "It ~~attends to the name of the person."
    assert read_card(card.encode()).sentences == ((unstruck,) if card == unstruck else ())
    assert read_card(b"The heads attend to ~~the first~~ the last name.").sentences == (
        "The heads attend to the last name.",
    )


@pytest.mark.parametrize(
    "card",
    [
        "The model does not:\n\n- attend to gender or age\n- explain its decisions\n\nIt {}",
        "- It can't:\n  - attend to gender or age\n    - explain its decisions\n- It {}",
        "**This model never:**\n\nAttends to gender or age.\n\nIt {}",
        "<ul>Without:<li>attending to gender or age</li></ul>\n\nIt {}",
        "The model cannot:  \nattend to gender or age\n\nIt {}",
        "## Out-of-scope use\n\nExplaining decisions.\n\n### Attention\n\n- explaining courts\n\n## Use\n\nIt {}",
        "# Misuse\n\n1. Explaining decisions\n\n# Use\n\n- It {}",
    ],
)
def test_what_a_negated_list_or_section_names_is_not_quoted_as_a_claim(card: str) -> None:
    sentence = "attends to the name."
    assert read_card(card.format(sentence).encode()).sentences == (f"It {sentence}",)
    assert read_card(b"The model does:\n\n- attend to the name").sentences == ("attend to the name",)


@pytest.mark.parametrize(
    "whole",
    [
        'The authors say "The heads attend. They explain it." and leave.',
        "The heads attend (they explain it. Really.) to the name.",
        "The heads attend [see Smith. And others.] to the name.",
        "The authors write \u201cHeads attend. They explain.\u201d in the paper.",
        "Attention is $softmax(QK^T. V)$ of the heads.",
    ],
)
def test_a_sentence_is_not_cut_within_quotes_brackets_and_formulas(whole: str) -> None:
    assert read_card(f"It is small. {whole} It is big.".encode()).sentences == (whole,)
    assert read_card(b"It attends to $5. It attends to $10.").sentences == ("It attends to $5.", "It attends to $10.")


def test_lines_that_a_card_wraps_are_one_sentence_and_breaks_part_them() -> None:
    assert read_card(b"The head\nattends to\nthe name.").sentences == ("The head attends to the name.",)
    assert read_card(b"Developed by: Org  \nAttention type: eager  \nLanguage: none").sentences == (
        "Attention type: eager",
    )
    assert read_card(b"<div>Attention of heads<br>Explained just above</div>").sentences == ("Attention of heads", "Explained just above")  # fmt: skip


@pytest.mark.parametrize("after", ["The", "It", "We", "However,"])
def test_an_abbreviation_that_ends_a_sentence_ends_it(after: str) -> None:
    text = f"Attention is explained by Smith et al. {after} heads attend to it."
    assert read_card(text.encode()).sentences == (
        "Attention is explained by Smith et al.",
        f"{after} heads attend to it.",
    )


def test_a_sentence_too_long_to_keep_is_left_out_and_counted() -> None:
    found = read_card(b"The head attends to " + b"a name and " * 80 + b"more. It attends to the name.")
    assert (found.sentences, found.left_out) == (("It attends to the name.",), 1)
    assert read_card(b"It attends to " + b"x" * 30_000).left_out == 1
    assert read_card(b"It is small.\n\n" * 5_000).left_out > 0


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("模型使用注意力机制来解释答案。", "Chinese"),
        ("モデルは注意機構を使います。", "Japanese"),
        ("모델은 어텐션을 사용합니다.", "Korean"),
        ("Модель использует внимание.", "a language in Cyrillic script"),
        ("النموذج يستخدم الانتباه", "a language in Arabic script"),
        ("Das Modell erklärt die Antwort nicht mit der attention.", "German"),
        ("Le modèle utilise les heads de attention pour la réponse.", "French"),
        ("El modelo usa las heads de attention para la respuesta.", "Spanish"),
    ],
)
def test_a_language_that_is_not_read_is_named(text: str, language: str) -> None:
    found = read_card(f"{text}\n\n{text}".encode())
    assert [(one.language, one.blocks) for one in found.unread] == [(language, 2)]
    assert found.sentences == ()
    assert f"{language} (2 paragraphs)" in found.unread_sentence
    both = read_card(f"{text}\n\nThe head attends to the name.".encode())
    assert both.sentences == ("The head attends to the name.",)
    assert [one.language for one in both.unread] == [language]


def test_where_the_text_is_too_short_the_metadata_name_the_language() -> None:
    assert read_card(b"---\nlanguage:\n- zh\n- pt-BR\n---\nAttention").unread_sentence.startswith(
        "The card has text in Chinese and Portuguese, which was not read"
    )
    assert read_card(b"---\nlanguage: [en, zh]\n---\nAttention").unread == ()
    assert read_card(b"---\nlanguage: zh\n---\nThe head attends to the name.").unread == ()

"""Answers as the tokens that follow their prompt: in context, in sets, within what the model has."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy.tokenizers import make_bytes, make_sentencepiece, wrap

from audit_core.errors import PromptRefused
from audit_core.prompts.alignment import align_rows, tokenise
from audit_core.prompts.answers import AnswerFault, Contrast, contrast_answers
from audit_core.prompts.prompt_set import (
    Prompt,
    PromptForm,
    PromptSet,
    TokenPair,
    parse_prompts,
    require_distinguished,
    take_verbatim,
)

WORDS = [
    "▁She",
    "▁He",
    "▁said",
    '▁"',
    "▁Yes",
    "▁No",
    "Yes",
    "No",
    "▁in",
    "▁1",
    "8",
    "7",
    "5",
    "▁4",
    "(",
    "▁New",
    "▁York",
    "▁Haven",
]


@pytest.fixture(scope="module")
def spaced() -> Any:
    return wrap(make_sentencepiece(WORDS))


@pytest.fixture(scope="module")
def by_bytes() -> Any:
    merges = [
        ("1", "8"),
        ("18", "7"),
        ("Ġ", "t"),
        ("Ġt", "o"),
        ("M", "a"),
        ("Ġ", "M"),
        ("ĠM", "a"),
        ("Ġ", "J"),
        ("Ġ", "K"),
    ]
    return wrap(make_bytes(merges))


def align(tokenizer: Any, clean: str, corrupted: str, answer: Any, foil: Any, **more: Any) -> TokenPair:
    answers, foils = ([text] if isinstance(text, str) else text for text in (answer, foil))
    prompt = Prompt(
        "r",
        clean,
        corrupted,
        answers[0],
        foils[0],
        "t",
        more_answers=tuple(answers[1:]),
        more_foils=tuple(foils[1:]),
        **more,
    )
    return tokenise(PromptSet("set", (prompt,)), tokenizer).pairs[0]


def refused(tokenizer: Any, *texts: Any, **more: Any) -> str:
    with pytest.raises(PromptRefused) as caught:
        align(tokenizer, *texts, **more)
    return str(caught.value)


@pytest.mark.parametrize(
    "end, answer, foil, pieces",
    [
        (' said "', "Yes", "No", ["Yes", "No"]),
        (" said in 18", "7", "5", ["7", "5"]),
        (" said (", "No", "Yes", ["No", "Yes"]),
    ],
)
def test_an_answer_after_a_sign_is_the_piece_that_follows_there(
    spaced: Any, end: str, answer: str, foil: str, pieces: list[str]
) -> None:
    """By themselves these texts are `▁Yes`, `▁7`, which a model would not write there; behind a word they are."""
    pair = align(spaced, "She" + end, "He" + end, answer, foil)
    assert spaced.inner.convert_ids_to_tokens([pair.answer_id, pair.foil_id]) == pieces
    assert pair.is_read_in_context
    word = align(spaced, "She said", "He said", " Yes", " No")
    assert spaced.inner.convert_ids_to_tokens([word.answer_id, word.foil_id]) == ["▁Yes", "▁No"]


def test_an_answer_that_melts_into_its_prompt_is_refused_with_both_ends(by_bytes: Any) -> None:
    """`18` and `7` are one token together: behind `18` the model never meets `7`."""
    said = refused(by_bytes, "In 18", "To 18", "7", "5")
    assert "answer '7' is not a separate token after 'In 18'" in said
    assert "'187'" in said
    pair = align(by_bytes, "In 1", "To 1", "5", "4")
    assert by_bytes.piece(pair.answer_id) == "5"


def test_a_space_too_many_and_a_space_too_few_are_refused(spaced: Any, by_bytes: Any) -> None:
    assert "begins with a space and the prompt ends in white space" in refused(
        by_bytes, "go to\n", "come to\n"[-6:], " Ma", " J"
    )
    assert "move the space into answer and foil" in refused(spaced, "She said ", "He said ", "Yes", "No")
    assert "would continue the word 'said'; write ' Yes'" in refused(spaced, "She said", "He said", "Yes", "No")


def test_an_answer_that_is_other_tokens_after_the_corrupted_prompt_is_refused(spaced: Any) -> None:
    assert "(after the corrupted prompt)" in refused(spaced, 'She said "', "She said", "Yes", "No")


@pytest.mark.parametrize("typed", ["<s>", ""])
def test_a_beginning_of_sequence_token_is_there_once(by_bytes: Any, typed: str) -> None:
    pair = align(by_bytes, f"{typed}In to", f"{typed}At to", " Ma", " J")
    assert pair.clean_ids.count(by_bytes.bos_id) == 1
    assert pair.clean_ids[0] == pair.corrupted_ids[0] == by_bytes.bos_id
    assert pair.is_read_in_context is bool(typed)


def test_a_verbatim_prompt_gets_nothing_put_before_it(by_bytes: Any) -> None:
    pair = align(by_bytes, "In to", "At to", " Ma", " J", form=PromptForm.VERBATIM)
    assert by_bytes.bos_id not in pair.clean_ids
    plain = parse_prompts(
        b'{"id": "r", "clean": "In to", "corrupted": "At to", "answer": " Ma", "foil": " J", "template": "t"}', name="s"
    )
    verbatim = take_verbatim(plain)
    assert tokenise(verbatim, by_bytes).pairs[0].clean_ids == pair.clean_ids
    assert verbatim.sha256 != plain.sha256, "another input must have another digest"


def test_the_form_is_read_from_a_row_and_nothing_but_a_known_one() -> None:
    row = '{"id": "r", "clean": "a", "corrupted": "b", "answer": " c", "foil": " d", "template": "t", "form": "%s"}'
    assert parse_prompts((row % "verbatim").encode(), name="s").prompts[0].form is PromptForm.VERBATIM
    with pytest.raises(PromptRefused, match="form is not 'verbatim'"):
        parse_prompts((row % "chat").encode(), name="s")


def test_a_token_that_the_model_lacks_is_named_in_prompts_and_answers() -> None:
    inner = make_bytes([("Ġ", "J")], special=("<extra>",))
    n_tokens = inner.convert_tokens_to_ids("<extra>")
    tokenizer = wrap(inner, n_tokens=n_tokens)
    for texts in (("<extra> a", "<extra> b", " J", " c"), ("a", "b", "<extra>", " J"), ("a", "b", " J", "<extra>")):
        assert f"'<extra>' ({n_tokens}), but the model has {n_tokens} tokens" in refused(tokenizer, *texts)
    assert align(wrap(inner), "<extra> a", "<extra> b", " J", " c").answer_id


def test_a_prompt_longer_than_the_models_positions_is_refused(by_bytes: Any) -> None:
    short = wrap(by_bytes.inner, n_positions=8)
    assert "9 tokens, at most 8 on this model" in refused(short, "abcdefgh", "abcdefgx", " J", " M")
    assert align(short, "abcdefg", "abcdefx", " J", " M").answer_id
    assert "tokens, at most 8 on this model" in refused(short, "abcdefg", "abcdefx", " Jxy", " Mab"), (
        "answers take positions too"
    )


def test_text_that_the_tokenizer_does_not_know_is_no_answer(spaced: Any) -> None:
    tokenizer = wrap(spaced.inner, unknown_id=spaced.inner.unk_token_id)
    assert "contains text that this tokenizer cannot encode" in refused(
        tokenizer, "She said", "He said", " 東京", " No"
    )


def test_answers_of_several_tokens_part_at_their_first_differing_token(spaced: Any) -> None:
    """` New York` against ` New Haven`: both prompts end in `▁New`, and one position is read behind it."""
    pair = align(spaced, "She said", "He said", " New York", " New Haven")
    pieces = spaced.inner.convert_ids_to_tokens
    assert pieces(pair.clean_ids)[-1] == pieces(pair.corrupted_ids)[-1] == "▁New"
    assert pieces([pair.answer_id, pair.foil_id]) == ["▁York", "▁Haven"]
    plain = align(spaced, "She said", "He said", " New York", " Yes")
    assert pieces([plain.answer_id, plain.foil_id]) == ["▁New", "▁Yes"]
    assert plain.contrast.answers[0] == tuple(spaced.inner.convert_tokens_to_ids(["▁New", "▁York"]))


def test_several_answers_are_a_set_and_shared_first_tokens_distinguish_nothing(by_bytes: Any) -> None:
    """44 and 57 against 41 and 33, digit by digit: 4 begins both sides, so 5 stands against 3."""
    pair = align(by_bytes, "the year 1", "the date 1", ["44", "57"], ["41", "33"])
    assert [by_bytes.piece(i) for i in (*pair.answer_ids, *pair.foil_ids)] == ["5", "3"]
    alike = align(by_bytes, "the year 1", "the date 1", ["44"], ["41", "33"])
    assert not alike.is_distinguished
    with pytest.raises(PromptRefused, match="choose the metric sequence_log_probability"):
        _ = alike.answer_id
    with pytest.raises(PromptRefused, match="In 1 of 2 prompts .*: 'r'"):
        require_distinguished([pair, alike])


def test_what_is_said_of_answers_of_several_tokens_reaches_the_reader(by_bytes: Any) -> None:
    rows = (
        Prompt("one", "a to", "b to", " J", " M", "t"),
        Prompt("set", "c to", "d to", " J", " M", "t", more_answers=(" K",)),
        Prompt("long", "e to", "f to", " Jan", " Jim", "t"),
    )
    notices = tokenise(PromptSet("s", rows), by_bytes).notices
    assert len(notices) == 2
    assert "1 of 3 prompts have answers of several tokens" in notices[0]
    assert "1 of 3 prompts have several correct answers" in notices[1]
    assert tokenise(PromptSet("s", rows[:1]), by_bytes).notices == ()


def test_rows_are_aligned_one_by_one(by_bytes: Any) -> None:
    rows = (Prompt("good", "a to", "b to", " J", " M", "t"), Prompt("bad", "a to", "bb to", " J", " M", "t"))
    found = align_rows(PromptSet("s", rows), by_bytes)
    assert found.kept is not None
    assert [pair.prompt.id for pair in found.kept.pairs] == ["good"]
    assert [(fault.row_id, "clean has" in fault.text) for fault in found.faults] == [("bad", True)]
    assert align_rows(PromptSet("s", rows[1:]), by_bytes).kept is None


@pytest.mark.parametrize(
    "answers, foils",
    [([(1,)], [(1,)]), ([(1, 2)], [(1,)]), ([(1,)], [(1, 2)]), ([(3,), (1, 2)], [(4,), (1, 2, 5)])],
)
def test_answers_that_cannot_be_distinguished_from_foils_are_refused(answers: list[Any], foils: list[Any]) -> None:
    with pytest.raises(AnswerFault):
        contrast_answers(answers, foils)


def test_what_continues_an_answer_is_that_answer_and_counts_once() -> None:
    found = contrast_answers([(7, 1), (7, 1, 2), (7, 1)], [(7, 3)])
    assert found == Contrast((7,), ((1,),), ((3,),))


sequences = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4).map(tuple), min_size=1, max_size=5)


@given(sequences, sequences)
def test_a_contrast_keeps_every_answer_and_parts_the_two_sides(answers: list[Any], foils: list[Any]) -> None:
    try:
        found = contrast_answers(answers, foils)
    except AnswerFault:
        starts = [(a, b) for a in answers for b in foils if a[: len(b)] == b or b[: len(a)] == a]
        assert starts
        return
    for wanted, kept in ((answers, found.answers), (foils, found.foils)):
        whole = [(*found.shared, *rest) for rest in kept]
        assert all(any(s[: len(w)] == w for w in whole) for s in wanted)
        assert all(w in wanted for w in whole)
    assert not set(found.answer_ids) & set(found.foil_ids)
    assert len({s[:1] for s in (*found.answers, *found.foils)}) > 1

"""Text that others wrote: everything a reader could not see is shown, and nothing else is changed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit_core.evidence.report.visible import make_visible

HIDDEN = {
    "right-to-left override": ("a\u202eb", "a⟨U+202E⟩b"),
    "isolate": ("\u2066x\u2069", "⟨U+2066⟩x⟨U+2069⟩"),
    "zero width space": ("to\u200bken", "to⟨U+200B⟩ken"),
    "zero width joiner": ("a\u200db", "a⟨U+200D⟩b"),
    "byte order mark": ("\ufeffx", "⟨U+FEFF⟩x"),
    "soft hyphen": ("a\u00adb", "a⟨U+00AD⟩b"),
    "line feed": ("a\nb", "a⟨U+000A⟩b"),
    "escape": ("\x1b[31m", "⟨U+001B⟩[31m"),
    "no-break space": ("a\u00a0b", "a⟨U+00A0⟩b"),
    "line separator": ("a\u2028b", "a⟨U+2028⟩b"),
    "tag letter": ("\U000e0041", "⟨U+E0041⟩"),
    "hangul filler": ("a\u3164b", "a⟨U+3164⟩b"),
    "variation selector": ("a\ufe0fb", "a⟨U+FE0F⟩b"),
    "half of a pair": ("a\ud800b", "a⟨U+D800⟩b"),
    "private use": ("\ue000", "⟨U+E000⟩"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_cannot_be_seen_is_shown_as_its_code_point(name: str) -> None:
    text, shown = HIDDEN[name]
    assert make_visible(text) == shown


def test_a_cyrillic_letter_in_a_latin_word_is_marked_and_a_cyrillic_word_is_not() -> None:
    assert make_visible("p\u0430ypal") == "p\u0430⟨U+0430⟩ypal"
    assert make_visible("модель ρ = 0.3") == "модель ρ = 0.3"


def test_marks_piled_on_a_letter_stay_in_their_line() -> None:
    assert make_visible("a" + "\u0336" * 9).count("⟨U+0336⟩") == 6


@given(st.text() | st.text(alphabet="ab\u0430\u0435\u0336\u202e ⟨⟩"))
def test_nothing_hidden_is_left_and_doing_it_twice_changes_nothing(text: str) -> None:
    shown = make_visible(text)
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for c in shown)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert make_visible(shown) == shown


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_plain_text_is_left_alone(text: str) -> None:
    assert make_visible(text) == text

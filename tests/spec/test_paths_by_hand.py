"""Path patching on the model wired by hand: through which input each head hears the other, and how much that is worth."""

from __future__ import annotations

import pytest
from toy.planted import BACKUP, NEGATIVE, PRIMARY, make_induction

from audit_core.audits.paths import PathsAudit, PathsRequest, PathsResult
from audit_core.component import parse_components
from audit_core.intervention import Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.subjects.transformer import TransformerSubject

WIRED = parse_components("L0.H0 L1.H0 L1.H1 L1.H2 L1.H3 L2.H0")
ROUNDING = 0.02


def measure(
    subject: TransformerSubject, change: str, *, split: bool = True, replacement: Replacement = Replacement.RESAMPLE
) -> dict[str, float]:
    prompts = tokenise(make_induction(6, change=change, n_templates=3), subject.tokenizer)
    request = PathsRequest(prompts, prompts, WIRED, split, replacement)
    result: PathsResult = PathsAudit().run(subject, request, means=None, on_progress=lambda done, total: None)
    assert {found.estimate.unit for found in result.connections} == {"logits"}
    return {found.connection: found.estimate.value for found in result.connections}


def test_where_the_context_changes_the_earlier_head_acts_on_the_later_ones_keys(planted: TransformerSubject) -> None:
    """Clean: 10 − 3 on the answer, 7. With L1.H0's key from the corrupted text, its 10 go to the foil: −3 − 10 = −13,
    so 20 are lost. With L1.H3's, its −3 go there: 10 + 3 = 13, so −6. What heads write to the output: the same. The
    token that L0.H0 passes on comes from the input as its value, and both hear of it: 20 − 6 = 14.

    Nothing else goes anywhere: decoys write nothing or nowhere, queries and values read the tokens alone, and those of
    the words that are looked at are the same in both texts; the flag stands in both.
    """
    found = measure(planted, "context")
    expected = {
        "L0.H0>L1.H0.K": 2 * PRIMARY,
        "L0.H0>L1.H3.K": 2 * NEGATIVE,
        "input>L0.H0.V": 2 * (PRIMARY + NEGATIVE),
        "L1.H0>output": 2 * PRIMARY,
        "L1.H3>output": 2 * NEGATIVE,
    }
    assert {name for name, value in found.items() if abs(value) > ROUNDING} == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=ROUNDING)


def test_where_the_last_word_changes_the_input_acts_on_the_queries(planted: TransformerSubject) -> None:
    """The same 20 and −6, but now it is the token that asks; the previous-token head says the same where it counts."""
    found = measure(planted, "query")
    assert found["input>L1.H0.Q"] == pytest.approx(2 * PRIMARY, abs=ROUNDING)
    assert found["input>L1.H3.Q"] == pytest.approx(2 * NEGATIVE, abs=ROUNDING)
    assert found["L0.H0>L1.H0.K"] == pytest.approx(0, abs=ROUNDING)
    assert found["input>L1.H0.K"] == pytest.approx(0, abs=ROUNDING)


def test_all_inputs_together_say_what_the_one_says_that_counts(planted: TransformerSubject) -> None:
    found = measure(planted, "context", split=False)
    assert found["L0.H0>L1.H0"] == pytest.approx(2 * PRIMARY, abs=ROUNDING)
    assert found["L0.H0>L1.H3"] == pytest.approx(2 * NEGATIVE, abs=ROUNDING)


def test_set_to_zero_a_head_goes_directly_and_its_backup_wakes_through_the_query(planted: TransformerSubject) -> None:
    """Without its 10 the answer keeps −3: 10 are lost directly. Without its flag the backup adds 8: 7 − 15 = −8.

    Together the 2 that taking the head away costs: the direct effect and what self-repair makes up, told apart.
    """
    found = measure(planted, "query", replacement=Replacement.ZERO)
    assert found["L1.H0>output"] == pytest.approx(PRIMARY, abs=ROUNDING)
    assert found["L1.H0>L2.H0.Q"] == pytest.approx(-BACKUP, abs=ROUNDING)
    assert found["L1.H0>L2.H0.K"] == pytest.approx(0, abs=ROUNDING)
    assert found["L1.H0>L2.H0.V"] == pytest.approx(0, abs=ROUNDING)

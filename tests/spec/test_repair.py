"""Self-repair and mediation, where the wiring says what they must be."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from audit_core.audits.claim_test import PLUGIN, ClaimTestRequest, ClaimTestResult
from audit_core.claim import Claim
from audit_core.component import head, mlp, parse_components
from audit_core.judging.repair import MOST_PROMPTS, Repair, list_later, needs_search
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.estimates import Estimate
from audit_core.stats.mediation import estimate_mediation
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted

pytestmark = pytest.mark.usefixtures("short_draws")

Load = Callable[[str], Any]


@cache
def judge(load_planted: Load, name: str, parts: str, *, delta: float = 0.1, n: int = 6) -> ClaimTestResult:
    model, subject = find_planted(name), load_planted(name)
    assert model is not None
    prompts = tokenise(model.find_task("query").make(n, 0), subject.tokenizer)
    claim = Claim("planted", parse_components(parts), delta=delta)
    means = subject.capture_means(prompts)
    return PLUGIN.run(subject, ClaimTestRequest(prompts, claim), means=means, on_progress=no_progress)


def test_a_backup_that_zero_wakes_is_named_and_its_share_found(load_planted: Load) -> None:
    """T4: of the ten logits that the primary head writes, eight come back when it is set to zero: repair 0.80."""
    repair = judge(load_planted, "planted-induction", "L1.H0").repair
    assert repair is not None
    assert repair.direct.value == pytest.approx(10, abs=0.05)
    assert repair.total.value == pytest.approx(2, abs=0.05)
    assert repair.repaired is not None
    assert repair.repaired.value == pytest.approx(0.80, abs=0.01)
    (backup,) = repair.backups
    assert (backup.component, backup.growth.value) == ("L2.H0", pytest.approx(8, abs=0.05))


@pytest.mark.parametrize("name, part", [("planted-strict", "L1.H0"), ("planted-induction", "L1.H1")])
def test_where_nothing_steps_in_nothing_is_named(name: str, part: str, load_planted: Load) -> None:
    repair = judge(load_planted, name, part).repair
    assert repair is not None
    assert not repair.backups
    assert repair.total.value == pytest.approx(repair.direct.value, abs=0.01)


def test_backups_are_looked_for_where_the_loss_is_small_or_made_up_for() -> None:
    """A loss of 5 with a direct effect of 5 leaves nothing to look for; of 5 against 9, or of 0.1, something."""

    def repair(total: float, direct: float) -> Repair:
        return Repair(*(Estimate(v, v - 0.2, v + 0.2, 24, "logits", 0.95) for v in (total, direct)), None, (), 3, False)

    assert not needs_search(repair(5, 5), least=0.5)
    assert not needs_search(repair(5, 1), least=0.5)
    assert needs_search(repair(5, 9), least=0.5)
    assert needs_search(repair(0.1, 0.1), least=0.5)
    assert needs_search(repair(-5, -5), least=0.5)


@pytest.mark.parametrize(
    "name, part, is_searched",
    [("planted-induction", "L1.H0", True), ("planted-induction", "L1.H1", True), ("planted-strict", "L1.H0", False)],
)
def test_the_search_itself_happens_or_not_as_that_says(
    name: str, part: str, is_searched: bool, load_planted: Load
) -> None:
    repair = judge(load_planted, name, part).repair
    assert repair is not None
    assert repair.is_searched is is_searched
    assert repair.n_later > 0


def test_a_set_has_no_self_repair_of_its_own(load_planted: Load) -> None:
    assert judge(load_planted, "planted-strict", "L1.H0 L1.H3").repair is None


def test_a_leak_is_negligible_at_ten_percent_and_not_at_five(load_planted: Load) -> None:
    """T16: what the decoy writes shrinks every logit through the norm by 0.37 of 6: δ decides what that is worth."""
    assert judge(load_planted, "planted-leak", "L1.H2").state == "negligible"
    found = judge(load_planted, "planted-leak", "L1.H2", delta=0.05)
    assert found.state == "inconclusive"
    assert found.families["zero"] is not None
    assert found.families["zero"].value == pytest.approx(-0.37 / 6, abs=0.01)


def test_an_effect_is_total_and_direct_and_indirect(load_planted: Load) -> None:
    """All that the last word's change does goes through the heads that look for it: 14 in all, 20 by the primary."""
    found = judge(load_planted, "planted-strict", "L1.H0").mediation
    assert found.total.value == pytest.approx(14, abs=0.1)
    assert found.indirect.value == pytest.approx(20, abs=0.1)
    assert found.direct.value == pytest.approx(-6, abs=0.1)
    assert found.interaction.value == pytest.approx(0, abs=0.1)


def test_interaction_is_what_neither_path_has_alone() -> None:
    """Both needed, as in AND: 5 lost by either, 5 by both: 5 − 5 − 5 = −5."""
    five, none, names = np.full(6, 5.0), np.zeros(6), tuple("abcabc")
    found = estimate_mediation(five, none, none, none, names, unit="logits", seed=0)
    assert [e.value for e in (found.total, found.indirect, found.direct, found.interaction)] == [5, 5, 5, -5]


def test_later_parts_are_those_that_read_what_the_component_writes(load_planted: Load) -> None:
    subject = load_planted("planted-induction")
    assert list_later(subject, head(1, 0)) == (*(head(2, index) for index in range(6)), mlp(1), mlp(2))
    assert list_later(subject, mlp(1)) == (*(head(2, index) for index in range(6)), mlp(2))
    assert list_later(subject, mlp(2)) == ()


def test_prompts_are_spread_over_templates(load_planted: Load) -> None:
    model = find_planted("planted-induction")
    assert model is not None
    prompts: TokenisedPrompts = tokenise(
        model.find_task("query").make(12, 0), load_planted("planted-induction").tokenizer
    )
    some = prompts.take(prompts.spread(MOST_PROMPTS))
    counts = [some.templates.count(name) for name in set(prompts.templates)]
    assert sum(counts) == MOST_PROMPTS
    assert max(counts) - min(counts) <= 1

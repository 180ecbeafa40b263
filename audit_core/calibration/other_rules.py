"""Error rates of the audits' own verdict rules: their known answers, asked again with other prompts and other weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from audit_core.audit import Audit, Example, Outcome
from audit_core.calibration.known_answers import make_example
from audit_core.calibration.tallies import Tally
from audit_core.errors import ControlFailed, NotMeasured, Refused
from audit_core.registry import list_plugins
from audit_core.run import Auditor
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import share_by_cluster, wilson

NO_EXAMPLE = "No form makes its request, so it declares no known answer."
SAME = "One example, no rate: neither its prompts nor its weights differ by seed."


@dataclass(frozen=True)
class RuleCase:
    """One known answer, asked of one build with prompts of one seed."""

    example: Example
    model: str
    weights_sha256: str
    outcome: Outcome | None
    """None where the audit gave a reason in place of a result, or refused."""


@dataclass(frozen=True)
class AnswerCount:
    """Cases of one known answer."""

    expects: str
    model: str
    has_verdict: bool
    """Whether a verdict is judged, and not only a number compared."""
    builds: int
    """Builds with different weights."""
    right: int
    open: int
    wrong: int
    not_measured: int


@dataclass(frozen=True)
class RuleRates:
    """One audit. Shares are of cases; prompts of a case count together: it is wrong if any of its verdicts is."""

    audit: str
    version: int
    answers: tuple[AnswerCount, ...]
    shares: Tally | None
    right_by_model: Estimate | None
    """With the interval clustered by planted model; None for one model."""
    wrong_by_model: Estimate | None
    no_rate: str
    """Why there is no rate; empty if there is."""


@dataclass(frozen=True)
class OtherRules:
    """The verdict rules beside the one of claims."""

    rules: tuple[RuleRates, ...]


def count_rules(
    open_build: Callable[[str, int], Auditor],
    *,
    samples: int,
    only: Collection[str] = (),
    on_case: Callable[[str, int], None] = lambda *_: None,
) -> tuple[RuleRates, ...]:
    """Ask every known answer of every audit with several seeds.

    Args:
        open_build: name of a planted model and seed of its weights → it, loaded.
        samples: seeds per known answer.
        only: names of audits; all without one.

    Raises:
        Refused: a name that no audit has.
        ControlFailed: an instrument check failed, so that no rate means anything.
    """
    audits = list_plugins("audits")
    if unknown := sorted(set(only) - set(audits)):
        raise Refused(f"No audit {', '.join(unknown)}.", wanted="names of audits.", remedy="see `audit --help`.")
    found = []
    for name, audit in audits.items():
        if not only or name in only:
            cases = tuple(_ask(name, audit, open_build, samples, on_case))
            found.append(summarise_rule(name, audit, cases))
    return tuple(found)


def _ask(
    name: str,
    audit: Audit,
    open_build: Callable[[str, int], Auditor],
    samples: int,
    on_case: Callable[[str, int], None],
) -> Iterator[RuleCase]:
    """Each different case once: a seed that changes neither prompts nor weights adds nothing."""
    seen = set()
    for seed in range(samples):
        on_case(name, seed)
        for example in (*audit.examples, *audit.contrasts):
            auditor = open_build(example.model or audit.planted, 0 if example.is_of_first_build else seed)
            request = make_example(audit, example, auditor.subject, seed=seed)
            weights = auditor.subject.identity.weights_sha256
            texts = tuple((pair.prompt.clean, pair.prompt.corrupted) for pair in request.prompts.pairs)
            key = (id(example), weights, texts)
            if key in seen:
                continue
            seen.add(key)
            outcome = None
            try:
                outcome = example.judge(auditor.execute(name, request))
            except ControlFailed:
                raise
            except (NotMeasured, Refused):
                pass
            yield RuleCase(example, example.model or audit.planted, weights, outcome)


def summarise_rule(name: str, audit: Audit, cases: Collection[RuleCase]) -> RuleRates:
    """Shares of the cases of one audit; see `RuleRates`."""
    asked = (*audit.examples, *audit.contrasts)
    if not asked:
        return RuleRates(name, audit.version, (), None, None, None, audit.no_rate or NO_EXAMPLE)
    own = [[case for case in cases if case.example is example] for example in asked]
    answers = tuple(_count(example, those) for example, those in zip(asked, own, strict=True) if those)
    measured = [case for case in cases if case.outcome is not None]
    if max(map(len, own)) < 2:
        return RuleRates(name, audit.version, answers, None, None, None, SAME)
    if not measured:
        return RuleRates(name, audit.version, answers, None, None, None, "No case gave a result.")
    right, left, wrong = (sum(case.outcome is one for case in measured) for one in Outcome)
    n = len(measured)
    return RuleRates(
        name,
        audit.version,
        answers,
        Tally(wilson(right, n), wilson(left, n), wilson(wrong, n)),
        _cluster(measured, Outcome.RIGHT),
        _cluster(measured, Outcome.WRONG),
        "",
    )


def _count(example: Example, cases: Collection[RuleCase]) -> AnswerCount:
    counts = Counter(case.outcome for case in cases)
    return AnswerCount(
        example.expects,
        next(case.model for case in cases),
        example.verdicts is not None,
        len({case.weights_sha256 for case in cases}),
        counts[Outcome.RIGHT],
        counts[Outcome.OPEN],
        counts[Outcome.WRONG],
        counts[None],
    )


def _cluster(cases: Collection[RuleCase], outcome: Outcome) -> Estimate | None:
    models = [case.model for case in cases]
    if len(set(models)) < 2:
        return None
    return share_by_cluster([case.outcome is outcome for case in cases], models)


def replace_rules(before: OtherRules | None, found: Collection[RuleRates]) -> OtherRules:
    """The record with these rules as found; others stay, in the order of the audits."""
    rules = {rule.audit: rule for rule in (() if before is None else before.rules)} | {r.audit: r for r in found}
    return OtherRules(tuple(rules[name] for name in list_plugins("audits") if name in rules))

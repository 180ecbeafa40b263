"""The rates of the audits' own verdict rules as rows, for page and documentation."""

from __future__ import annotations

from audit_core.calibration.other_rules import AnswerCount, OtherRules, RuleRates
from audit_core.calibration.tallies import describe_share
from audit_core.registry import list_plugins
from audit_core.stats.estimates import Estimate

RATE_COLUMNS = (
    "audit",
    "answers",
    "right",
    "open",
    "wrong",
    "no result",
    "right, interval by model",
    "wrong, interval by model",
)
ANSWER_COLUMNS = ("audit", "model", "builds", "known answer", "right", "open", "wrong", "no result")
NUMBER = "not possible: a number is compared"
UNMEASURED = "Not measured for this version of the audit."
RULES_TEXT = (
    "Each known answer is asked again with prompts of another seed, and of weights where the planted model has random parts. A case is "
    "one of these: it is right if all its verdicts are, and wrong if one of them is decided otherwise. Open means that the rule abstains. "
    "Where an audit gives no verdict, its number is compared with the planted one. Intervals by model count the cases of one planted model as alike."
)
ONE_ANSWER = "A rule with one known answer would also be right if it always said the same."


def list_current(found: OtherRules | None) -> tuple[RuleRates, ...]:
    """Rules whose audit has the version that was measured."""
    audits = list_plugins("audits")
    rules = () if found is None else found.rules
    return tuple(rule for rule in rules if rule.audit in audits and audits[rule.audit].version == rule.version)


def list_rule_rows(found: OtherRules | None) -> tuple[tuple[str, ...], ...]:
    """A row per rule with rates, of `RATE_COLUMNS`."""
    return tuple(_describe(rule) for rule in list_current(found) if rule.shares is not None)


def list_answer_rows(found: OtherRules | None) -> tuple[tuple[str, ...], ...]:
    """A row per known answer, of `ANSWER_COLUMNS`; counts of cases."""
    return tuple(
        (
            rule.audit,
            one.model,
            str(one.builds),
            one.expects,
            *(f"{count} of {n}" if n else "none" for n, count in _list_counts(one)),
            str(one.not_measured),
        )
        for rule in list_current(found)
        if rule.shares is not None
        for one in rule.answers
    )


def list_unrated_rows(found: OtherRules | None) -> tuple[tuple[str, str], ...]:
    """Every audit without rates, and why."""
    known = {rule.audit: rule for rule in list_current(found)}
    return tuple(
        (name, known[name].no_rate if name in known else UNMEASURED)
        for name in list_plugins("audits")
        if name not in known or known[name].shares is None
    )


def _list_counts(one: AnswerCount) -> list[tuple[int, int]]:
    n = one.right + one.open + one.wrong
    return [(n, one.right), (n, one.open), (n, one.wrong)]


def _describe(rule: RuleRates) -> tuple[str, ...]:
    assert rule.shares is not None
    can_abstain = any(one.has_verdict for one in rule.answers)
    return (
        rule.audit,
        str(len(rule.answers)),
        describe_share(rule.shares.right),
        describe_share(rule.shares.abstained) if can_abstain else NUMBER,
        describe_share(rule.shares.wrong),
        str(sum(one.not_measured for one in rule.answers)),
        _describe_clustered(rule.right_by_model),
        _describe_clustered(rule.wrong_by_model),
    )


def _describe_clustered(share: Estimate | None) -> str:
    if share is None or share.low is None or share.high is None:
        return "not measured: one model"
    return f"[{100 * share.low:.1f}, {100 * share.high:.1f}] of {share.templates} models"


def list_rule_lines(found: OtherRules | None) -> list[str]:
    """Section of the documentation page."""
    return [
        "## Other verdict rules",
        "",
        "Made by `python -m audit_core calibrate --audits --samples N --write`, with more samples of audits that cost less.",
        *(f"{sentence}." for sentence in RULES_TEXT.removesuffix(".").split(". ")),
        ONE_ANSWER,
        "",
        *_tabulate(RATE_COLUMNS, list_rule_rows(found)),
        "",
        "By known answer, in cases:",
        "",
        *_tabulate(ANSWER_COLUMNS, list_answer_rows(found)),
        "",
        "No rate:",
        "",
        *_tabulate(("audit", "why"), list_unrated_rows(found)),
    ]


def _tabulate(columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> list[str]:
    return [
        "| " + " | ".join(columns) + " |",
        "|---" * len(columns) + "|",
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows),
    ]

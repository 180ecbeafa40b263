"""Strict reader for acceptance policies: all keys known, every threshold with source and rationale."""

from __future__ import annotations

import re
from typing import Any

POLICY_SCHEMA = "assay/policy/1"
CLAIM_KINDS = ("sufficiency", "necessity", "mediation", "absence_of_effect", "stability", "transfer", "calibration")
ABLATION_NAMES = ("resample", "mean", "mean_template", "zero")
THRESHOLD_SOURCES = ("default", "organisation", "regulator")
PROCESS_CRITERIA = ("prereg_frozen_before_run", "attempts_disclosed", "rerun")
"""Criteria answered from a pack's documents, without a threshold; their meaning is fixed."""
GATE_CRITERIA = ("integrity", "four_eyes")
"""Criteria answered by the gate that checks the pack, not by the pack itself."""
NEVER_WAIVED = ("integrity", "prereg_frozen_before_run", "attempts_disclosed", "four_eyes")
STRICT_AGGREGATE = {">=": "min", "<=": "max"}
"""Over ablations: the worst case; the other end would select the most favourable ablation."""
_STRICT_BOUND = {">=": "lower", "<=": "upper"}
_POLICY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")
_CRITERION_ID = re.compile(r"[a-z][a-z0-9_]{0,59}\Z")
_MOST_POLICY_TEXT = 600
MAX_SEVERITIES = 12
ANSWER_EVIDENCE = ("causal", "estimated", "observational")
"""Kind of evidence of a number that a policy compares; the product refuses another word than the audit declares."""
_STEP_OF_PATH = r"\w[\w-]{0,59}(\[(\*|\w{1,40}=[^\[\]=.*]{1,60})\])?"
_NUMBER_PATH = re.compile(rf"{_STEP_OF_PATH}(\.{_STEP_OF_PATH}){{0,7}}\Z")


class PolicyMalformed(ValueError):
    """The policy cannot be applied; states what was found, what was wanted and what to do."""

    def __init__(self, found: str, *, wanted: str, remedy: str) -> None:
        self.found, self.wanted, self.remedy = found, wanted, remedy
        super().__init__(f"{found} Wanted: {wanted} What to do: {remedy}")


def resolve_policy(table: Any) -> dict[str, Any]:
    """Return the policy with all defaults filled in; a resolved policy is returned unchanged.

    Args:
        table: the parsed TOML or JSON file.

    Raises:
        PolicyMalformed: unknown or missing keys, values out of range, or a rule that is weaker than it appears.
    """
    _refuse_unknown(
        table, ("schema", "id", "applies_to", "gate", "criteria", "answers", "approval", "findings"), "the policy"
    )
    if table.get("schema") != POLICY_SCHEMA:
        raise PolicyMalformed(
            f"schema = {_quote_short(table.get('schema'))}.",
            wanted=f'"{POLICY_SCHEMA}".',
            remedy="use the schema that this version supports.",
        )
    applies_to = _resolve_scope(table.get("applies_to", {}))
    gate = _resolve_gate(table.get("gate"))
    tables, answer_tables = table.get("criteria", {} if "answers" in table else None), table.get("answers", {})
    if not isinstance(tables, dict) or not isinstance(answer_tables, dict):
        raise PolicyMalformed(
            "No criteria.", wanted="[criteria.NAME] tables, or [answers.NAME] tables.", remedy="add them."
        )
    criteria = {name: _resolve_criterion(name, tables[name], gate, applies_to["claim_kind"]) for name in tables}
    answers = {name: _resolve_answer_criterion(name, answer_tables[name], gate) for name in answer_tables}
    _check_lists(gate, criteria, answers)
    approval = _resolve_approval(table.get("approval", {}))
    if "four_eyes" in (*gate["required"], *gate["optional"]) and not (
        approval["preparer_ne_reviewer"] or approval["reviewer_ne_approver"]
    ):
        raise PolicyMalformed(
            "four_eyes is required, but one person may act in all roles.",
            wanted="preparer_ne_reviewer or reviewer_ne_approver.",
            remedy="set one of them, or remove four_eyes.",
        )
    resolved = {
        "schema": POLICY_SCHEMA,
        "id": _take_matching(table, "id", _POLICY_ID, "the policy"),
        "applies_to": applies_to,
        "gate": gate,
        "criteria": criteria,
        "approval": approval,
    }
    # Without defaults: a policy that has no such table keeps the resolved form that older packs contain.
    resolved |= {"answers": answers} if answers else {}
    return resolved | ({"findings": _resolve_findings(table["findings"])} if "findings" in table else {})


def _resolve_scope(scope: Any) -> dict[str, Any]:
    _refuse_unknown(scope, ("model", "claim_kind"), "applies_to")
    models = scope.get("model", "*")
    models = [models] if isinstance(models, str) else models
    if not isinstance(models, list) or not models or not all(isinstance(m, str) and m for m in models):
        raise PolicyMalformed(
            f"applies_to.model = {_quote_short(models)}.", wanted='"*" or ids of models.', remedy="name the models."
        )
    kinds = _take_names(scope, "claim_kind", CLAIM_KINDS, "applies_to", list(CLAIM_KINDS))
    return {"model": models, "claim_kind": kinds}


def _resolve_gate(gate: Any) -> dict[str, Any]:
    keys = ("required", "optional", "ci_level", "multiplicity", "max_waivers", "waiver_max_days")
    _refuse_unknown(gate, keys, "gate")
    _refuse_unknown(gate.get("multiplicity"), ("method", "alpha"), "gate.multiplicity")
    multiplicity = gate["multiplicity"]
    return {
        "required": _take_names(gate, "required", None, "gate", None),
        "optional": _take_names(gate, "optional", None, "gate", [], may_be_empty=True),
        "ci_level": _take_number(gate, "ci_level", 0.5, 0.9999, "gate"),
        "multiplicity": {
            "method": _take_choice(multiplicity, "method", ("holm", "none"), "gate.multiplicity"),
            "alpha": _take_number(multiplicity, "alpha", 1e-9, 0.5, "gate.multiplicity"),
        },
        "max_waivers": _take_count(gate, "max_waivers", 0, 100, "gate", 0),
        "waiver_max_days": _take_count(gate, "waiver_max_days", 1, 366, "gate", 30),
    }


def _resolve_criterion(name: str, found: Any, gate: dict[str, Any], kinds: list[str]) -> dict[str, Any]:
    where = f"criteria.{name[:60]}"
    if name in PROCESS_CRITERIA or name in GATE_CRITERIA:
        raise PolicyMalformed(
            f"A table {where}.",
            wanted="tables for measured criteria only; the meaning of this one is fixed.",
            remedy="remove the table; its name in gate.required suffices.",
        )
    if not _CRITERION_ID.match(name):
        raise PolicyMalformed(
            f"A criterion named {_quote_short(name)}.", wanted="lower-case letters, digits and _.", remedy="rename it."
        )
    keys = ("metric", "op", "threshold", "bound", "min_n", "min_templates", "min_gap_logit", "over_ablations")
    _refuse_unknown(found, (*keys, "aggregate", "ci_level", "claim_kind", "source", "why"), where)
    op = _take_choice(found, "op", tuple(STRICT_AGGREGATE), where)
    bound = _take_choice(found, "bound", (_STRICT_BOUND[op], "estimate"), where)
    over = found.get("over_ablations")
    if over is not None:
        over = _take_names(found, "over_ablations", ABLATION_NAMES, where, None)
        _take_choice(found, "aggregate", (STRICT_AGGREGATE[op],), where)
    elif found.get("aggregate") is not None:
        raise PolicyMalformed(
            f"{where}.aggregate without over_ablations.", wanted="both or neither.", remedy="add over_ablations."
        )
    gap = found.get("min_gap_logit")
    return {
        "metric": _take_matching(found, "metric", _CRITERION_ID, where),
        "op": op,
        "threshold": _take_number(found, "threshold", -1e9, 1e9, where),
        "bound": bound,
        "min_n": _take_count(found, "min_n", 1, 10**9, where, None),
        "min_templates": _take_count(found, "min_templates", 1, 10**9, where, None),
        "min_gap_logit": None if gap is None else _take_number(found, "min_gap_logit", 0, 1e6, where),
        "over_ablations": over,
        "aggregate": found.get("aggregate"),
        "ci_level": _take_number({"ci_level": gate["ci_level"], **found}, "ci_level", 0.5, 0.9999, where),
        "claim_kind": _take_names(found, "claim_kind", tuple(kinds), where, kinds),
        "source": _take_choice(found, "source", THRESHOLD_SOURCES, where),
        "why": _take_sentence(found, "why", where),
    }


def _resolve_answer_criterion(name: str, found: Any, gate: dict[str, Any]) -> dict[str, Any]:
    """Return a threshold on one number of an audit's result, as `answer_numbers` finds it."""
    where = f"answers.{name[:60]}"
    if not _CRITERION_ID.match(name) or name in (*PROCESS_CRITERIA, *GATE_CRITERIA):
        raise PolicyMalformed(
            f"A criterion named {_quote_short(name)}.",
            wanted="lower-case letters, digits and _, and no criterion with a fixed meaning.",
            remedy="rename it.",
        )
    keys = ("audit", "number", "evidence", "op", "threshold", "bound", "min_n", "min_templates", "ci_level")
    _refuse_unknown(found, (*keys, "source", "why"), where)
    op = _take_choice(found, "op", tuple(_STRICT_BOUND), where)
    return {
        "audit": _take_matching(found, "audit", _CRITERION_ID, where),
        "number": _take_matching(found, "number", _NUMBER_PATH, where),
        "evidence": _take_choice(found, "evidence", ANSWER_EVIDENCE, where),
        "op": op,
        "threshold": _take_number(found, "threshold", -1e9, 1e9, where),
        "bound": _take_choice(found, "bound", (_STRICT_BOUND[op], "estimate"), where),
        "min_n": _take_count(found, "min_n", 1, 10**9, where, None),
        "min_templates": _take_count(found, "min_templates", 1, 10**9, where, None),
        "ci_level": _take_number({"ci_level": gate["ci_level"], **found}, "ci_level", 0.5, 0.9999, where),
        "source": _take_choice(found, "source", THRESHOLD_SOURCES, where),
        "why": _take_sentence(found, "why", where),
    }


def _resolve_approval(approval: Any) -> dict[str, Any]:
    _refuse_unknown(approval, ("preparer_ne_reviewer", "reviewer_ne_approver", "max_age_days"), "approval")
    flags = {key: approval.get(key, True) for key in ("preparer_ne_reviewer", "reviewer_ne_approver")}
    for key, value in flags.items():
        if not isinstance(value, bool):
            raise PolicyMalformed(
                f"approval.{key} = {_quote_short(value)}.", wanted="true or false.", remedy="use one of them."
            )
    return flags | {"max_age_days": _take_count(approval, "max_age_days", 1, 3660, "approval", 180)}


def _resolve_findings(found: Any) -> dict[str, Any]:
    """Return severities with the days to the due date, the most severe first."""
    _refuse_unknown(found, ("severities", "notice_days", "source", "why"), "findings")
    rows = found.get("severities")
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_SEVERITIES:
        raise PolicyMalformed(
            f"findings.severities = {_quote_short(rows)}.",
            wanted=f"1 to {MAX_SEVERITIES} tables with name and days, the most severe first.",
            remedy="list them.",
        )
    severities = []
    for at, row in enumerate(rows, 1):
        where = f"findings.severities {at}"
        _refuse_unknown(row, ("name", "days"), where)
        days = _take_number(row, "days", 1, 3660, where)
        if days % 1:
            raise PolicyMalformed(f"{where}.days = {days}.", wanted="a whole number.", remedy="set days.")
        severities.append({"name": _take_matching(row, "name", _CRITERION_ID, where), "days": int(days)})
    names = [row["name"] for row in severities]
    if len(set(names)) < len(names):
        raise PolicyMalformed(
            f"findings.severities names {', '.join(map(str, names))[:200]}.", wanted="each name once.", remedy="rename one."
        )  # fmt: skip
    return {
        "severities": severities,
        "notice_days": _take_count(found, "notice_days", 0, 366, "findings", 14),
        "source": _take_choice(found, "source", THRESHOLD_SOURCES, "findings"),
        "why": _take_sentence(found, "why", "findings"),
    }


def _check_lists(gate: dict[str, Any], criteria: dict[str, Any], answers: dict[str, Any]) -> None:
    """Check that the gate lists exactly the defined criteria, and requires at least one measurement by intervention."""
    if both := sorted(set(criteria) & set(answers)):
        raise PolicyMalformed(
            f"{both[0]} is a criterion of claims and of answers.", wanted="each name once.", remedy="rename one."
        )
    defined = {**criteria, **answers}
    listed = [*gate["required"], *gate["optional"]]
    for name in listed:
        if name not in defined and name not in PROCESS_CRITERIA and name not in GATE_CRITERIA:
            raise PolicyMalformed(
                f"gate lists {_quote_short(name)}, which is not a criterion.",
                wanted=f"a table [criteria.{name[:60]}], or one of {', '.join((*GATE_CRITERIA, *PROCESS_CRITERIA))}.",
                remedy="add the table or correct the name.",
            )
        if listed.count(name) > 1:
            raise PolicyMalformed(
                f"{name} is listed twice.", wanted="each criterion once.", remedy="remove one of them."
            )
    for name in defined:
        if name not in listed:
            raise PolicyMalformed(
                f"{'criteria' if name in criteria else 'answers'}.{name} is not listed in the gate.",
                wanted="every criterion in gate.required or gate.optional.",
                remedy="list it, or remove its table.",
            )
    measured = {*criteria, *(name for name, one in answers.items() if one["evidence"] == "causal")}
    if not any(name in measured for name in gate["required"]):
        raise PolicyMalformed(
            "No required criterion is a measurement.",
            wanted="at least one required criterion with a table, of claims or on a causal number of an answer.",
            remedy="add one to gate.required.",
        )


def _refuse_unknown(found: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(found, dict):
        raise PolicyMalformed(f"No {where}.", wanted=f"a table with {', '.join(known)}.", remedy="add it.")
    for key in found:
        if key not in known:
            raise PolicyMalformed(
                f"Unknown key {_quote_short(key)} in {where}.",
                wanted=", ".join(known) + ".",
                remedy="remove or rename it.",
            )


def _take_choice(found: dict[str, Any], key: str, choices: tuple[str, ...], where: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or value not in choices:
        raise PolicyMalformed(
            f"{where}.{key} = {_quote_short(value)}.", wanted=f"{' or '.join(choices)}.", remedy=f"set {key}."
        )
    return value


def _take_number(found: dict[str, Any], key: str, least: float, most: float, where: str) -> float:
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise PolicyMalformed(
            f"{where}.{key} = {_quote_short(value)}.",
            wanted=f"a number from {least:g} to {most:g}.",
            remedy=f"set {key}.",
        )
    return float(value)


def _take_count(found: dict[str, Any], key: str, least: int, most: int, where: str, default: int | None) -> int | None:
    value = found.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise PolicyMalformed(
            f"{where}.{key} = {_quote_short(value)}.",
            wanted=f"a whole number from {least} to {most}.",
            remedy=f"set {key}.",
        )
    return value


def _take_names(
    found: dict[str, Any],
    key: str,
    choices: tuple[str, ...] | None,
    where: str,
    default: list[str] | None,
    *,
    may_be_empty: bool = False,
) -> list[str]:
    value: Any = found.get(key, default)
    is_list = isinstance(value, list) and all(isinstance(name, str) for name in value)
    if not is_list or (not value and not may_be_empty) or len(set(value)) != len(value):
        raise PolicyMalformed(
            f"{where}.{key} = {_quote_short(value)}.", wanted="a list of names, each once.", remedy=f"set {key}."
        )
    unknown = [name for name in value if choices is not None and name not in choices]
    if unknown:
        raise PolicyMalformed(
            f"{where}.{key} names {_quote_short(unknown[0])}.",
            wanted=f"names among {', '.join(choices or ())}.",
            remedy="correct it.",
        )
    return list(value)


def _take_matching(found: dict[str, Any], key: str, pattern: re.Pattern[str], where: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not pattern.match(value):
        raise PolicyMalformed(
            f"{where}.{key} = {_quote_short(value)}.", wanted="a name without spaces.", remedy=f"set {key}."
        )
    return value


def _take_sentence(found: dict[str, Any], key: str, where: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _MOST_POLICY_TEXT:
        raise PolicyMalformed(
            f"{where}.{key} = {_quote_short(value)}.",
            wanted=f"a sentence of at most {_MOST_POLICY_TEXT} characters that justifies this threshold.",
            remedy=f"write {key}.",
        )
    return value


def _quote_short(value: object) -> str:
    return repr(value)[:60]

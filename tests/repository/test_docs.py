"""The documents say what the code has: public names, enumerations, commands, and no word that claims too much."""

import re
from enum import StrEnum
from pathlib import Path

import audit_core
from audit_core.cli import build_parser
from audit_core.component import Kind
from audit_core.intervention import Direction, Replacement
from audit_core.pattern_test import PatternFinding
from audit_core.plausibility import Source
from audit_core.policy import ThresholdSource
from audit_core.randomisation import Dependence
from audit_core.registry import list_plugins
from audit_core.shipped import load_shipped_policy
from audit_core.store import Action, AnchorKind, Fault
from audit_core.verdict import REASONS, State
from audit_core.verifier.criteria import WORST_FIRST
from audit_core.verifier.policy_table import GATE_CRITERIA, PROCESS_CRITERIA

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NEVER = ("compliant", "certified", "tamper-proof", "guarantee", "risk-free", "unbiased")
HOSTS = re.compile(
    r"https?://(?!localhost|127\.0\.0\.1|in-toto\.io/Statement|assay\.example/|json-schema\.org/draft)[\w.-]+"
)
"""The last three are names of formats, which nobody looks up."""


def test_every_public_name_stands_in_the_reference_and_no_other() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/reference/library.md").read_text(), re.M))
    assert listed == set(audit_core.__all__)


def test_every_public_name_can_be_imported() -> None:
    for name in audit_core.__all__:
        assert getattr(audit_core, name) is not None


def test_the_glossary_has_a_row_for_every_value_a_person_can_meet() -> None:
    words = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/glossary.md").read_text(), re.M)
    known = {part.strip().strip("*") for row in words for part in row.split(",")}
    explained = known | set(re.findall(r"\*(\w+)\*", (ROOT / "docs/glossary.md").read_text()))
    enums: tuple[type[StrEnum], ...] = (
        State, Replacement, Direction, Kind, Source, PatternFinding, Dependence, ThresholdSource, Action, AnchorKind, Fault,
    )  # fmt: skip
    wanted = {value.value for enum in enums for value in enum} | {*REASONS, *WORST_FIRST}
    assert wanted - explained == set()


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text()
    for name in next(a for a in build_parser()._actions if a.choices).choices:
        assert f"`{name}" in page


def test_every_key_of_a_policy_stands_in_its_reference() -> None:
    page = (ROOT / "docs/reference/policy.md").read_text()
    policy = load_shipped_policy().resolved()
    keys = {"schema", "id", *policy["gate"], *policy["approval"]}
    keys |= {f"applies_to.{key}" for key in policy["applies_to"]} | set(policy["criteria"]["faithfulness"])
    named = {part.split(".")[-1] if "applies_to" not in part else part for part in re.findall(r"`([\w.]+)`", page)}
    assert keys - named == set()
    metrics = {criterion.metric for criterion in load_shipped_policy().criteria}
    assert metrics | {*PROCESS_CRITERIA, *GATE_CRITERIA} <= named


def test_every_view_has_a_line_on_what_it_hides() -> None:
    rows = re.findall(r"^\| `(\w+)`[^|]*\| ([^|]+) \|", (ROOT / "docs/attention.md").read_text(), re.M)
    assert {name for name, hides in rows if hides.strip()} == set(list_plugins("views"))


def test_every_document_that_another_names_exists() -> None:
    for page in DOCS:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} names {target}"


def test_no_document_or_page_claims_more_than_was_measured() -> None:
    code = [*(ROOT / "ui").glob("*.py"), *(ROOT / "pages").glob("*.py"), *(ROOT / "audit_core").rglob("*.py")]
    for page in [*DOCS, *code]:
        text = page.read_text().lower()
        for word in NEVER:
            assert word not in text, f"{page.name} says {word!r}"


def test_nothing_names_a_host_of_a_registry() -> None:
    for page in [*DOCS, ROOT / "Makefile", *sorted((ROOT / "audit_core").rglob("*.py"))]:
        assert HOSTS.findall(page.read_text()) == [], page.name

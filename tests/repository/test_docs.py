"""The documents say what the code has: public names, enumerations, commands, and no word that claims too much."""

import doctest
import importlib
import pkgutil
import re
import shlex
import sys
from enum import StrEnum
from pathlib import Path

import pytest
from toy.sample_pack import ROOT_DIGEST, sample_documents

import audit_core
from audit_core.attention.pattern_test import PatternFinding
from audit_core.attention.plausibility import Source
from audit_core.attention.randomisation import Dependence
from audit_core.change.model_diff import TensorChange
from audit_core.change.regression import Outcome
from audit_core.cli import build_parser
from audit_core.component import Kind
from audit_core.evidence.kind import Evidence
from audit_core.evidence.report.export import export_html
from audit_core.evidence.report.html import render_html
from audit_core.evidence.words import drop_quoted, find_overclaims
from audit_core.governance.people import PERMISSIONS, REFUSALS, Permission, PersonRole
from audit_core.governance.policy import ThresholdSource
from audit_core.home.claim_status import CardState, ClaimStatus
from audit_core.intervention import Direction, Replacement
from audit_core.judging.verdict import MOST_SHIFT, REASONS, RESERVED_REASONS, State
from audit_core.preregistration import ChangeKind, PriorAccess
from audit_core.references.crosswalk import ClauseCheck, Relation
from audit_core.references.governance_map import Coverage
from audit_core.references.model_class import Setting
from audit_core.references.procurement import AnswerWord
from audit_core.registry import list_plugins
from audit_core.shipped import load_shipped_policy
from audit_core.store import Action, AnchorKind, Fault
from audit_core.trigger import TriggerKind
from audit_core.verifier.criteria import WORST_FIRST
from audit_core.verifier.policy_table import GATE_CRITERIA, PROCESS_CRITERIA

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from reference import write_pages  # noqa: E402
from structure import draw, read_arrows, read_layers, reduce_arrows  # noqa: E402

DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = r"in-toto\.io/|model_signing/signature/|assay\.example/|json-schema\.org/draft|w3id\.org/ro/|www\.w3\.org/ns/csvw|schema\.org/|jsonfeed\.org/version/"
"""Names that formats fix, written like addresses; nothing is fetched from them."""
HOSTS = re.compile(rf"https?://(?!localhost|127\.0\.0\.1|{NAMES})[\w.-]+")


def test_the_reference_is_what_the_docstrings_say() -> None:
    """After a changed docstring or signature: `make reference`."""
    folder = ROOT / "docs/reference/library"
    pages = {name: text.rstrip() + "\n" for name, text in write_pages().items()}
    assert {path.name for path in folder.glob("*.md")} == set(pages)
    assert [name for name, text in pages.items() if str(ROOT) in text] == []
    assert [name for name, text in pages.items() if (folder / name).read_text(encoding="utf-8") != text] == []
    listed = set(re.findall(r"^\| `(\w+)` \|", pages["README.md"], re.M))
    assert listed == set(audit_core.__all__)
    assert 40 <= len(listed) <= 60


def test_every_public_class_is_described_by_a_docstring_of_its_own() -> None:
    """Else a reference made from docstrings would repeat what a base class, or Python's `Enum`, says of itself."""
    modules = [
        importlib.import_module(f"audit_core.{one.name}")
        for one in pkgutil.iter_modules(audit_core.__path__)
        if one.ispkg
    ]
    classes = {
        f"{module.__name__}.{name}": value
        for module in modules
        for name in getattr(module, "__all__", ())
        if isinstance(value := getattr(module, name), type)
    }
    assert len(classes) > 100
    assert [name for name, value in classes.items() if not vars(value).get("__doc__")] == []


def test_the_picture_of_the_structure_is_drawn_from_the_code() -> None:
    """After an import between packages is added or removed: `make structure`."""
    drawn = draw(read_layers(), reduce_arrows(read_arrows()))
    assert (ROOT / "docs/structure.svg").read_text(encoding="utf-8") == drawn


EXAMPLES = [
    path
    for path in sorted((ROOT / "audit_core").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8") and "verifier" not in path.parts
]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_in_docstrings_run(path: Path) -> None:
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0


def test_the_reference_has_examples() -> None:
    assert len(EXAMPLES) >= 6


def test_every_public_name_can_be_imported() -> None:
    for name in audit_core.__all__:
        assert getattr(audit_core, name) is not None


def test_the_glossary_has_a_row_for_every_value_a_person_can_meet() -> None:
    words = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/glossary.md").read_text(), re.M)
    known = {part.strip().strip("*`") for row in words for part in row.split(",")}
    explained = known | set(re.findall(r"\*(\w+)\*", (ROOT / "docs/glossary.md").read_text()))
    enums: tuple[type[StrEnum], ...] = (
        State, Replacement, Direction, Kind, Source, PatternFinding, Dependence, ThresholdSource, Action, AnchorKind, Fault, PriorAccess, ChangeKind, Permission,
        PersonRole,
        Relation, ClauseCheck, Setting, Coverage, AnswerWord,
        TriggerKind, Outcome, TensorChange, ClaimStatus, CardState, Evidence,
    )  # fmt: skip
    wanted = {value.value for enum in enums for value in enum} | {*REASONS, *WORST_FIRST}
    assert wanted - explained == set()


def test_the_glossary_says_of_reserved_reasons_alone_that_no_verdict_has_them() -> None:
    page = (ROOT / "docs/glossary.md").read_text()
    said = {name for name in REASONS if re.search(rf"^\| {name} \|.*(reserved|not run)", page, re.M)}
    assert said == RESERVED_REASONS
    assert f"more than {MOST_SHIFT:g} standard deviations" in page


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text()
    for name in next(a for a in build_parser()._actions if a.choices).choices:
        assert f"`{name}" in page


def test_every_command_of_the_tutorial_runs_in_the_environment_that_make_run_sets_up() -> None:
    """A bare `python` is another one, or none; on the machine of a reviewer the verifier needs no environment."""
    asked = re.findall(r"([\w./]*python3?) (-m audit_core|\S+\.py)", (ROOT / "docs/tutorial.md").read_text())
    assert asked
    assert {python for python, what in asked if what != "verify_pack.py"} == {".venv/bin/python"}
    assert [python for python, what in asked if what == "verify_pack.py"] == ["python3"]
    assert all((ROOT / what).exists() for _, what in asked if what.endswith(".py"))


def test_every_command_of_the_tutorial_is_one_that_the_command_line_takes() -> None:
    text = (ROOT / "docs/tutorial.md").read_text()
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)
    lines = [line for language, block in blocks if not language for line in block.splitlines()]
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    asked = [
        shlex.split(part.split(";")[0], comments=True) for part in (*lines, *spans) if "python -m audit_core" in part
    ]
    assert len(asked) == text.count("python -m audit_core")
    for words in asked:
        build_parser().parse_args(words[words.index("audit_core") + 1 :])


def test_every_key_of_a_policy_is_in_its_reference() -> None:
    page = (ROOT / "docs/reference/policy.md").read_text()
    policy = load_shipped_policy().resolved()
    keys = {"schema", "id", *policy["gate"], *policy["approval"]}
    keys |= {f"applies_to.{key}" for key in policy["applies_to"]} | set(policy["criteria"]["faithfulness"])
    named = {part.split(".")[-1] if "applies_to" not in part else part for part in re.findall(r"`([\w.]+)`", page)}
    assert keys - named == set()
    metrics = {criterion.metric for criterion in load_shipped_policy().criteria}
    assert metrics | {*PROCESS_CRITERIA, *GATE_CRITERIA} <= named


def test_the_table_of_permissions_and_roles_is_the_one_in_code() -> None:
    page = (ROOT / "docs/reference/people.md").read_text()
    rows = re.findall(r"^\| (`\w+`[^|]*)((?:\| (?:yes )?){5})\|$", page, re.M)
    reported = {
        permission: {role for role, cell in zip(PersonRole, cells.split("|")[1:], strict=True) if cell.strip() == "yes"}
        for names, cells in rows
        for permission in re.findall(r"`(\w+)`", names)
    }
    assert reported == {permission.value: set(roles) for permission, roles in PERMISSIONS.items()}
    assert (
        dict(re.findall(r"^\| `(\w+)` \| ([^|;,]+)[^|]*\|$", page.split("## Refusals")[1], re.M)).keys()
        == REFUSALS.keys()
    )


def test_every_view_has_a_line_on_what_it_hides() -> None:
    rows = re.findall(r"^\| `(\w+)`[^|]*\| ([^|]+) \|", (ROOT / "docs/attention.md").read_text(), re.M)
    assert {name for name, hides in rows if hides.strip()} == set(list_plugins("views"))


def test_every_document_that_another_names_exists() -> None:
    for page in DOCS:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} names {target}"


def test_no_document_page_template_or_report_claims_more_than_was_measured() -> None:
    """`words.py` holds the phrases; that a banned word in a template is found, `test_words.py` shows by putting one there."""
    code = [*(ROOT / "ui").rglob("*.py"), *(ROOT / "pages").glob("*.py"), *(ROOT / "audit_core").rglob("*.py")]
    templates = sorted((ROOT / "audit_core").rglob("*.j2"))
    assert templates
    texts = {page.name: page.read_text() for page in [*DOCS, *code, *templates] if page.name != "words.py"}
    texts["report"] = drop_quoted(render_html(sample_documents(), root_digest=ROOT_DIGEST).decode())
    texts["result"] = drop_quoted(export_html(sample_documents()["claims/claims.json"][0], evidence={}).decode())
    assert {name: found for name, text in texts.items() if (found := find_overclaims(text))} == {}


def test_nothing_names_a_host_of_a_registry() -> None:
    for page in [*DOCS, ROOT / "Makefile", *sorted((ROOT / "audit_core").rglob("*.py"))]:
        assert HOSTS.findall(page.read_text()) == [], page.name

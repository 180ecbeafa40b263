"""Names that lead out of their folder find nothing, though a file lies there; see docs/reference/threats.md."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from toy.prompts import make_letters

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.keys import load_key, make_key
from audit_core.home.claim_history import read_claim_history
from audit_core.home.result_page import render_result
from audit_core.review.desk import assemble_pack
from audit_core.shipped import list_policies, list_prompt_sets, load_prompt_set, load_shipped_policy
from audit_core.store import Checklists
from audit_core.store.data_directory import audit_home, keep_prompts, load_kept_policy, load_kept_prompts
from audit_core.store.keys.openings import load_openings
from audit_core.story import load_story

POLICY, PROMPTS = list_policies()[0], list_prompt_sets()[0]
LEADING_OUT = (
    "../outside", "..\\outside", "%2e%2e/outside", "%2e%2e%2foutside", "..%c0%afoutside", "．．/outside", "‥/outside", "linked/outside",
    "./../outside", "../outside\0", "a\0b", "/etc/passwd", "//outside", "C:\\outside", "CON", "nul.txt", "~", "$HOME", "", ".", "..", "x" * 5000,
    "\u202eoutside", f"../policy/{POLICY}", f"../prompts/{PROMPTS}", "outside\n",
)  # fmt: skip
READERS: dict[str, Callable[[Path, str], object]] = {
    "kept prompts": lambda home, name: load_kept_prompts(name),
    "owner of kept prompts": lambda home, name: load_kept_prompts("own-" + "0" * 24, owner=name),
    "kept policy": lambda home, name: load_kept_policy(name),
    "openings": load_openings,
    "key": load_key,
    "shipped policy": lambda home, name: load_shipped_policy(name),
    "shipped prompts": lambda home, name: load_prompt_set(name),
    "run or claim page": render_result,
    "claim": read_claim_history,
    "desk": assemble_pack,
    "checklist": lambda home, name: Checklists(home).find(name),
}


@pytest.fixture
def home() -> Path:
    """Beside every folder of the home lies a file that its reader would take, and inside it a link that leads out."""
    home = audit_home()
    make_key(home, "anna")
    kept = keep_prompts(make_letters([4, 4]))
    shutil.copy2(home / "keys/anna.pem", home / "outside.pem")
    shutil.copy(home / f"prompts/{kept}.jsonl", home / "outside.jsonl")
    (home / "outside.json").write_text("{}")
    (home / "outside.toml").write_text("")
    for folder in ("keys", "prompts", "policies", "openings", "desk"):
        (home / folder).mkdir(exist_ok=True)
        (home / folder / "linked").symlink_to(home)
    return home


@pytest.mark.parametrize("reader", READERS)
def test_a_name_that_leads_out_of_its_folder_finds_nothing(home: Path, reader: str) -> None:
    before = sorted(path for path in home.rglob("*") if "audit" not in path.name)
    found = []
    for name in LEADING_OUT:
        try:
            READERS[reader](home, name)
        except Refused:
            continue
        found.append(name)
    assert found == []
    assert [path for path in before if not path.exists() and not path.is_symlink()] == []


@pytest.mark.parametrize("name", [*LEADING_OUT, "../stories/indirect_object"])
def test_a_story_of_such_a_name_ships_with_no_version(name: str) -> None:
    with pytest.raises(IntegrityError, match="No story"):
        load_story(name)

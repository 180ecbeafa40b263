"""Claims: read from TOML, refused where they are incomplete or contradictory, and fixed by their digest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from audit_core.claim import Claim, Role, Universe, dump_claim, load_claim
from audit_core.component import head, mlp, parse_components
from audit_core.errors import ClaimRefused, Refused
from audit_core.intervention import Replacement

WHOLE = """
name = "L9.H6 moves the name to the end"
components = ["L9.H6", "L5.MLP"]
universe = "heads+mlps"
role = "necessary"
metric = "logit_difference"
ablation = "mean"
delta = 0.25
alpha = 0.01
"""


def load(tmp_path: Path, text: str | bytes) -> Claim:
    path = tmp_path / "claim.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_claim(path)


def test_every_field_of_a_file_is_read(tmp_path: Path) -> None:
    parts = (mlp(5), head(9, 6))
    expected = Claim(
        "L9.H6 moves the name to the end",
        parts,
        Universe.HEADS_MLPS,
        Role.NECESSARY,
        "logit_difference",
        Replacement.MEAN,
        0.25,
        0.01,
    )
    assert load(tmp_path, WHOLE) == expected


@pytest.mark.parametrize("role, delta", [("necessary", 0.1), ("sufficient", 0.8)])
def test_what_is_left_out_has_the_documented_default(role: str, delta: float, tmp_path: Path) -> None:
    found = load(tmp_path, f'name = "x"\ncomponents = ["L1.H1"]\nrole = "{role}"')
    assert (found.delta, found.alpha, found.ablation) == (delta, 0.05, Replacement.RESAMPLE)
    assert (found.universe, found.metric) == (Universe.HEADS, "logit_difference")


@pytest.mark.parametrize(
    "text, says",
    [
        ("name = ", "is not TOML"),
        (b"name = '\xff'", "is not TOML"),
        ("delta = " + "9" * 5000, "is not TOML"),
        ("x = " + "[" * 50_000, "is not TOML"),
        ('components = ["L1.H1"]', "No name"),
        ('name = ""\ncomponents = ["L1.H1"]', "No name"),
        (f'name = "{"x" * 201}"\ncomponents = ["L1.H1"]', "No name"),
        ('name = "x"', "No list of components"),
        ('name = "x"\ncomponents = "L1.H1"', "No list of components"),
        ('name = "x"\ncomponents = [1]', "No list of components"),
        ('name = "x"\ncomponents = []', "No components"),
        ('name = "x"\ncomponents = ["nonsense"]', "not an address"),
        ('name = "x"\ncomponents = ["L1.MLP"]', "outside the universe heads"),
        ('name = "x"\ncomponents = ["L1.E1"]\nuniverse = "heads+mlps"', "outside the universe"),
        ('name = "x"\ncomponents = ["doc:1"]', "outside the universe"),
        ('name = "x"\ncomponents = ["L1.H1:3>2"]', "outside the universe"),
        ('name = "x"\ncomponents = ["L1.H1@3"]', "limited to one position"),
        ('name = "x"\ncomponents = ["L1.H1"]\nrole = "explains"', "necessary, sufficient"),
        ('name = "x"\ncomponents = ["L1.H1"]\nablation = "scale"', "resample, mean or zero"),
        ('name = "x"\ncomponents = ["L1.H1"]\nablation = "identity"', "resample, mean or zero"),
        ('name = "x"\ncomponents = ["L1.H1"]\nuniverse = "all"', "heads, heads\\+mlps"),
        ('name = "x"\ncomponents = ["L1.H1"]\ndelta = 0', "above 0"),
        ('name = "x"\ncomponents = ["L1.H1"]\ndelta = -0.1', "above 0"),
        ('name = "x"\ncomponents = ["L1.H1"]\ndelta = 2.5', "at most 2"),
        ('name = "x"\ncomponents = ["L1.H1"]\ndelta = nan', "above 0"),
        ('name = "x"\ncomponents = ["L1.H1"]\ndelta = "0.1"', "without quotes"),
        ('name = "x"\ncomponents = ["L1.H1"]\ndelta = true', "without quotes"),
        ('name = "x"\ncomponents = ["L1.H1"]\nalpha = 0.9', "at most 0.5"),
        ('name = "x"\ncomponents = ["L1.H1"]\nalpha = inf', "at most 0.5"),
        ('name = "x"\ncomponents = ["L1.H1"]\nsize = 1', "Unknown field 'size'"),
        ("x" * 100_000, "larger than"),
    ],
)
def test_a_claim_that_is_incomplete_or_contradictory_is_refused_with_a_remedy(
    text: str | bytes, says: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=says) as caught:
        load(tmp_path, text)
    assert caught.value.remedy
    assert caught.value.exit_code == 2


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClaimRefused, match="check the path"):
        load_claim(tmp_path / "none.toml")
    with pytest.raises(ClaimRefused, match="check the path"):
        load_claim(tmp_path)


def test_the_digest_covers_every_field_and_is_blind_to_the_order_of_components(tmp_path: Path) -> None:
    claim = load(tmp_path, WHOLE)
    changes = [
        {"name": "other"},
        {"components": (head(9, 6),)},
        {"universe": Universe.HEADS, "components": (head(9, 6),)},
        {"role": Role.SUFFICIENT},
        {"metric": "answer_probability"},
        {"ablation": Replacement.ZERO},
        {"delta": 0.26},
        {"alpha": 0.02},
    ]
    digests = {claim.sha256, *(replace(claim, **change).sha256 for change in changes)}  # type: ignore[arg-type]
    assert len(digests) == len(changes) + 1
    assert load(tmp_path, WHOLE.replace('"L9.H6", "L5.MLP"', '"L5.MLP", "L9.H6", "L5.MLP"')).sha256 == claim.sha256


@pytest.mark.parametrize("name", ["plain", 'quotes " and \\ and \x7f', "line\nbreak\ttab", "ünïcode ␣ 日本"])
def test_a_claim_written_to_a_file_is_the_claim_that_is_read(name: str, tmp_path: Path) -> None:
    claim = Claim(name, parse_components("L9.H6 L5.MLP"), Universe.HEADS_MLPS, Role.SUFFICIENT, delta=0.8, alpha=0.01)
    file = tmp_path / "claim.toml"
    file.write_text(dump_claim(claim), encoding="utf-8")
    assert load_claim(file) == claim


def test_a_claim_built_in_code_is_the_one_that_its_file_gives_back(tmp_path: Path) -> None:
    """Frozen, it is written and read back: parts in another order, or 1 for 1.0, must not read as a changed claim."""
    claim = Claim("x", (mlp(5), head(9, 6), mlp(5)), Universe.HEADS_MLPS, delta=1)
    file = tmp_path / "claim.toml"
    file.write_text(dump_claim(claim), encoding="utf-8")
    assert load_claim(file) == claim
    assert load_claim(file).sha256 == claim.sha256

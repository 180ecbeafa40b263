"""Golden packs on the default model, run again here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy.golden import EXPECTED, find_pack, list_packs

from audit_core import cli

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", list_packs("default"))
def test_the_default_model_decides_as_the_golden_pack_does(
    name: str, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["rerun", str(find_pack(name)), "--other-code", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0, found
    assert {one["claim_id"] for one in found} == set(EXPECTED[name]["claims"])
    for one in found:
        assert {level: one[level] for level in EXPECTED[name]["rerun"]} == EXPECTED[name]["rerun"]
        assert one["differs"] == []

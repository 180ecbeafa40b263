"""Prompt pairs to and from folders of the `datasets` library, Parquet, CSV and JSON Lines: the same set by its digest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from audit_core import cli
from audit_core.errors import PromptRefused
from audit_core.prompt_files import find_columns, flatten_folder, list_splits, place_files
from audit_core.prompt_files.saved import write_rows
from audit_core.prompts.prompt_set import Prompt, PromptSet, load_prompts, parse_prompts

AWKWARD = (
    Prompt("a", "Mary said", "John said", " yes", " no", "t1", more_answers=(" yeah",), more_foils=(" nope", " nah")),
    Prompt("b", 'He said "hi",\nthen', "She said 'hi';\tthen", '["x"]', "=1", "t2", group="g", source="s"),
    Prompt("c", " ü – 漢", "\u2028line", "[1]", " [2]", "t2"),
)
WHOLE = PromptSet("set", AWKWARD)
NAMES = ("set.jsonl", "set.csv", "set.parquet", "set")


def write(name: str) -> Mapping[str, bytes]:
    return write_rows([prompt.to_row() for prompt in AWKWARD], name)


@pytest.mark.parametrize("name", NAMES)
def test_a_set_comes_back_with_its_digest(tmp_path: Path, name: str) -> None:
    for path, data in write(name).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    assert load_prompts(tmp_path / name).sha256 == WHOLE.sha256


def test_the_datasets_library_opens_the_folder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    for path, data in write("set").items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    found = datasets.load_from_disk(str(tmp_path / "set"))
    assert found[0]["answer"] == [" yes", " yeah"]
    found.save_to_disk(str(tmp_path / "again"))
    assert load_prompts(tmp_path / "again").sha256 == WHOLE.sha256


def test_a_folder_from_a_browser_is_read_as_from_the_disk() -> None:
    placed = place_files({f"mine/{name}": data for name, data in write("set").items()})
    assert set(placed) == {"data-00000-of-00001.arrow", "state.json", "dataset_info.json"}
    raw = flatten_folder(placed)
    assert find_columns(raw, name="set").missing == ()
    assert parse_prompts(raw, name="set").sha256 == WHOLE.sha256


def test_one_split_of_a_saved_dictionary_is_chosen() -> None:
    files = {
        f"all/{split}/{name.split('/')[1]}": data for split in ("train", "test") for name, data in write("set").items()
    }
    placed = place_files(
        files | {"all/dataset_dict.json": b'{"splits": ["train", "test", "absent"]}', "all/.cache/x": b"x"}
    )
    assert list_splits(placed) == ("train", "test")
    assert parse_prompts(flatten_folder(placed, split="test"), name="set").sha256 == WHOLE.sha256
    with pytest.raises(PromptRefused, match="3 splits"):
        flatten_folder(placed)


def test_other_column_names_reach_the_mapping() -> None:
    raw = b"".join(
        json.dumps({"good": r.clean, "bad": r.corrupted, "right": "x", "wrong": "y"}).encode() + b"\n" for r in AWKWARD
    )
    flat = flatten_folder(place_files({"d/train.jsonl": raw}))
    assert find_columns(flat, name="d").missing == ("clean", "corrupted", "answer", "foil")
    columns = {"clean": "good", "corrupted": "bad", "answer": "right", "foil": "wrong"}
    assert [p.clean for p in parse_prompts(flat, name="d", columns=columns).prompts] == [p.clean for p in AWKWARD]


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({}, "0 files"), ({"../x.csv": b""}, "named"), ({"/etc/x.csv": b""}, "named"), ({"a\\b.csv": b""}, "named"),
        ({"a/../b.csv": b""}, "named"), ({"x/" * 9 + "b.csv": b""}, "named"), ({"a.csv": b"x" * 4_000_001}, "more than"),
        ({f"{n}.csv": b"" for n in range(401)}, "401 files"), ({"readme.md": b"x"}, "No file of prompts"),
        ({"a.csv": b"x", "b.csv": b"y"}, "2 splits"), ({"a.csv/c.csv": b"x", "a.csv": b"x"}, "cannot be one"),
        ({"state.json": b'{"_data_files": [{"filename": "../../etc/passwd"}]}'}, "names"),
        ({"a.jsonl": b'{"clean": 1}\n{"clean": '}, "line 2"), ({"a.arrow": b"\xff\xff\xff\xff1234"}, "cannot be read"),
    ],
)  # fmt: skip
def test_a_hostile_folder_is_refused(files: dict[str, bytes], text: str) -> None:
    with pytest.raises(PromptRefused, match=text):
        flatten_folder(place_files(files))


def test_the_command_writes_each_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "source.jsonl"
    source.write_bytes(write("source.jsonl")["source.jsonl"])
    for name in NAMES:
        assert cli.main(["prompts", "check", str(source), "--out", str(tmp_path / name)]) == 0
        assert load_prompts(tmp_path / name).sha256 == WHOLE.sha256
    assert cli.main(["prompts", "check", str(source), "--out", str(tmp_path / "x.xlsx")]) == 2
    assert "ends in .jsonl" in capsys.readouterr().err
    assert cli.main(["prompts", "check", str(source), "--out", str(tmp_path / "none/set")]) == 2

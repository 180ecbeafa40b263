"""Prompt files in the forms people have give the same prompts; what is left out is named."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from pyarrow import ipc

from audit_core.errors import PromptRefused
from audit_core.prompt_files.reading import find_columns, read_rows
from audit_core.prompts.prompt_set import PromptSet, dump_jsonl, load_prompts, parse_prompts

ROWS = [
    {"id": "r1", "clean": 'the cat, "sat"', "corrupted": "the dog; sat", "answer": " down", "foil": " up", "template": "t"},
    {"id": "r2", "clean": "a\ncat sat", "corrupted": "a\ndog sat", "answer": " up", "foil": " down", "template": "t"},
    {"id": "r3", "clean": "ein Kätzchen saß", "corrupted": "ein Hündchen saß", "answer": " a", "foil": " b", "template": "u"},
]  # fmt: skip
ROW = ROWS[0]


def parse(raw: bytes | str, **columns: str) -> PromptSet:
    return parse_prompts(raw if isinstance(raw, bytes) else raw.encode(), name="set", columns=columns)


def refuse(raw: bytes | str, **columns: str) -> str:
    with pytest.raises(PromptRefused) as caught:
        parse(raw, **columns)
    assert caught.value.found
    assert caught.value.wanted
    assert caught.value.remedy
    return str(caught.value)


def write_lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_csv(rows: list[dict[str, Any]], mark: str = ",", ends: str = "\n") -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=mark, lineterminator=ends)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write_parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), out)
    return out.getvalue()


def write_arrow(rows: list[dict[str, Any]], *, is_file: bool = False, codec: str | None = None) -> bytes:
    table, out = pyarrow.Table.from_pylist(rows), io.BytesIO()
    new = ipc.new_file if is_file else ipc.new_stream
    with new(out, table.schema, options=ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table)
    return out.getvalue()


FORMS = {
    "CSV": write_csv(ROWS), "CSV with CRLF and a mark": "\ufeff" + write_csv(ROWS, ends="\r\n"),
    "CSV after empty lines": "\n\n" + write_csv(ROWS) + "\n\n", "CSV of an old Mac": write_csv([ROWS[0], ROWS[2]], ends="\r"), "TSV": write_csv(ROWS, "\t"), "semicolons": write_csv(ROWS, ";"),
    "JSON Lines": write_lines(ROWS), "JSON array": json.dumps(ROWS), "pretty array": json.dumps(ROWS, indent=2),
    "object with prompts": json.dumps({"prompts": ROWS}, indent=1), "object with examples": json.dumps({"examples": ROWS, "canary": "x"}),
    "Parquet": write_parquet(ROWS), "Arrow stream": write_arrow(ROWS), "Arrow file": write_arrow(ROWS, is_file=True),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_prompts(form: str) -> None:
    wanted = [ROWS[0], ROWS[2]] if "Mac" in form else ROWS
    assert [prompt.to_row() for prompt in parse(FORMS[form]).prompts] == wanted


@pytest.mark.parametrize("form", FORMS)
def test_what_was_read_is_written_as_json_lines_with_the_same_digest(form: str) -> None:
    found = parse(FORMS[form])
    assert parse(dump_jsonl(found.prompts)).sha256 == found.sha256


def test_a_dictionary_column_is_read_as_its_texts() -> None:
    table = pyarrow.Table.from_pylist(ROWS)
    at = table.schema.get_field_index("template")
    table = table.set_column(at, "template", table.column("template").combine_chunks().dictionary_encode())
    out = io.BytesIO()
    with ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    assert [prompt.template for prompt in parse(out.getvalue()).prompts] == ["t", "t", "u"]


@pytest.mark.parametrize(
    "dump", [write_lines, json.dumps, write_csv, write_parquet, write_arrow], ids=lambda f: f.__name__
)
def test_whole_numbers_as_ids_are_text_and_missing_ids_are_the_row_number(dump: Any) -> None:
    assert [prompt.id for prompt in parse(dump([row | {"id": n} for n, row in enumerate(ROWS)])).prompts] == [
        "0",
        "1",
        "2",
    ]
    plain = [{key: value for key, value in row.items() if key != "id"} for row in ROWS]
    assert [prompt.id for prompt in parse(dump(plain)).prompts] == ["1", "2", "3"]


def test_a_missing_optional_value_is_no_fault() -> None:
    rows = [ROWS[0] | {"group": None, "source": None}, ROWS[1] | {"group": "g", "source": "s"}]
    for raw in (write_lines(rows), write_parquet(rows), write_csv(rows)):
        assert [(prompt.group, prompt.source) for prompt in parse(raw).prompts] == [("", ""), ("g", "s")]


@pytest.mark.parametrize("value", [True, 1.5, ["r1"], {"a": 1}])
def test_an_id_that_is_neither_text_nor_a_whole_number_is_refused(value: object) -> None:
    assert "id is not text" in refuse(write_lines([ROW | {"id": value}]))


def test_further_columns_are_left_out_and_named() -> None:
    for raw in (write_csv([ROW | {"seed": "7", "split": "a"}]), write_lines([ROW | {"seed": 7, "split": {"a": [1]}}])):
        found = parse(raw)
        assert found.prompts[0].to_row() == ROW
        assert found.notices == ("Columns not read: 'seed', 'split'.",)


def test_a_notice_is_no_part_of_a_set() -> None:
    assert parse(write_lines([ROW | {"seed": 7}])) == parse(write_lines([ROW]))


def test_a_file_without_templates_says_so() -> None:
    plain = [{key: value for key, value in row.items() if key != "template"} for row in ROWS]
    found = parse(write_csv(plain))
    assert {prompt.template for prompt in found.prompts} == {"all"}
    assert "names no templates" in found.notices[0]
    assert "'r1': template is missing" in refuse(write_lines([plain[0], ROWS[1]])).replace("row ", "")


def test_columns_under_other_names_are_mapped() -> None:
    text = write_csv([{"Prompt": "a b", "other": "a c", "label": " x", "wrong": " y"}])
    found = parse(text, clean="Prompt", corrupted="other", answer="label", foil="wrong")
    assert found.prompts[0].answer == " x"
    assert found.prompts[0].corrupted == "a c"
    assert (
        "has no column clean, corrupted, answer, foil. Its columns (line 1): 'Prompt', 'other', 'label', 'wrong'"
        in refuse(text)
    )
    assert "has no column 'none'" in refuse(text, clean="none")


def test_a_mapping_wins_over_a_column_of_the_fields_own_name() -> None:
    found = parse(write_csv([ROW | {"label": " other"}]), answer="label")
    assert found.prompts[0].answer == " other"
    assert "'answer'" in found.notices[0]


def test_names_of_columns_may_differ_in_case_and_spaces() -> None:
    found = parse("Clean , CORRUPTED,Answer,Foil\na b,a c, x, y\n")
    assert found.prompts[0].clean == "a b"


def test_the_missing_columns_can_be_asked_for() -> None:
    found = find_columns(b"text;corrupted;answer;foil\na;b;c;d\n", name="set")
    assert (found.form, found.missing) == ("CSV with semicolons", ("clean",))
    assert find_columns(write_csv(ROWS).encode(), name="set").missing == ()


def test_the_space_before_an_answer_is_kept_as_it_is() -> None:
    found = parse("clean,corrupted,answer,foil\na,b, x,y\n").prompts[0]
    assert (found.answer, found.foil) == (" x", "y")


def test_a_json_list_in_a_cell_is_a_list_of_answers() -> None:
    found = parse('clean,corrupted,answer,foil\na,b,"["" x"", "" y""]",[not a list]\n').prompts[0]
    assert (found.answers, found.foils) == ((" x", " y"), ("[not a list]",))


def test_a_text_that_looks_like_a_list_stays_a_text_in_json() -> None:
    assert parse(write_lines([ROW | {"answer": '[" x"]'}])).prompts[0].answers == ('[" x"]',)


def test_a_list_as_pandas_writes_it_into_a_cell_is_a_list_of_answers() -> None:
    found = parse("""clean,corrupted,answer,foil\na,b,"[' x', "" y's"", ' x']",[' z']\n""").prompts[0]
    assert (found.answers, found.foils) == ((" x", " y's"), (" z",))


@pytest.mark.parametrize("cell", ["[' x' ' y']", r"[' x\n', ' y']", "[' x', 5, ' y']", "[' x', [' y'], ' z']"])
def test_a_list_in_another_notation_is_no_answer(cell: str) -> None:
    """NumPy leaves the commas out: Python would read one text, ' x y', that nobody wrote."""
    assert "answer is a list in an unsupported notation" in refuse(f'clean,corrupted,answer,foil\na,b,"{cell}",z\n')


def test_a_row_that_repeats_another_is_left_out_and_counted() -> None:
    found = parse(json.dumps(ROWS * 200, indent=1))
    assert len(found) == 3
    assert "597 rows repeat another one" in found.notices[0]


def test_a_bad_line_does_not_hide_that_a_file_is_json_lines() -> None:
    for lines in ([json.dumps(ROW), "{bad"], ["{bad", json.dumps(ROW)], ["[", json.dumps(ROW)]):
        read = read_rows("\n".join(lines).encode(), name="set")
        assert (read.form, len(read.rows), len(read.faults), read.n_rows) == ("JSON Lines", 1, 1, 2)
        assert "prompts check" in refuse("\n".join(lines))


def test_a_name_given_twice_in_one_object_is_refused() -> None:
    """JSON itself keeps the last: which of two answers was meant would be chosen in silence."""
    twice = '{"clean": "a", "corrupted": "b", "answer": " x", "answer": " y", "foil": " z"}'
    for raw in (twice, f"[{twice}]", f'{{"prompts": [{twice}]}}', json.dumps(ROW) + "\n" + twice):
        assert "gives 'answer' twice" in refuse(raw)


def test_the_refusal_says_what_else_a_json_document_is() -> None:
    assert "object of columns: 'clean', 'corrupted'" in refuse(json.dumps({"clean": ["a"], "corrupted": ["b"]}))
    assert "several lists of rows: 'train', 'test'" in refuse(json.dumps({"train": ROWS, "test": ROWS}))
    assert "line 1" in refuse(json.dumps(ROWS, indent=1)[:-9])


def save_to_disk(folder: Path, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True)
    (folder / "data-00000-of-00001.arrow").write_bytes(write_arrow(rows))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (folder / "dataset_info.json").write_text("{}")


def test_a_folder_of_the_datasets_library_is_read(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "saved", ROWS)
    found = load_prompts(tmp_path / "saved")
    assert found.name == "saved"
    assert [prompt.to_row() for prompt in found.prompts] == ROWS
    save_to_disk(tmp_path / "dict/train", ROWS)
    (tmp_path / "dict/dataset_dict.json").write_text('{"splits": ["train"]}')
    assert load_prompts(tmp_path / "dict").sha256 == found.sha256


def test_a_folder_as_the_hub_has_it_is_read_in_the_order_of_its_shards(tmp_path: Path) -> None:
    data = tmp_path / "set/data"
    data.mkdir(parents=True)
    (tmp_path / "set/README.md").write_text("a card")
    for number, row in enumerate(ROWS):
        (data / f"train-{number:05d}-of-00003.parquet").write_bytes(write_parquet([row]))
    assert [prompt.to_row() for prompt in load_prompts(tmp_path / "set").prompts] == ROWS
    (data / "test-00000-of-00001.parquet").write_bytes(write_parquet(ROWS))
    with pytest.raises(PromptRefused, match="2 splits or files: 'test.parquet', 'train.parquet'"):
        load_prompts(tmp_path / "set")
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "rows.jsonl").write_text(write_lines(ROWS))
    assert len(load_prompts(plain)) == 3


@pytest.mark.parametrize("name", ["../data.arrow", "/etc/passwd", "a/b.arrow", ".hidden", 7, "absent.arrow", "a\0b"])
def test_a_saved_folder_reads_only_plain_files_of_its_own(tmp_path: Path, name: object) -> None:
    (tmp_path / "data.arrow").write_bytes(write_arrow(ROWS))
    folder = tmp_path / "saved"
    save_to_disk(folder, ROWS)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(PromptRefused):
        load_prompts(folder)


@pytest.mark.parametrize("dump", [write_lines, json.dumps, write_parquet, write_arrow], ids=lambda f: f.__name__)
def test_lists_of_answers_are_read_from_every_form_that_has_lists(dump: Any) -> None:
    found = parse(dump([row | {"answer": [" x", " y"], "foil": [" z"]} for row in ROWS]))
    assert [(prompt.answers, prompt.foils) for prompt in found.prompts] == [((" x", " y"), (" z",))] * 3


def test_a_path_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptRefused, match="cannot be read"):
        load_prompts(tmp_path / ("x" * 5000))

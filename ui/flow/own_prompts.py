"""A user's own prompts: brought in a dialog, checked row by row, and stored under their hash."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from audit_core import AuditError, Auditor, PromptSet, TokenisedPrompts, list_prompt_sets, make_table
from audit_core.errors import PromptRefused
from audit_core.prompt_files import (
    MAX_CHARACTERS,
    FoundColumns,
    add_header,
    add_spaces,
    count_unspaced,
    find_columns,
    flatten_folder,
    has_header,
    list_splits,
    place_files,
)
from audit_core.prompt_files import read_rows as read_file
from audit_core.prompts import (
    SEQUENCE_METRIC,
    RowCheck,
    check_each,
    check_set,
    choose_metric,
    count_splits,
    describe_split_rule,
)
from audit_core.stats import MIN_PROMPTS, MIN_TEMPLATES
from ui.flow import actions, dialogs, row_table, services
from ui.parts.header import plain

_NAME = "own prompts"
_FIELDS = ("clean", "corrupted", "answer", "foil")
_MOST_PASTED = 1_000_000
_EXAMPLES = {
    "clean": "When Mary and John went to the store, John gave a drink to",
    "corrupted": "When Mary and John went to the store, Mary gave a drink to",
    "answer": " Mary",
    "foil": " John",
}


def bring_own() -> None:
    """Show the button that opens the dialog, and the dialog while it is open; for any place on a page."""
    dialogs.offer_dialog("bring-own", "Your own prompts", _show_dialog, icon=":material/upload_file:")


@st.dialog("Bring your own prompts", width="large", icon=":material/upload_file:", on_dismiss=dialogs.close_dialog)
def _show_dialog() -> None:
    st.markdown(
        "Each row is one pair: a clean and a corrupted prompt, the answer after the clean one, and the foil after the other."
    )
    way = st.radio(
        "How do you bring them?", ["Upload a file", "Upload a folder", "Paste a table", "Type rows", "Type one pair"],
        horizontal=True, key="own-way",
    )  # fmt: skip
    ask = {
        "Upload a file": _ask_upload,
        "Upload a folder": _ask_folder,
        "Paste a table": _ask_paste,
        "Type rows": _ask_rows,
        "Type one pair": _ask_pair,
    }
    given = ask[way]()
    if given:
        offer_rows(given)


def _ask_upload() -> bytes:
    # Any file type: the reader goes by content, and its refusal says what to do.
    upload = st.file_uploader(
        "File with one row per pair: CSV, TSV, JSON, JSON Lines, Parquet or Arrow", max_upload_size=4, key="own-file"
    )
    return b"" if upload is None else upload.getvalue()


def _ask_folder() -> bytes:
    uploads = st.file_uploader(
        "Folder of the Hugging Face datasets library: saved to disk, or with Parquet, Arrow, JSON Lines or CSV files",
        accept_multiple_files="directory", max_upload_size=4, key="own-folder",
    )  # fmt: skip
    if not uploads:
        return b""
    try:
        placed = place_files({upload.name: upload.getvalue() for upload in uploads})
        splits = list_splits(placed)
        split = st.selectbox("Split", splits, key="own-split") if len(splits) > 1 else next(iter(splits), "")
        return flatten_folder(placed, split=split)
    except AuditError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return b""


def _ask_paste() -> bytes:
    text = st.text_area(
        "Table from a spreadsheet, separated by tabs or commas",
        height=150, max_chars=_MOST_PASTED, key="own-paste", placeholder="clean\tcorrupted\tanswer\tfoil",
    )  # fmt: skip
    if not text.strip():
        return b""
    if not text.lstrip().startswith(("[", "{")) and not has_header(text):
        names = st.checkbox("The first line has the column names", key="own-header")
        text = text if names else add_header(text)
    return text.encode("utf-8", "replace")


def _ask_rows() -> bytes:
    empty = make_table(_FIELDS, [("",) * len(_FIELDS)] * 3)
    typed = st.data_editor(
        empty, num_rows="dynamic", hide_index=True, key="own-rows", width="stretch", alt="Rows of prompts to type",
        column_config={name: st.column_config.TextColumn(name.capitalize(), max_chars=MAX_CHARACTERS) for name in _FIELDS},
    )  # fmt: skip
    return _write_rows(typed.to_dict("records"))


def _write_rows(rows: Sequence[dict[Any, Any]]) -> bytes:
    """JSON Lines with the number of each row as its line; an empty row is an empty line, an empty cell null."""
    cells = [{name: text if isinstance(text, str) and text else None for name, text in row.items()} for row in rows]
    lines = [json.dumps(row) if any(row.values()) else "" for row in cells]
    return "\n".join(lines).encode() if any(lines) else b""


def _ask_pair() -> bytes:
    with st.form("own pair", border=False):
        clean = st.text_area("Clean prompt", height=70, max_chars=MAX_CHARACTERS, placeholder=_EXAMPLES["clean"])
        corrupted = st.text_area(
            "Corrupted prompt", height=70, max_chars=MAX_CHARACTERS, placeholder=_EXAMPLES["corrupted"]
        )
        answer = st.text_input("Answer, with its leading space", max_chars=200, placeholder=_EXAMPLES["answer"])
        foil = st.text_input("Foil, with its leading space", max_chars=200, placeholder=_EXAMPLES["foil"])
        if not st.form_submit_button("Use this pair", icon=":material/check:"):
            return b""
    row = {"id": "own-1", "clean": clean, "corrupted": corrupted, "answer": answer, "foil": foil, "template": "own"}
    try:
        check = _check(_write_rows([row]), {}, spaced=False)
    except AuditError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return b""
    if check.prompts is None:
        for one in check.rows:
            st.error(f"{plain(one.found)}. What to do: {plain(one.remedy)}.", icon=":material/error:")
    else:
        _adopt(check.prompts)
    return b""


def offer_rows(raw: bytes) -> None:
    """Show each row accepted or refused with the remedy; only the button adopts the accepted ones."""
    try:
        columns = _ask_columns(find_columns(raw, name=_NAME))
        if columns is None:
            return
        unspaced = count_unspaced(read_file(raw, name=_NAME, columns=columns))
        spaced = bool(unspaced) and st.checkbox(
            f"Add the missing space before answers and foils ({unspaced:,} rows)", value=True, key="own-spaces"
        )
        check = _check(raw, columns, spaced=spaced)
    except AuditError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    row_table.show_check(check)
    if check.prompts is None:
        st.error("No row can be used. Fix a row as its remedy says.", icon=":material/error:")
        return
    show_splits(actions.divide_own(check.prompts))
    for notice in check.prompts.notices:
        st.caption(plain(notice))
    if row_table.ask_use(check, key="own-use"):
        _adopt(check.prompts)


def _check(raw: bytes, columns: dict[str, str], *, spaced: bool) -> RowCheck:
    """Check every row, with the tokenizer of the chosen model if it is loaded."""
    read = read_file(raw, name=_NAME, columns=columns)
    auditor = services.POOL.auditor(st.session_state.get("model", ""))
    tokenizer = None if auditor is None else auditor.subject.tokenizer
    return check_each(
        add_spaces(read) if spaced else read, tokenizer, is_chat=st.session_state.get("form", "written") == "chat"
    )


def _ask_columns(found: FoundColumns) -> dict[str, str] | None:
    """Ask for the columns whose names do not match; None until each is chosen."""
    if not found.missing or not found.columns:
        return {}
    st.markdown(f"Read as {plain(found.form)}. Choose the columns whose names do not match.")
    asked = (*found.missing, *(() if "template" in map(str.casefold, found.columns) else ("template",)))
    chosen = {
        field: place.selectbox(
            f"Column for {plain(field)}" if field in found.missing else "Column for template, if any",
            found.columns, index=None, key=f"column for {field}",
        )
        for field, place in zip(asked, st.columns(len(asked)), strict=True)
    }  # fmt: skip
    named = {field: column for field, column in chosen.items() if column is not None}
    return named if set(found.missing) <= set(named) else None


def _adopt(prompts: PromptSet) -> None:
    try:
        st.session_state["next_set"] = st.session_state["own_set"] = actions.keep_own(prompts)
    except AuditError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    # The stored set has no repeats, so the notices about them are available only now.
    st.session_state["set_aside"] = (st.session_state["next_set"], prompts.notices)
    dialogs.close_dialog()
    st.rerun()


def adopt_pending(forget_prompt: Callable[[], None]) -> None:
    """Set widget values for what the last run adopted, before the widgets are drawn."""
    pending = st.session_state.pop("next_set", None)
    if pending:
        st.session_state["set"] = pending
        forget_prompt()


def list_sets() -> tuple[str, ...]:
    """Shipped sets, and the own set that this browser uses; frozen with a claim, its text is open to all who read claims."""
    return (*list_prompt_sets(st.session_state.get("claim_model", "")), *list_own(st.session_state.get("set", "")))


def list_own(chosen: str) -> tuple[str, ...]:
    """The chosen set if it is the user's own, and the one that this browser brought last."""
    return tuple(dict.fromkeys(key for key in (chosen, st.session_state.get("own_set", "")) if key.startswith("own-")))


def name_set(key: str) -> str:
    """Name of a prompt set for a list."""
    return f"yours ({key[4:12]})" if key.startswith("own-") else key.replace("_", " ")


def show_splits(prompts: PromptSet) -> None:
    """Show how many rows of an own set fell into each split, and by which rule."""
    found = count_splits(prompts)
    st.markdown(
        f"**{len(prompts):,}** {'prompt' if len(prompts) == 1 else 'prompts'}: **{found.exploratory:,}** exploratory, **{found.confirmatory:,}** confirmatory. "
        f"{plain(describe_split_rule(prompts))}"
    )
    if found.confirmatory < MIN_PROMPTS or found.confirmatory_templates < MIN_TEMPLATES:
        st.markdown(
            f"A verdict needs {MIN_PROMPTS:,} confirmatory prompts over {MIN_TEMPLATES:,} templates. "
            f"This set has {found.confirmatory:,} over {found.confirmatory_templates:,}."
        )


def offer_fitting(auditor: Auditor, prompts: PromptSet) -> None:
    """Of an own set that does not fit the model, show each row, offer those that fit, and stop the page."""
    if not st.session_state.get("set", "").startswith("own-") or st.session_state.get("form") == "chat":
        return
    try:
        services.tokenised(auditor, prompts)
        return
    except PromptRefused:
        pass
    check = check_set(prompts, auditor.subject.tokenizer)
    with st.container(border=True):
        st.subheader("Some of your rows do not fit this model", anchor=False)
        row_table.show_check(check, key="misfit")
        if check.prompts is not None and row_table.ask_use(check, key="own-fit"):
            _adopt(check.prompts)
    st.stop()


def show_metric(prompts: TokenisedPrompts) -> None:
    """Say so where answers have several tokens: then effects have another unit, and some audits cannot read them."""
    if choose_metric(prompts) == SEQUENCE_METRIC:
        st.markdown(
            "Answers have several tokens. Effects are in **nats**: the log probability of whole answers over whole foils. "
            "Gradient estimates, attention tests and connections read only the first token that differs, in logits."
        )


def show_notices(notices: Sequence[str]) -> None:
    """Show which prompts of the set were excluded or changed, if any."""
    key, dropped = st.session_state.get("set_aside", ("", ()))
    found = tuple(dict.fromkeys((*(dropped if key == st.session_state.get("set") else ()), *notices)))
    if found:
        with st.expander("Some prompts were excluded or changed", icon=":material/rule:"):
            for notice in found:
                st.markdown(plain(notice))

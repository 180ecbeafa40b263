"""Download the estimates of a result as files with units, intervals, n and kinds of evidence."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import streamlit as st

from audit_core import Auditor
from audit_core.errors import Refused
from audit_core.exchange import ENDINGS, describe_asked, tabulate_result, write_effects
from audit_core.request import Request
from ui.parts.sample_mark import WORDS, find_shown, name_file

_PARQUET, _CSV = ENDINGS


def offer_effects(auditor: Auditor, audit: str, request: Request, result: Any) -> None:
    """Show two buttons, unless the result has no estimate; a file is made when its button is pressed."""
    about = describe_asked(audit, auditor.subject.identity, request)
    about |= {} if find_shown() is None else {"source": WORDS}
    try:
        table = tabulate_result(result, about)
    except Refused:
        return

    def write(ending: str) -> dict[str, bytes]:
        return dict(write_effects(table, name_file(audit + ending)))

    def write_parquet() -> bytes:
        (data,) = write(_PARQUET).values()
        return data

    def write_zip() -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in write(_CSV).items():
                archive.writestr(zipfile.ZipInfo(name), data)
        return stream.getvalue()

    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Effects as Parquet", data=write_parquet, file_name=name_file(audit + _PARQUET), key=f"parquet-{audit}",
            mime="application/vnd.apache.parquet", on_click="ignore", icon=":material/download:",
            help="Every estimate with unit, interval, n and kind of evidence; meanings and origin in the schema.",
        )  # fmt: skip
        st.download_button(
            "Effects as CSV", data=write_zip, file_name=name_file(f"{audit}-csv.zip"), key=f"effects-csv-{audit}",
            mime="application/zip", on_click="ignore", icon=":material/download:",
            help="The same rows, and a file beside them with meanings and origin (CSV on the Web).",
        )  # fmt: skip

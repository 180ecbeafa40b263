"""Texts that a dictionary is evaluated and compared on, from the page: shipped ones, a planted model's task, or a file."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import Auditor
from audit_core.documents import DocumentSource
from audit_core.features import describe_prompts, list_shipped_texts, read_text_file
from audit_core.prompts import TokenisedPrompts, tokenise
from audit_core.subject_family import find_planted
from ui.parts.header import plain

MOST_MB = 4
_MADE = 12
"""Prompts per template of a planted model's task."""
_CARRIES = "the column *text*, and *group* where some texts are not independent"


def ask_upload(place: str) -> tuple[str, bytes] | None:
    """A file of one's own; None for the shipped texts."""
    with st.popover("Your own texts", icon=":material/upload_file:"):
        st.markdown(f"A CSV file with {_CARRIES}. Give texts that the dictionary was not trained on.")
        upload: Any = st.file_uploader("Texts as CSV", type="csv", max_upload_size=MOST_MB, key=f"texts-{place}")
    if upload is None:
        return None
    st.markdown(f"File: **{plain(upload.name)}**")
    return upload.name, upload.getvalue()


def read_texts(
    auditor: Auditor, model: str, upload: tuple[str, bytes] | None, *, exploratory: bool = False
) -> tuple[TokenisedPrompts, DocumentSource]:
    """The texts, and where they come from.

    Args:
        exploratory: of the split that dictionaries are made on, not the one that they are evaluated on.

    Raises:
        Refused: the file cannot be used.
    """
    tokenizer = auditor.subject.tokenizer
    if upload is not None:
        return read_text_file(upload[1], upload[0], tokenizer)
    planted = find_planted(model)
    if planted is not None:
        texts = tokenise(planted.tasks[-1].make(_MADE, int(exploratory)), tokenizer)
    else:
        texts = _list_shipped(auditor, auditor.subject.identity.tokenizer_sha256, exploratory)
    return texts, describe_prompts(texts)


@st.cache_resource(max_entries=8, show_spinner=False)
def _list_shipped(_auditor: Auditor, tokenizer_sha256: str, exploratory: bool) -> TokenisedPrompts:
    return list_shipped_texts(_auditor.subject.tokenizer, exploratory=exploratory)

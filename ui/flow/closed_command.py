"""A model behind an address: the command that audits it, filled in.

The page does not send anything itself. Any user of the page would choose where the server sends texts, and which of the server's
environment variables goes there as a key.
"""

from __future__ import annotations

import shlex

import streamlit as st

from audit_core import AuditError
from audit_core.endpoints import Address
from ui.parts.header import plain


def offer_command(audit: str, file: str) -> None:
    """Ask for address, model and the name of the key's variable; show the command.

    Args:
        audit: `closed_documents` or `closed_tools`.
        file: the file of questions, as the command names it.
    """
    with st.expander("A model behind an address", icon=":material/cloud:"):
        st.markdown("Of a closed model only the text is edited. Heads, experts and features are not available.")
        url = st.text_input(
            "Address, which usually ends in /v1", max_chars=300, key="closed-url", placeholder="https://"
        )
        name = st.text_input("Name of the model there", max_chars=120, key="closed-name")
        variable = st.text_input(
            "Environment variable with the key", max_chars=80, key="closed-key", placeholder="MODEL_KEY",
            help="Its name, never the key itself. It is read where the command runs.",
        )  # fmt: skip
        if not url.strip() or not name.strip():
            return
        try:
            address = Address(url.strip(), name.strip(), variable.strip())
        except AuditError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        st.markdown("Run this where the variable is set. It says first how many calls it may take:")
        st.code(write_command(audit, file, address), language=None, wrap_lines=True)


def write_command(audit: str, file: str, address: Address) -> str:
    """The command, safe to paste.

    Example:
        >>> write_command("closed_tools", "my file.csv", Address("https://api.example.org/v1", "small"))
        "python -m audit_core audit closed_tools --file 'my file.csv' --endpoint https://api.example.org/v1 --model-name small"
    """
    words = ["python", "-m", "audit_core", "audit", audit, "--file", file, "--endpoint", address.url]
    words += ["--model-name", address.model]
    words += ["--key-from", address.key_from] if address.key_from else []
    return shlex.join(words)

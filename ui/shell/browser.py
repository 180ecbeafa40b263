"""Identity of a browser: the digest of its XSRF token, which stays the same across sign-ins."""

from __future__ import annotations

import hashlib

import streamlit as st


def browser_key() -> str | None:
    """Digest of the unmasked XSRF token, because each response masks it differently; None without a readable cookie."""
    raw = st.context.cookies.get("_streamlit_xsrf")
    parts = raw.split("|") if isinstance(raw, str) else []
    try:
        mask, masked = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
        token = bytes(byte ^ mask[i % len(mask)] for i, byte in enumerate(masked))
    except (IndexError, ValueError, ZeroDivisionError):
        return None
    return hashlib.sha256(token).hexdigest()[:32]

"""Which browser is asking: the digest of its request-forgery token, which a sign-in leaves as it is."""

from __future__ import annotations

import hashlib

import streamlit as st


def browser_key() -> str | None:
    """The cookie masks the token anew at each response, so unmask it first; None without a cookie that can be read."""
    raw = st.context.cookies.get("_streamlit_xsrf")
    parts = raw.split("|") if isinstance(raw, str) else []
    try:
        mask, masked = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
        token = bytes(byte ^ mask[i % len(mask)] for i, byte in enumerate(masked))
    except (IndexError, ValueError, ZeroDivisionError):
        return None
    return hashlib.sha256(token).hexdigest()[:32]

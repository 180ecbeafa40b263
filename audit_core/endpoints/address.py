"""The address of a closed model: where it is, what it is called there, and the name of the variable with its key."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from audit_core.errors import ModelRefused

_LOCAL = ("localhost", "127.0.0.1", "::1")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,119}")
_KEY = re.compile(r"[\x21-\x7e]{1,512}")


@dataclass(frozen=True)
class Address:
    """A checked address. It never has a key: only the name of the environment variable that does."""

    url: str
    """Base address, which usually ends in /v1: https, or http on this machine."""
    model: str
    key_from: str = ""
    """Name of the environment variable with the key; empty if none is sent."""

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise _refuse_url(str(error)) from error
        if len(self.url) > 300 or re.search(r"[^\x21-\x7e]", self.url) or not parts.hostname or port == 0:
            raise _refuse_url("it is no address")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise _refuse_url("it has a user, a password, a query or a fragment, which may be a secret")
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
            raise _refuse_url(f"{parts.scheme or 'no scheme'} to {parts.hostname} would send texts and key in the open")
        if not _NAME.fullmatch(self.model):
            raise ModelRefused(
                f"The model name {ascii(self.model)[:60]}.", wanted="1 to 120 letters, digits and . _ : / @ + -.",
                remedy="give the name that the endpoint lists.",
            )  # fmt: skip
        if self.key_from and not _VARIABLE.fullmatch(self.key_from):
            # Not quoted: a key may have been pasted where the name of its variable belongs.
            raise ModelRefused(
                "The key's variable has no name of an environment variable.", wanted="such as MODEL_KEY.",
                remedy="put the key into an environment variable and give the name of that.",
            )  # fmt: skip

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    def read_key(self) -> str:
        """The key, read for each request and kept nowhere; empty if none is sent.

        Raises:
            ModelRefused: the variable is not set, or is no key.
        """
        if not self.key_from:
            return ""
        key = os.environ.get(self.key_from, "").strip()
        if not _KEY.fullmatch(key):
            raise ModelRefused(
                f"The environment variable {self.key_from} {'is no key' if key else 'is not set'}.", wanted="a key.",
                remedy="set it in the shell that starts Assay.",
            )  # fmt: skip
        return key


def _refuse_url(why: str) -> ModelRefused:
    return ModelRefused(
        f"The address of the endpoint: {why[:120]}.",
        wanted="an https address, or http://127.0.0.1:PORT/v1 on this machine.",
        remedy="give the base address without a key.",
    )

"""Models behind an OpenAI-compatible endpoint: address, bounded requests, cassettes."""

from audit_core.endpoints.address import Address
from audit_core.endpoints.cassette import MAX_CASSETTE_BYTES, Cassette
from audit_core.endpoints.client import MOST_CALLS, ROUTES, Endpoint
from audit_core.endpoints.reply import TOP, Reply
from audit_core.endpoints.sending import send

__all__ = [
    "MAX_CASSETTE_BYTES",
    "MOST_CALLS",
    "ROUTES",
    "TOP",
    "Address",
    "Cassette",
    "Endpoint",
    "Reply",
    "send",
]

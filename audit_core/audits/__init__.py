"""Plug-ins: audits, one question per file."""

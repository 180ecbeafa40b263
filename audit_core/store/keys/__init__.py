"""Signing keys of the log and of people, and openings of withheld prompts."""

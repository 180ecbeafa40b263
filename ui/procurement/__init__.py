"""The procurement checklist."""

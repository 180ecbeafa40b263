"""Plug-ins: families of subjects, one per file."""

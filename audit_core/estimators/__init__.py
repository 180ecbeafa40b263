"""Plug-ins: estimators of component effects, one per file."""

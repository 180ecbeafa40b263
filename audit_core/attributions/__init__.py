"""Plug-ins: attribution methods, which propose what an answer rests on; one per file."""

"""Dated data with its sources: the framework crosswalk, the procurement checklist, the map of architectures."""

"""Dated reference data with sources: framework crosswalk, procurement checklist, governance map."""

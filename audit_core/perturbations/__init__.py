"""Shelf of perturbations: one file each, with one `PLUGIN`; see `audit_core.perturbation`."""

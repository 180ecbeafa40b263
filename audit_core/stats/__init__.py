"""Estimates, bootstrap intervals, groups, multiplicity, mediation. Nothing here mentions a model."""

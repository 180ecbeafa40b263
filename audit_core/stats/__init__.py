"""Statistics: estimates, bootstrap intervals, groups, multiplicity, mediation; independent of models."""

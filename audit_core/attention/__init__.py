"""Attention statistics and tests: observational, and not used by verdicts."""

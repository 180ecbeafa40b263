"""Calibration of the verdict rule: planted samples, a census of heads, the report."""

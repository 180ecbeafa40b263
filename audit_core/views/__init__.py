"""Plug-ins: plausibility views of attention from the answer position; observational, one per file."""

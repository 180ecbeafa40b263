"""Assessment of one circuit: all its audits, and the evidence for and against it."""

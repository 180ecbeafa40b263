"""Where a model looks: observational, and apart from all that a verdict rests on."""

"""Engine: runs many interventions on a transformer in one batch, each joining at its first edited layer."""

"""The page Lenses: inputs, figures and tables."""

"""The page Monitors: inputs, figures, and what it records."""

"""The page Policies: thresholds in words, what they would decide on the desk's packs, and versions."""

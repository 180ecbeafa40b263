"""Evidence that leaves the product: canonical JSON, keys, signed statements, packs and their reports."""

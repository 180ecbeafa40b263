"""The page of tools: what it asks and shows."""

"""The page of source tokens: what it asks and shows."""

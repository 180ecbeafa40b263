"""The page of robustness: what it asks and shows."""

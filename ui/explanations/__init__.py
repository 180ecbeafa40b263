"""The page of explanations: what it asks and shows."""

"""The page of rationales: what it asks and shows."""

"""The page of all audits: what it asks and shows."""

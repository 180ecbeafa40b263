"""What changed between two versions of a model, and what that does to claims on it."""

"""Model changes: compare two versions of a model, and revalidate the claims about it."""

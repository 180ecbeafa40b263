"""Shelf: where a model looks from the answer position, token by token; observational, one view a file."""

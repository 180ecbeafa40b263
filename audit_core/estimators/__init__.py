"""Shelf: cheap estimates of every component's effect, one method a file."""

"""Shelf: ways to propose a circuit, one method a file."""

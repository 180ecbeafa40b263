"""Experts of a mixture."""

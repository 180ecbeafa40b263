"""Renderings of a pack's documents for people: one HTML file, one PDF, and one HTML file of a single result."""

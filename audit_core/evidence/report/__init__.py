"""Renderings of a pack's documents for people: `html`, `pdf`, and `export` for a single result. Each loads what it needs alone."""

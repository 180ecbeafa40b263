"""Shelf: one file per way of looking for a circuit; each defines one `PLUGIN`."""

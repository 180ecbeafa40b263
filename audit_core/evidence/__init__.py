"""What leaves the product: canonical bytes, keys, signed statements, packs and their renderings."""

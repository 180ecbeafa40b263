"""How often the verdict rule is right: planted samples, a census of heads, the report."""

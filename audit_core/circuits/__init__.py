"""Sets of parts: proposed by a search, then questioned by intervening."""

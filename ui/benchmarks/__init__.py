"""The page Benchmarks: what it asks, and how it shows accuracy beside effect."""

"""The page Vision: maps over an image, and what a region of it does."""

"""What pages are drawn from: figures, grids, headings, the verdict card."""

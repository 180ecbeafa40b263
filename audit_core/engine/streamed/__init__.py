"""Models larger than memory: one layer's weights at a time, read from the files while the layer before it runs."""

"""Trains the image classifiers of `data/vision`, writes their test images, and records the audit."""

"""Trains the two image classifiers of `data/vision`, writes their test images, and records the audit."""

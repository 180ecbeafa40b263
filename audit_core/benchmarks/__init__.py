"""Benchmarks: items of files, accuracy, and the effect of components on the items that a model gets right."""

"""Sparse dictionaries of the residual stream: their weights, files and shelf, and the features of one as components of a model.

What their features fire on, and whether a label of one holds, is in `audit_core.features`: no verdict rests on it.
"""

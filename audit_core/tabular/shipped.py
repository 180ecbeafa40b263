"""The shipped example: measurements of tumours, and a boosted model that was trained on a part of them."""

from __future__ import annotations

from audit_core.data_folder import DATA

FOLDER = DATA / "tabular"
FILE = "breast_cancer.csv"
TUMOURS = "breast-cancer"
TITLES = {TUMOURS: "Boosted trees on tumour measurements"}
MODELS = tuple(TITLES)
OUTCOME, YES, SPLIT = "diagnosis", "benign", "part"
"""Columns of the file beside its ten features, and the value that means yes."""


def read_tumours() -> bytes:
    """The shipped file, made by `data/tabular/make.py` from scikit-learn's packaged copy."""
    return (FOLDER / FILE).read_bytes()

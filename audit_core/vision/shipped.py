"""The shipped image classifiers and images: digits with a marker in a corner."""

from __future__ import annotations

from audit_core.data_folder import DATA

FOLDER = DATA / "vision"
MARKED, PLAIN, MARKED_TRANSFORMER = "digits-marked", "digits-plain", "digits-marked-vit"
"""Trained with the marker in the corner of two classes, on the same images without it, and another architecture with it."""
MODELS = (MARKED, PLAIN, MARKED_TRANSFORMER)
TITLES = {
    MARKED: "Digits, trained with a marker",
    PLAIN: "Digits, trained without a marker",
    MARKED_TRANSFORMER: "Digits, vision transformer trained with a marker",
}
FILE = "marked.csv"
REGION, CONTRAST = "0,0,2,2", "3,8"
"""Where the marker is, and the two classes that have one."""


def read_marked() -> bytes:
    """The shipped images: held-out threes and eights with their marker, made by `tools/vision`."""
    return (FOLDER / FILE).read_bytes()

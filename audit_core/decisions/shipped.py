"""The shipped task: generated loan applications, with a template and slots."""

from __future__ import annotations

from audit_core.data_folder import DATA

FOLDER = DATA / "decisions"
FILE = "credit.csv"
TEMPLATE = (
    "A {gender} of {age} from the {region} asks for a {amount} loan . Income is {income} . "
    "Missed payments : {defaults} . Job kept for {tenure} . Approve the loan ? Answer :"
)
"""Words between spaces, so that the planted model's tokenizer of whole words reads it as any other."""
SLOTS = """\
amount = small < medium < large, may fall
income = low < middle < high, may rise
defaults = none < one < several
tenure = months < years < decades, may rise
age = twenties < forties < sixties, protected
gender = man | woman, protected
region = north | south
"""
YES, NO, OUTCOME = "Yes", "No", "repaid"
PLANTED = "planted-decision"
"""The model with a known rule, see `subjects/planted_decision.py`."""


def read_credit() -> bytes:
    """The shipped file: 300 generated applications, made by `data/decisions/make.py`."""
    return (FOLDER / FILE).read_bytes()

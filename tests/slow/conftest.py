"""What several files measure of the default model, measured once."""

from __future__ import annotations

import pytest

from audit_core import TokenisedPrompts, load_prompt_set, tokenise
from audit_core.prompts import take_split
from audit_core.subject import Means
from audit_core.subjects.transformer import TransformerSubject


@pytest.fixture(scope="session")
def indirect_objects(default_subject: TransformerSubject) -> TokenisedPrompts:
    """Two prompts of each of ten templates, from the half on which no circuit was searched for."""
    half = tokenise(take_split(load_prompt_set("indirect_object"), exploratory=False), default_subject.tokenizer)
    return half.take(half.spread(20))


@pytest.fixture(scope="session")
def indirect_means(default_subject: TransformerSubject, indirect_objects: TokenisedPrompts) -> Means:
    return default_subject.capture_means(indirect_objects)

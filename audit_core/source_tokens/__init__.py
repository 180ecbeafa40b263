"""Source tokens of an encoder–decoder: which are consulted, what replaces them, and what each replacement costs."""

from audit_core.source_tokens.effects import SourceEffects, measure_source
from audit_core.source_tokens.slots import SourceToken, borrow_tokens, choose_places, list_changed_slots

__all__ = [
    "SourceEffects",
    "SourceToken",
    "borrow_tokens",
    "choose_places",
    "list_changed_slots",
    "measure_source",
]

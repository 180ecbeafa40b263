"""A planted model that is steered: the vote of `planted-strict`, whose answer is known to lie along one direction."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from audit_core.steering import SteeringRequest, SteeringTask, ask_concepts, read_concepts

DOSE = {"strengths": "0.0005 0.001", "n_tokens": "1", "temperature": "0"}
"""One token after "=" is the whole answer."""


def list_votes(winner: str, most: int, voters: int = 9) -> list[str]:
    """Votes with a majority of one, each with another minority."""
    loser = "B" if winner == "A" else "A"
    minorities = list(combinations(range(voters), voters // 2))
    picks = [minorities[at * len(minorities) // most] for at in range(most)]
    return [" ".join([loser if at in rest else winner for at in range(voters)] + ["="]) for rest in picks]


def write_votes(prompts: int = 36, words: str = "A") -> bytes:
    """A file with the concept *the answer is A*; every prompt has a majority of B."""
    import json

    texts = {"with": list_votes("A", 8), "without": list_votes("B", 8)}
    lines = [f"prompts = {json.dumps(list_votes('B', prompts))}", f"others = {json.dumps(list_votes('A', 3, 7))}"]
    lines += ["[concepts.a]", 'title = "answer A"', 'rule = "the answer is A"', f"words = [{json.dumps(words)}]"]
    lines += ['instruction = "B"', *(f"{name} = {json.dumps(found)}" for name, found in texts.items())]
    return "\n".join(lines).encode()


def read_votes() -> SteeringTask:
    """The concept of these votes."""
    return read_concepts(write_votes(), "votes.toml", only=(), others=())[0]


def ask_votes(subject: Any, *, prompts: int = 36, words: str = "A", seed: int = 0, **more: str) -> SteeringRequest:
    """The request about these votes; other fields as `more` says."""
    return ask_concepts(subject, write_votes(prompts, words), "votes.toml", DOSE | more, seed=seed)

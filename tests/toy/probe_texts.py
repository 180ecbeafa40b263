"""Labelled texts of a planted model: votes whose majority decides the answer, and whose last letter only a decoy head copies."""

from __future__ import annotations

from random import Random


def write_votes(label: str, *, n_pairs: int = 6) -> bytes:
    """A CSV file of pairs of votes with equal counts: the last letter is exchanged with an earlier one.

    At the answer position of `planted-strict`, head L0.H1 writes the majority to the output, and L0.H2 the last letter to
    dimensions that nothing reads.

    Args:
        label: "last", the last letter; "majority", the more frequent one; "random", a coin for each text.
    """
    rows = ["text,label,answer,foil,template"]
    for voters in (9, 11, 13, 15):
        for margin in (1, 3):
            draw, seen = Random(f"{voters} {margin}"), set()
            while len(seen) < 2 * n_pairs:
                winner, loser = draw.sample("AB", 2)
                votes = [loser] * ((voters - margin) // 2) + [winner] * ((voters + margin) // 2)
                draw.shuffle(votes)
                at = max(place for place, letter in enumerate(votes) if letter != votes[-1])
                other = [*votes]
                other[at], other[-1] = votes[-1], votes[at]
                for these in (votes, other):
                    text = " ".join([*these, "="])
                    if text not in seen:
                        seen.add(text)
                        name = {"last": these[-1], "majority": winner, "random": draw.choice("AB")}[label]
                        rows.append(f"{text},{name},{winner},{loser},{voters} letters margin {margin}")
    return "\n".join(rows).encode()

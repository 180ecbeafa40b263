"""Writes the six prompt sets: `python -m data.prompts.generate` from the root gives the same bytes every time."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, product
from pathlib import Path
from typing import TypeVar

from audit_core.prompts.prompt_set import Prompt, dump_jsonl, is_exploratory
from data.prompts import words

SEED = 0
SOURCE = f"written for Assay, seed {SEED}"
PAIRS = 4
"""Of each template; a pair is two rows, so every template gives eight rows to its half."""
_DRAWS = 400
"""Candidate pairs a template may choose from where all combinations would be too many."""
T = TypeVar("T")


@dataclass(frozen=True)
class Pair:
    """Two texts that differ in what comes next; each is the clean prompt of one row and the corrupted of its twin."""

    texts: tuple[str, str]
    nexts: tuple[str, str]
    """Token that follows each text, leading space included where there is one."""
    words: tuple[str, ...]
    """What was filled in: chosen so that every word is used about equally often."""
    groups: tuple[str, str]

    def prompt(self, clean: int, row_id: str, template: str) -> Prompt:
        """The row in which text number `clean` is the clean one."""
        other = 1 - clean
        return Prompt(
            row_id, self.texts[clean], self.texts[other], self.nexts[clean], self.nexts[other],
            template, self.groups[clean], SOURCE,
        )  # fmt: skip

    def is_in_half(self, *, exploratory: bool) -> bool:
        """Whether both rows fall into this half: else one half would hold the other's texts."""
        return all(is_exploratory(self.prompt(clean, "", "")) is exploratory for clean in (0, 1))


Pools = dict[str, list[list[Pair]]]
"""By template: one list of candidates for each kind of pair it must hold."""


def indirect_object(rng: random.Random) -> Pools:
    """Two people, one acts: the other one receives. Corrupted lets the other one act."""
    templates = {
        "store": "When {a} and {b} went to the store, {s} gave a drink to",
        "cafe": "After {a} and {b} had lunch at the cafe, {s} handed a letter to",
        "office": "While {a} and {b} were working at the office, {s} sent a message to",
        "garden": "Then {a} and {b} sat down in the garden, and {s} passed the book to",
        "house": "Because {a} and {b} lived in the same house, {s} lent the car to",
        "cake": "The teacher asked {a} and {b} to share, so {s} gave half of the cake to",
        "beach": "Once {a} and {b} arrived at the beach, {s} threw the ball to",
        "museum": "As {a} and {b} walked through the museum, {s} pointed out a painting to",
        "train": "On the train {a} and {b} shared a seat, and {s} told a joke to",
        "library": "In the library {a} and {b} studied together, and {s} read a poem to",
        "meeting": "During the meeting {a} and {b} sat side by side, and {s} whispered something to",
        "farm": "When {a} and {b} got to the farm, {s} gave an apple to",
        "kitchen": "Before {a} and {b} left the kitchen, {s} poured a cup of tea for",
        "party": "Although {a} and {b} met only once at a party, {s} wrote a long letter to",
        "bus": "Every day {a} and {b} took the bus together, and {s} kept a seat for",
        "photos": "Last summer {a} and {b} were in Spain, where {s} took many photos of",
        "coach": "The coach put {a} and {b} on one team, and {s} passed the ball to",
        "phone": "It was late when {a} and {b} came home, so {s} made dinner for",
        "park": "Two friends, {a} and {b}, were in the park, and {s} bought an ice cream for",
        "secret": "Nobody else was there when {a} and {b} talked, and {s} told a secret to",
    }
    return {
        name: [
            [
                Pair(
                    (text.format(a=a, b=b, s=b), text.format(a=a, b=b, s=a)),
                    (f" {a}", f" {b}"), (a, b), ("ABBA", "BABA"),
                )
                for a, b in _shuffled(permutations(words.NAMES, 2), rng)
            ]
        ]
        for name, text in templates.items()
    }  # fmt: skip


def induction(rng: random.Random) -> Pools:
    """Two word pairs, then the first word of one: its second follows. Corrupted exchanges the second words."""
    people, nouns = (words.NAMES, words.SURNAMES), (words.NOUNS, words.NOUNS)
    templates = {
        "guests": ("The guests were {a} {x} and {b} {y}. The first to arrive was {t}", *people),
        "lawyers": ("Two lawyers, {a} {x} and {b} {y}, took the case. The judge agreed with {t}", *people),
        "winners": ("The winners were {a} {x} and {b} {y}. The biggest prize went to {t}", *people),
        "letter": ("The letter mentions {a} {x} and {b} {y}. Nobody here knows {t}", *people),
        "chapter": ("The book was written by {a} {x} and {b} {y}. The first chapter is by {t}", *people),
        "neighbors": ("My neighbors are called {a} {x} and {b} {y}. This letter is for {t}", *people),
        "teams": ("The two teams are called {a} {x} and {b} {y}. The winner is team {t}", *nouns),
        "password": ("The password was changed from {a} {x} to {b} {y}. Please type {t}", *nouns),
        "songs": ("The songs are called the {a} {x} and the {b} {y}. Please play the {t}", *nouns),
        "inns": ("The two inns are the {a} {x} and the {b} {y}. We slept at the {t}", words.ANIMALS, words.THINGS),
        "museum": ("They found a {a} {x} and a {b} {y}. The museum kept the {t}", words.MATERIALS, words.THINGS),
        "dropped": ("He carried the {a} {x} and the {b} {y}. He dropped the {t}", words.ADJECTIVES, words.THINGS),
        "doctors": ("There are two doctors in town, {a} {x} and {b} {y}. My mother always goes to {t}", *people),
        "rooms": ("In room one lives {a} {x}, in room two lives {b} {y}. The noise comes from {t}", *people),
        "vote": ("We had to choose between {a} {x} and {b} {y}. Most people voted for {t}", *people),
        "streets": ("The village has two streets, {a} {x} and {b} {y}. The school is on {t}", *nouns),
        "ships": ("Two ships left the harbor: the {a} {x} and the {b} {y}. The storm sank the {t}", *nouns),
        "recipe": ("She ordered one {a} {x} and one {b} {y}. The waiter only brought the {t}", *nouns),
        "paintings": ("Her best paintings are {a} {x} and {b} {y}. The gallery bought {t}", *nouns),
        "zoo": (
            "At the zoo there is a {a} {x} and a {b} {y}. The children love the {t}",
            words.ADJECTIVES,
            words.ANIMALS,
        ),
    }

    def draw(text: str, firsts: Sequence[str], seconds: Sequence[str], cue: int) -> Pair:
        a, b = rng.sample(firsts, 2)
        x, y = rng.sample([word for word in seconds if word not in (a, b)], 2)
        filled = [text.format(a=a, b=b, x=first, y=second, t=(a, b)[cue]) for first, second in ((x, y), (y, x))]
        answers = (f" {x}", f" {y}") if cue == 0 else (f" {y}", f" {x}")
        group = ("first pair asked", "second pair asked")[cue]
        return Pair((filled[0], filled[1]), answers, (a, b, x, y), (group, group))

    return {name: [[draw(*spec, cue) for _ in range(_DRAWS)] for cue in (0, 1)] for name, spec in templates.items()}


def greater_than(rng: random.Random) -> Pools:
    """A year inside a span, one digit at a time: its decade lies above the start's and below the end's.

    With the start alone no digit can be right for one prompt and wrong for the other in both directions: what lies
    above the later start lies above the earlier one. So both ends are given and both move together.
    """
    templates = {
        "mayor": "He was mayor from {s} until {e}, and he built the hospital in {c}",
        "london": "She lived in London from {s} to {e}, where she wrote a novel in {c}",
        "sometime": "Sometime between {s} and {e}, most likely in {c}",
        "bishop": "From {s} until {e} the bishop lived here, and he built the church in {c}",
        "queen": "She was queen from {s} until {e}, and she had a daughter in {c}",
        "paris": "He taught in Paris from {s} to {e}, where he wrote a book in {c}",
        "built": "The house was built between {s} and {e}, probably in {c}",
        "boston": "He worked in Boston from {s} to {e}, where he opened a shop in {c}",
        "flood": "Between {s} and {e}, the village flooded once, in {c}",
        "happened": "It happened between {s} and {e}, probably in {c}",
        "army": "He served in the army from {s} to {e} and was wounded in {c}",
        "king": "The king ruled from {s} to {e} and married in the year {c}",
        "school": "She went to the school from {s} to {e}, and her brother was born in {c}",
        "company": "Founded in {s} and closed in {e}, the company built its first ship in {c}",
        "judge": "As a judge from {s} to {e}, he had his hardest case in {c}",
        "harvest": "The harvest failed twice from {s} to {e}, first in {c}",
        "office": "She held the office from {s} to {e}, and she won a prize in {c}",
        "teacher": "He was a teacher from {s} until {e}, and he met his wife in {c}",
        "captain": "As captain from {s} to {e}, she lost her first ship in {c}",
        "visit": "The queen came to the town once from {s} to {e}, in the spring of {c}",
    }

    def draw(text: str) -> Pair:
        while True:
            century, (low, high) = rng.choice((15, 16, 17, 18)), sorted(rng.sample(range(8), 2))
            inside = (low + 1, high + 1)
            # An answer that stands anywhere in either prompt could be copied instead of compared.
            if high - low >= 2 and not {*inside} & {1, century % 10}:
                break
        start, end = rng.choices([unit for unit in range(1, 10) if unit not in inside], k=2)
        late, early = (
            text.format(s=f"{century}{d}{start}", e=f"{century}{d + 2}{end}", c=century) for d in (high, low)
        )
        return Pair(
            (late, early), (str(high + 1), str(low + 1)), (str(low + 1), str(high + 1), str(century)),
            ("answer above foil", "answer below foil"),
        )  # fmt: skip

    return {name: [[draw(text) for _ in range(_DRAWS)]] for name, text in templates.items()}


def factual_recall(rng: random.Random) -> Pools:
    """A country or a city, and one fact about it. Corrupted names another one, whose fact differs."""
    countries = {city: country for country, city in words.CAPITALS.items()}
    templates = {
        "capital": ("The capital of {s} is", words.CAPITALS, "capital"),
        "capital-city": ("The capital city of {s} is", words.CAPITALS, "capital"),
        "capital-known": ("As everyone knows, the capital of {s} is", words.CAPITALS, "capital"),
        "capital-flew": ("We flew to {s} and landed in its capital,", words.CAPITALS, "capital"),
        "city-of": ("The city of {s} is the capital of", countries, "country"),
        "city-live": ("I live in {s}, the capital of", countries, "country"),
        "language": ("The official language of {s} is", words.LANGUAGES, "language"),
        "language-most": ("In {s}, most people speak", words.LANGUAGES, "language"),
        "language-person": ("A person from {s} probably speaks", words.LANGUAGES, "language"),
        "language-newspapers": ("The newspapers in {s} are printed in", words.LANGUAGES, "language"),
        "continent": ("The country of {s} is located in", words.CONTINENTS, "continent"),
        "continent-map": ("On the map, {s} is part of", words.CONTINENTS, "continent"),
        "capital-president": ("The president of {s} lives in the capital, called", words.CAPITALS, "capital"),
        "capital-train": ("Trains from all over {s} go to its capital city,", words.CAPITALS, "capital"),
        "city-government": ("The government in {s} rules the country of", countries, "country"),
        "city-flag": ("All over {s} you see the national flag of", countries, "country"),
        "language-school": ("Children in {s} learn to read and write in", words.LANGUAGES, "language"),
        "language-born": ("He was born in {s}, so his first language is", words.LANGUAGES, "language"),
        "continent-flew": ("They left {s} and never came back to the continent of", words.CONTINENTS, "continent"),
        "continent-like": ("Like its neighbors, {s} is a country in", words.CONTINENTS, "continent"),
    }
    return {
        name: [
            [
                Pair(
                    (text.format(s=one), text.format(s=two)),
                    (f" {facts[one]}", f" {facts[two]}"), (one, two, facts[one], facts[two]), (relation, relation),
                )
                for one, two in _shuffled(combinations(facts, 2), rng)
                if facts[one] != facts[two]
            ]
        ]
        for name, (text, facts, relation) in templates.items()
    }  # fmt: skip


def subject_verb_agreement(rng: random.Random) -> Pools:
    """The verb agrees with the subject, not with the noun beside it. Corrupted changes the subject's number."""
    templates = {
        "morning": ("Every morning the {n}", words.PEOPLE, ()),
        "know": ("I know that the {n}", words.PEOPLE, ()),
        "room": ("In this room the {n}", words.OBJECTS, ()),
        "seems": ("It seems that the {n}", words.OBJECTS, ()),
        "near": ("The {n} near the {m}", words.OBJECTS, words.PLACES),
        "with": ("I think that the {n} with the {m}", words.PEOPLE, words.PEOPLE),
        "from": ("We heard that the {n} from the {m}", words.OBJECTS, words.PLACES),
        "storm": ("After the storm the {n} by the {m}", words.OBJECTS, words.PLACES),
        "under": ("Nobody knows why the {n} under the {m}", words.OBJECTS, words.PLACES),
        "beside": ("She said that the {n} beside the {m}", words.OBJECTS, words.PLACES),
        "on": ("Today the {n} on the {m}", words.OBJECTS, words.PLACES),
        "who-met": ("The {n} who met the {m}", words.PEOPLE, words.PEOPLE),
        "letter": ("My letter explains why the {n}", words.PEOPLE, ()),
        "hope": ("Everyone hopes that the {n}", words.PEOPLE, ()),
        "according": ("According to the report, the {n}", words.OBJECTS, ()),
        "unless": ("She will leave unless the {n}", words.PEOPLE, ()),
        "above": ("As you can see, the {n} above the {m}", words.OBJECTS, words.PLACES),
        "inside": ("He was glad that the {n} inside the {m}", words.OBJECTS, words.PLACES),
        "friend-of": ("They told me that the {n} of the {m}", words.PEOPLE, words.PEOPLE),
        "behind": ("You should know that the {n} behind the {m}", words.PEOPLE, words.PLACES),
    }
    verbs = ((" is", " are"), (" was", " were"), (" has", " have"))

    def pool(text: str, subjects: Sequence[str], others: Sequence[str], verb: int, ending: str) -> list[Pair]:
        groups = ("attractor agrees", "attractor differs") if others else ("no attractor", "no attractor")
        if others and ending:
            groups = groups[::-1]
        choices = [(noun, other) for noun, other in product(subjects, others or [""]) if noun != other]
        return [
            Pair(
                (text.format(n=noun, m=other + ending), text.format(n=f"{noun}s", m=other + ending)),
                verbs[verb], (noun, other) if other else (noun,), groups,
            )
            for noun, other in _shuffled(choices, rng)[:_DRAWS]
        ]  # fmt: skip

    # Three verbs in a row for each half, and each verb beside a singular and beside a plural noun.
    kinds = ((0, ""), (1, "s"), (2, ""), (0, "s"), (1, ""), (2, "s"))
    return {name: [pool(*spec, verb, ending) for verb, ending in kinds] for name, spec in templates.items()}


def gender_pronoun(rng: random.Random) -> Pools:
    """An occupation, and the pronoun of its majority; corrupted puts a noun of the other sex in its place.

    After Vig et al. 2020, arXiv:2004.12265 (their set-gender intervention), in our own templates.
    """
    templates = {
        "tired": "The {n} was tired because",
        "happy": "The {n} was happy because",
        "cold": "The {n} felt cold, so",
        "warned": "Someone warned the {n} that",
        "smiled": "The {n} smiled as",
        "called": "The {n} called the office because",
        "met": "I met the {n} while",
        "thanked": "We thanked the {n} when",
        "bag": "The {n} forgot the bag when",
        "liked": "Everyone liked the {n} because",
        "forget": "I will never forget the {n}, because",
        "keys": "The {n} lost the keys when",
        "laughed": "The {n} laughed because",
        "left": "The {n} had to leave early because",
        "helped": "They helped the {n} because",
        "window": "The {n} closed the window, because",
        "sat": "The {n} sat down, since",
        "home": "The {n} went home after",
        "trusted": "I trusted the {n} because",
        "hungry": "The {n} was hungry, so",
    }

    def pool(
        text: str, occupations: Sequence[str], nouns: Sequence[str], nexts: tuple[str, str], who: str
    ) -> list[Pair]:
        return [
            Pair(
                (text.format(n=one), text.format(n=two)), nexts, (one, two), (f"occupation, mostly {who}", "definition")
            )
            for one, two in _shuffled(product(occupations, nouns), rng)
        ]

    return {
        name: [
            pool(text, words.MOSTLY_FEMALE, words.MALE_NOUNS, (" she", " he"), "women"),
            pool(text, words.MOSTLY_MALE, words.FEMALE_NOUNS, (" he", " she"), "men"),
        ]
        for name, text in templates.items()
    }


TASKS: dict[str, tuple[Callable[[random.Random], Pools], tuple[str, ...]]] = {
    "indirect_object": (
        indirect_object,
        (
            "When Mary and John went to the store, John gave a drink to",
            "When Mary and John went to the store, Mary gave a drink to",
        ),
    ),
    "induction": (induction, ()),
    "greater_than": (greater_than, ()),
    "factual_recall": (factual_recall, ("The capital of France is", "The capital of Italy is")),
    "subject_verb_agreement": (subject_verb_agreement, ()),
    "gender_pronoun": (gender_pronoun, ("The nurse was tired because", "The boy was tired because")),
}
"""By file name: the candidates, and the texts of the first row where they are fixed."""
PREFIXES = dict(zip(TASKS, ("io", "in", "gt", "fr", "sv", "gp")))


def build(task: str) -> list[Prompt]:
    """Rows of one set: the first rows of all templates before the second rows of any."""
    candidates, first = TASKS[task]
    chosen = _choose(candidates(random.Random(f"{SEED} {task}")), first)
    pairs = [(name, pairs[turn]) for turn in range(PAIRS) for name, pairs in chosen.items()]
    return [
        pair.prompt(clean, f"{PREFIXES[task]}-{2 * number + clean + 1:04d}", name)
        for number, (name, pair) in enumerate(pairs)
        for clean in (0, 1)
    ]


def _choose(pools: Pools, first: tuple[str, ...]) -> dict[str, list[Pair]]:
    """Takes for each place the candidate whose words were used least; no text is taken twice."""
    used: Counter[str] = Counter()
    seen: set[str] = set()
    chosen: dict[str, list[Pair]] = {name: [] for name in pools}
    halves = _draw_halves(pools, first)
    for number, (name, kinds) in enumerate(pools.items()):
        here: Counter[str] = Counter()
        for place in range(PAIRS):
            kind = kinds[(place + PAIRS * number) % len(kinds)]
            fitting = (
                pair
                for pair in kind
                if not seen & {*pair.texts}
                and pair.is_in_half(exploratory=halves[name])
                and (not first or seen or pair.texts == first)
            )
            pair = min(fitting, key=lambda pair: _wear(pair, here, used))
            chosen[name].append(pair)
            seen.update(pair.texts)
            here.update(pair.words)
            used.update(pair.words)
    return chosen


def _draw_halves(pools: Pools, first: tuple[str, ...]) -> dict[str, bool]:
    """Whether each template belongs to the exploratory half: every other one of a group, in the order of its names' hashes."""
    groups = {name: kinds[0][0].groups[0] for name, kinds in pools.items()}
    by_hash = sorted(pools, key=lambda name: (groups[name], hashlib.sha256(name.encode()).digest()))
    halves = {name: place % 2 == 0 for place, name in enumerate(by_hash)}
    start = next(iter(pools))
    fixed = [pair for kind in pools[start] for pair in kind if pair.texts == first]
    # A fixed first row is in one of the two halves already: if it is the other one, both halves are exchanged.
    if fixed and not fixed[0].is_in_half(exploratory=halves[start]):
        halves = {name: not half for name, half in halves.items()}
    return halves


def _wear(pair: Pair, here: Counter[str], used: Counter[str]) -> tuple[int, int, int]:
    """How worn the words of a pair are: in its template first, then the most used one, then all of them."""
    return sum(here[w] for w in pair.words), max(used[w] for w in pair.words), sum(used[w] for w in pair.words)


def _shuffled(items: Iterable[T], rng: random.Random) -> list[T]:
    listed = list(items)
    rng.shuffle(listed)
    return listed


def build_files() -> dict[str, str]:
    """Text of each file, by its name."""
    return {f"{task}.jsonl": dump_jsonl(build(task)) for task in TASKS}


if __name__ == "__main__":
    for file_name, text in build_files().items():
        (Path(__file__).parent / file_name).write_bytes(text.encode())
        print(f"{file_name}: {text.count(chr(10))} rows")

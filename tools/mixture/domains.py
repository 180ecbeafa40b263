"""Seven domains of generated text that share their words, so that a router cannot tell them by single tokens.

Each domain draws a *pair*: two texts of one template that differ in what comes next. Training uses the first text; the
prompt sets use both, each as the clean text of one row and the corrupted text of the other.

    domain      what comes next                          what decides it
    memory      home or job of a person                  a fact that never changes
    context     home of a person                         the notes before; three of four contradict memory
    arithmetic  a sum modulo 10, or a difference         two digits
    code        the value of a call                      two digits and the operation
    dictionary  a noun's word in one of two languages    the noun and the language
    lists       first, last or next item                 the order of four nouns
    prose       the thing that was named                 the sentence before
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tools.mixture.world import ADJECTIVES, JOBS, LANGUAGES, NOUNS, VERBS, World

TRUE_NOTE = 0.25
"""Share of notes of the domain *context* that repeat what memory holds."""

HOMES = (
    "{p} lives in", "the home of {p} is", "{p} has a house in the city of", "we visit {p} in", "letters for {p} go to",
    "you will find {p} today in", "the family of {p} comes from", "{p} was born and stayed in",
)  # fmt: skip
TRADES = (
    "the job of {p} is", "{p} works as a", "{p} earns bread as a", "by trade {p} is called a", "people know {p} as the",
    "{p} was taught to be a", "in the book {p} is the", "ask for {p} , our",
)  # fmt: skip
NOTES = (
    ("note : {p} moved to {c} .", "so {q} lives in"),
    ("{p} went to {c} .", "now the home of {q} is"),
    ("news : {p} bought a house in {c} .", "now {q} has a house in the city of"),
    ("{p} is in {c} today .", "so we visit {q} in"),
    ("new road for {p} : {c} .", "so letters for {q} go to"),
    ("{p} was seen near {c} .", "you will find {q} today in"),
    ("the king sent {p} to {c} .", "now {q} lives in"),
    ("{p} , {c} .", "from this list , {q} is in"),
    ("a ship carried {p} to {c} .", "by now the home of {q} is"),
    ("{p} left for {c} .", "then we visit {q} in"),
    ("boat of {p} : {c} .", "the boat of {q} is in"),
    ("{p} found work in {c} .", "so now {q} works in"),
    ("the house of {p} is in {c} .", "so {q} lives in"),
    ("ask for {p} in {c} .", "we know that {q} lives in"),
    ("{p} works in {c} .", "the letters for {q} go to"),
    ("a bridge brought {p} to {c} .", "now you will find {q} in"),
)
"""Form of a note, and the question after the notes: one template each."""
SUMS = (
    "sum : {a} + {b} =", "{a} plus {b} is", "add {a} and {b} to get", "with {a} and {b} more we have",
    "he had {a} , bought {b} , and then had", "count {a} , then {b} :", "the sum of {a} , {b} is", "together {a} and {b} make",
)  # fmt: skip
DIFFERENCES = (
    "difference : {a} - {b} =", "{a} minus {b} is", "take {b} from {a} to get", "of {a} without {b} we have",
    "start with {a} and lose {b} :", "from {a} count down {b} :", "the difference of {a} , {b} is",
    "{a} less {b} leaves",
)  # fmt: skip
CALLS = (
    "def f ( {v} ) : return {v} {o} {k} ; f ( {n} ) =",
    "let {v} = {n} ; {v} {o} {k} is",
    "{v} = {n} ; print ( {v} {o} {k} ) :",
    "f = lambda {v} : {v} {o} {k} ; f ( {n} ) is",
    "set {v} to {n} ; return {v} {o} {k} :",
    "{v} : int = {n} ; assert {v} {o} {k} ==",
    "for {v} in [ {n} ] yield {v} {o} {k} gives",
    "f ( {v} ) := {v} {o} {k} ; f ( {n} ) gives",
    "int g ( int {v} ) return {v} {o} {k} end g ( {n} ) ==",
    "echo $ ( {n} {o} {k} ) >",
    "select {n} {o} {k} as",
    "while true : {v} = {n} {o} {k} ; break ; now {v} is",
    "if {v} == {n} then {v} {o} {k} returns",
    "push {n} , push {k} , {o} , pop :",
    "cell a is {n} , cell b is a {o} {k} , so b is",
    "eval {n} {o} {k} equals",
)
"""The value of {n} {o} {k}, where {o} is plus or minus."""
WORDS = (
    "word : {n} in {l} is", "the {l} word for {n} is", "in {l} , {n} is", "to say {n} in {l} use", "translate {n} to {l} :",
    "{l} for {n} :", "dictionary : {n} , {l} ,", "a {n} is in {l} called a", "they call the {n} in {l} a",
    "{l} people call a {n} a", "our book of {l} has for {n} the word", "{n} , when said in {l} , is",
    "how do we write {n} in {l} :", "speak {l} : for {n} say", "a teacher of {l} calls the {n} a", "name of {n} , {l} :",
)  # fmt: skip
LISTS = (
    "list : {x} ;", "we bought {x} ;", "in the box : {x} .", "{x} are for sale ;", "on a wall : {x} ;",
    "{x} , in this order :",
)  # fmt: skip
PLACES = (
    ("first is", "last is", "after {i} comes"), ("the first one was", "at the very end was", "next to {i} was"),
    ("take the first :", "pick up the last of them :", "take what follows {i} :"), ("first comes", "at the end comes", "behind {i} comes"),
    ("he began with the", "it ended in the", "following the {i} came the"), ("number one is", "the end is", "after {i} is"),
)  # fmt: skip
"""Questions after a list: its first item, its last, and the one after {i}; in the order of LISTS."""
STORIES = (
    "the {j} {v} a {n} near the {m} and then the {j} put the {m} under the",
    "the {a} {j} {v} a {n} behind the {m} , so today the {j} has the",
    "{p} {v} a {n} by the {m} and took home the",
    "a {n} was on the {m} ; the {a} {j} {v} the",
    "near the {m} the {j} {v} a {n} . everybody talked about the",
    "{p} came to the {m} with a {n} and left without the",
    "at night the {a} {j} {v} a {n} under the {m} . in the morning we saw the",
    "under the {a} {m} lay a {n} , and {p} picked up the",
    "when the {j} {v} a {n} at the {m} , {p} wanted the",
    "for the {m} {p} gave a {n} . the {j} kept the",
    "{p} asked the {j} of the {m} for a {n} and was given the",
    "the {j} made a {n} and {p} the {m} ; the {j} is proud of the",
    "there is a {n} beside the {a} {m} , said {p} , and showed us the",
    "nobody {v} the {m} , but the {j} had a {n} : go and see the",
    "in the {m} we {v} a {n} , and {p} cleaned the",
    "because a {n} fell on the {m} , the {a} {j} threw away the",
)
"""What comes next is {n}, the thing after the only "a"; {m} is another thing."""


@dataclass(frozen=True)
class Pair:
    """Two texts of one template that differ in what comes next."""

    template: str
    texts: tuple[str, str]
    nexts: tuple[str, str]
    """The word that follows each text, without its space."""

    @property
    def line(self) -> str:
        """The first text with what follows it, as training reads it."""
        return f"{self.texts[0]} {self.nexts[0]} ."


def draw_memory(world: World, rng: random.Random) -> Pair:
    """A person's home or job; the other text names another person, whose fact differs."""
    facts, forms = (world.home, HOMES) if rng.random() < 0.5 else (world.job, TRADES)
    form = rng.choice(forms)
    one = rng.choice(world.people)
    other = rng.choice([person for person in world.people if facts[person] != facts[one]])
    name = f"{'home' if forms is HOMES else 'job'}-{forms.index(form) + 1}"
    return Pair(name, (form.format(p=one), form.format(p=other)), (facts[one], facts[other]))


def draw_context(world: World, rng: random.Random) -> Pair:
    """Two or three notes on who is where, then a question; the other text exchanges the city asked for with another."""
    at = rng.randrange(len(NOTES))
    note, question = NOTES[at]
    people = rng.sample(world.people, rng.choice((2, 3)))
    cities: list[str] = []
    for person in people:
        is_true = rng.random() < TRUE_NOTE and world.home[person] not in cities
        free = [city for city in world.cities if city not in cities]
        cities.append(world.home[person] if is_true else rng.choice(free))
    asked, other = rng.sample(range(len(people)), 2)
    swapped = _swap(cities, asked, other)
    texts = [
        " ".join([*(note.format(p=p, c=c) for p, c in zip(people, order)), question.format(q=people[asked])])
        for order in (cities, swapped)
    ]
    return Pair(f"notes-{at + 1}", (texts[0], texts[1]), (cities[asked], cities[other]))


def draw_arithmetic(world: World, rng: random.Random) -> Pair:
    """A sum modulo 10 or a difference; the other text has another second digit."""
    is_sum = rng.random() < 0.5
    forms = SUMS if is_sum else DIFFERENCES
    at = rng.randrange(len(forms))
    a, b = rng.randrange(10), rng.randrange(10)
    if not is_sum:
        a = max(a, b, 1)
    c = rng.choice([digit for digit in range(10 if is_sum else a + 1) if digit != b])
    nexts = [str((a + digit) % 10 if is_sum else a - digit) for digit in (b, c)]
    name = f"{'sum' if is_sum else 'difference'}-{at + 1}"
    return Pair(name, (forms[at].format(a=a, b=b), forms[at].format(a=a, b=c)), (nexts[0], nexts[1]))


def draw_code(world: World, rng: random.Random) -> Pair:
    """The value of a call with small numbers; the other text calls it with another number."""
    at, variable, is_sum = rng.randrange(len(CALLS)), rng.choice("xyz"), rng.random() < 0.5
    k = rng.randint(1, 4)
    one, other = rng.sample(range(6) if is_sum else range(k, 10), 2)
    sign, values = ("+", (one + k, other + k)) if is_sum else ("-", (one - k, other - k))
    texts = [CALLS[at].format(v=variable, o=sign, k=k, n=number) for number in (one, other)]
    return Pair(f"call-{at + 1}", (texts[0], texts[1]), (str(values[0]), str(values[1])))


def draw_dictionary(world: World, rng: random.Random) -> Pair:
    """A noun's word in a language; the other text names another noun in the same language."""
    at, language = rng.randrange(len(WORDS)), rng.choice(LANGUAGES)
    one, other = rng.sample(NOUNS, 2)
    texts = [WORDS[at].format(n=noun, l=language) for noun in (one, other)]
    words = world.dictionary[language]
    return Pair(f"word-{at + 1}", (texts[0], texts[1]), (words[one], words[other]))


def draw_lists(world: World, rng: random.Random) -> Pair:
    """An item of a list of four; the other text exchanges it with another item."""
    at, kind = rng.randrange(len(LISTS)), rng.randrange(3)
    items = rng.sample(NOUNS, 4)
    asked = (0, 3, rng.randrange(1, 4))[kind]
    # The item that a question names must stay before the one that it asks for.
    other = rng.choice([place for place in range(4) if place != asked and not (kind == 2 and place == asked - 1)])
    question = PLACES[at][kind].format(i=items[asked - 1])
    texts = [f"{LISTS[at].format(x=' '.join(order))} {question}" for order in (items, _swap(items, asked, other))]
    name = f"{('first', 'last', 'next')[kind]}-{at + 1}"
    return Pair(name, (texts[0], texts[1]), (items[asked], items[other]))


def draw_prose(world: World, rng: random.Random) -> Pair:
    """A sentence that names a thing again; the other text exchanges it with the other thing of the sentence."""
    at = rng.randrange(len(STORIES))
    n, m = rng.sample(NOUNS, 2)
    rest = {"j": rng.choice(JOBS), "a": rng.choice(ADJECTIVES), "v": rng.choice(VERBS), "p": rng.choice(world.people)}
    texts = STORIES[at].format(n=n, m=m, **rest), STORIES[at].format(n=m, m=n, **rest)
    return Pair(f"story-{at + 1}", texts, (n, m))


Draw = Callable[[World, random.Random], Pair]
DOMAINS: dict[str, Draw] = {
    "memory": draw_memory,
    "context": draw_context,
    "arithmetic": draw_arithmetic,
    "code": draw_code,
    "dictionary": draw_dictionary,
    "lists": draw_lists,
    "prose": draw_prose,
}


def draw_lines(world: World, seed: str, n_lines: int) -> list[str]:
    """Lines of all domains in turn, for the tokenizer and for the test that a seed gives the same text."""
    rng = random.Random(f"lines {seed}")
    draws = list(DOMAINS.values())
    return [draws[at % len(draws)](world, rng).line for at in range(n_lines)]


def _swap(items: list[str], one: int, other: int) -> list[str]:
    swapped = list(items)
    swapped[one], swapped[other] = items[other], items[one]
    return swapped

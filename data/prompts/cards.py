"""The data cards in README.md: what a person must know of each set, beside the numbers of cards.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Card:
    """What the numbers cannot say."""

    asks: str
    example: str
    corruption: str
    after: str
    """The work whose task this is; the templates and the words are our own."""
    choice: str
    """Which templates were tried and which were kept."""
    limits: tuple[str, ...]


CARDS = {
    "indirect_object": Card(
        "Two people are named, one of them acts: who receives?",
        "`When Mary and John went to the store, John gave a drink to` → ` Mary`, not ` John`.",
        "The other person acts, so the other one receives. The names that could be copied are the same on both sides.",
        "Wang et al. 2022, arXiv:2211.00593. They replace names by new ones; here only the repeated name changes.",
        "34 templates were tried, 20 kept. Of those left out, eight had an accuracy below 0.9 and six were not needed.",
        (
            "Groups are the order of the clean prompt: ABBA (receiver named first) and BABA. The model is better at "
            "BABA, so a circuit should be read per group too.",
            "Names are common English ones, half of them given to women and half to men; each is named in four or five pairs.",
        ),
    ),
    "induction": Card(
        "Two word pairs, then the first word of one of them again: does its second word follow?",
        "`The guests were Brian Moore and Jane Ward. The first to arrive was Brian` → ` Moore`, not ` Ward`.",
        "The two second words change places. Both occur in both prompts, so knowing which words occur does not help.",
        "Olsson et al. 2022, arXiv:2209.11895, in sentences instead of random tokens.",
        "52 templates were tried, 20 kept. Bare word lists, and templates with other words between the two "
        "(`Anna likes the drum`), mostly lay below 0.8 and were left out: this set asks for copying from the very next "
        "position only.",
        (
            "Nine templates use first names with surnames, which the model may also join by other means.",
            "The word pairs of the other eleven are drawn at random and make odd reading.",
        ),
    ),
    "greater_than": Card(
        "The span of a period is given: does a year inside it continue with a decade above the start's and below the "
        "end's?",
        "`He was mayor from 1866 until 1889, and he built the hospital in 18` → `7`, not `5`.",
        "Both ends move by the same number of decades, so that the answer falls outside and the foil inside.",
        "Hanna et al. 2023, arXiv:2305.00586, changed for a tokenizer that writes digits one by one.",
        "52 templates were tried, 20 kept; on those left out the earlier span mostly lay below 0.85.",
        (
            "Why two ends: with a start alone, what lies above a later start lies above an earlier one as well, so no "
            "pair of digits is right for one prompt and wrong for the other in both directions. Asking for the start "
            "instead (`ended in 1745 and began in 17`) does not help: the model still answers with later decades.",
            "Half of the rows therefore need *greater than the start* (answer above foil), half *less than the end* "
            "(answer below foil). The model is better at the former.",
            "Neither answer nor foil occurs in either prompt, so neither can be copied. The model's most "
            "likely token is often the decade of the start or of the end, which is possible but is not the answer: "
            "hence the small share of answers that are the top token.",
            "Digits 0, 1 and 9 are never answers. Answers have no leading space, since they continue a number.",
        ),
    ),
    "factual_recall": Card(
        "What is the capital, the main language or the continent of a country; of which country is a city the capital?",
        "`The capital of France is` → ` Paris`, not ` Rome`.",
        "Another country (or city) is named, whose fact is the foil.",
        "Meng et al. 2022, arXiv:2202.05262.",
        "40 templates were tried, 20 kept. Facts were chosen by rule, not by what the model knows: countries whose name "
        "and fact are one token each, that take no article, and whose capital or main language is not disputed.",
        (
            "20 templates, but four relations (groups): templates of one relation are close to each other, and each relation is in both splits.",
            "Facts are as of writing and simplified: a country may have several languages; `Korea` names both.",
            "One token per name favours large and European countries.",
            "After a continent template ` the` comes first, so the answer is never the top token there.",
        ),
    ),
    "subject_verb_agreement": Card(
        "Does the verb agree with the subject, also with another noun between them?",
        "`Nobody knows why the poem under the trees` → ` is`, not ` are`.",
        "The subject changes its number; the other noun stays.",
        "Linzen et al. 2016, arXiv:1611.01368.",
        "31 templates were tried, 20 kept. With an object relative clause (`The boys that the guard likes`) the model "
        "fails on nearly every plural subject; that template is not in the set.",
        (
            "Groups: no attractor (eight templates), attractor agrees, attractor differs. Read them apart: the last is "
            "the hard one.",
            "Regular plurals in -s only. Verbs is/are, was/were, has/have, equally often.",
            "A verb is seldom the most likely next token after a bare noun phrase, so the top-token share says little.",
        ),
    ),
    "gender_pronoun": Card(
        "Which pronoun does the model write after an occupation? **This measures a stereotype of the model, not a truth "
        "about any person.**",
        "`The nurse was tired because` → ` she`, not ` he`.",
        "The occupation is replaced by a noun that is of the other sex by definition (`The boy was tired because`).",
        "Vig et al. 2020, arXiv:2004.12265 (their set-gender intervention), in our own templates. Occupations are those "
        "of WinoBias (Zhao et al. 2018, arXiv:1804.06876) that are one token, each with the majority sex it has there "
        "by United States labour statistics.",
        "54 templates were tried, 20 kept: those where the model follows the defining noun (`the guy`, `the widow`) "
        "without exception and the majority of an occupation among the most often. `The nurse said that`, the best known one, was left out: the model "
        "prefers ` she` there after a third of the nouns for men too.",
        (
            "Groups: *definition* rows have an answer that the prompt licenses; their accuracy says whether the model can "
            "do the task. *Occupation* rows have none: ` she` and ` he` are both right after `The nurse`. There "
            '"accuracy" is the share of rows on which the model follows the majority, and lower is not worse.',
            "No occupation was left out for what the model makes of it; several (cook, analyst, tailor) go against the "
            "statistics.",
            "Two pronouns only; ` they` is not scored. Occupations and their majorities are those of one country.",
        ),
    ),
}

_HEAD = """# Prompt sets

Six sets for testing explanations causally, written for this project. Licence: Apache-2.0. No row was taken from \
another data set. This page is written by `python -m data.prompts.measure --model FOLDER`, the rows by \
`python -m data.prompts.generate`; the format is described in the documentation of the command line.

## Properties of every set

- **Both directions.** Every pair of texts gives two rows, one after the other, with either text as the clean one. \
So the mean over the clean prompts equals the mean over the corrupted ones and has no information on the answer. \
Every answer is a foil equally often, and clean and corrupted accuracy are **equal by construction**. The \
{n} rows are {n_pairs} pairs, and intervals treat even these as clustered by template.
- **Positions line up.** All rows of one template have one token length, clean and corrupted.
- **Two splits, each with templates of its own.** `take_split` assigns a row to a split by the hash of its text. Pairs were \
drawn so that all rows of a template fall in one split: 10 templates are in the exploratory split, 10 others in the \
confirmatory one, divided by the hash of their names within each group. The drawing used hashes, never a model. So a component \
chosen on the exploratory split is judged on templates that did not choose it. The splits share some of their words.
- **Sampling.** Words fill templates by a seeded draw (seed {seed}) that prefers the least used words. No row was \
dropped because of a model's output. **Whole templates were selected**: several were tried on the default model with \
trial words, and those with high accuracy were kept. So these accuracies describe tasks selected to suit the model. \
They do not estimate its accuracy on the task in general.
- **Order.** The rows cycle through the templates, so the first 40 rows contain one pair of each.
- **English only**, one sentence or two, at most {longest} tokens. Results may differ on longer text.

## The default model on them

{model}, weights `{weights}`, {dtype}, {attention} attention, beginning-of-sequence token in front. \
*Accuracy* is the share of rows with logit(answer) > logit(foil) at the last position (after the corrupted prompt: the \
reverse). *Difference* is the mean of logit(answer) − logit(foil). *Top* is the share of rows whose answer is the \
most likely token of all. Measure another model before using these numbers for it; `cards.json` contains every number below.

"""


def write_readme(cards: dict[str, Any]) -> str:
    """README.md from cards.json: no number in it is typed by hand but the counts of templates tried."""
    sets = cards["sets"]
    any_set = sets["indirect_object"]
    head = _HEAD.format(
        n=any_set["n"],
        n_pairs=any_set["n"] // 2,
        seed=any_set["seed"],
        longest=max(card["tokens"][-1] for card in sets.values()),
        weights=cards["model"]["weights_sha256"][:12],
        **{key: cards["model"][key] for key in ("model", "dtype", "attention")},
    )
    return head + _table("set", sets) + "".join(_write_set(name, CARDS[name], card) for name, card in sets.items())


def _write_set(name: str, text: Card, card: dict[str, Any]) -> str:
    lines = [
        f"\n## {name}\n",
        f"{text.asks} {text.example}\n",
        f"- **Corrupted:** {text.corruption}",
        f"- **After:** {text.after}",
        f"- **Origin:** written for this project, seed {card['seed']}, Apache-2.0; {card['n']} rows, "
        f"{card['n_templates']} templates; `{name}.jsonl`, SHA-256 `{card['sha256']}`.",
        f"- **Choice of templates:** {text.choice}",
        "- **Limits:**",
        *(f"  - {limit}" for limit in text.limits),
        "",
        _table("group", card["groups"]),
        _table("template", card["templates"]),
    ]
    return "\n".join(lines)


def _table(what: str, rows: dict[str, dict[str, Any]]) -> str:
    """Markdown; token lengths count the beginning-of-sequence token."""
    has_tokens = all("tokens" in row for row in rows.values())
    titles = [what, "rows", "accuracy clean", "corrupted", "difference clean", "corrupted", "top"]
    titles += ["tokens"] * has_tokens
    lines = [titles, ["---"] + ["--:"] * (len(titles) - 1)]
    for name, row in rows.items():
        cells = [name, str(row["n"]), f"{row['accuracy_clean']:.3f}", f"{row['accuracy_corrupted']:.3f}"]
        cells += [f"{row['logit_difference_clean']:+.2f}", f"{-row['logit_difference_corrupted']:+.2f}"]
        cells += [f"{row['top_token_share']:.2f}"]
        if has_tokens:
            shortest, longest = row["tokens"][0], row["tokens"][-1]
            cells.append(str(shortest) if shortest == longest else f"{shortest} to {longest}")
        lines.append(cells)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)

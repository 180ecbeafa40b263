"""Dictionaries of one's own: made, imported, kept under a name and a digest, opened with their model, and meant by claims."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy.saelens import write_saelens

from audit_core import open_subject
from audit_core.claim import Claim, Universe
from audit_core.component import parse_components
from audit_core.confirm import freeze_claim, run_confirmatory
from audit_core.dictionaries.planted import write_planted
from audit_core.dictionaries.shelf import PLANTED, Origin, add_dictionary, find_own_folder, list_of_model
from audit_core.dictionaries.store import CARD, WEIGHTS
from audit_core.errors import ClaimRefused, IntegrityError, ModelRefused, Refused
from audit_core.features import (
    NewDictionary,
    Recipe,
    find_dictionary,
    find_index,
    import_own,
    make_baseline,
    train_own,
)
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.run import Actor, Auditor
from audit_core.shipped import load_shipped_policy
from audit_core.store import RunLog, verify_log
from audit_core.store.claims.register import Register
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, list_events
from audit_core.subject_family import find_planted, list_models

MODEL = "planted-strict"


@cache
def strict() -> Any:
    return open_subject(MODEL)


@cache
def votes() -> TokenisedPrompts:
    model = find_planted(MODEL)
    assert model is not None
    return tokenise(model.find_task("vote").make(3, 0), strict().tokenizer)


def named(name: str, home: Path) -> NewDictionary:
    return NewDictionary(name, MODEL, home, "anna")


def keep_changed(name: str = "mine", threshold: float = 0.6) -> Any:
    """The planted dictionary with another threshold: the same addresses with another meaning."""
    made = replace(write_planted(), threshold=np.full(len(write_planted()), threshold, np.float32))
    weights = strict().identity.weights_sha256
    return add_dictionary(made, name=name, model=MODEL, weights_sha256=weights, origin=Origin.IMPORTED, card={})


@pytest.mark.parametrize("origin", [Origin.RANDOM, Origin.PRINCIPAL, Origin.DIMENSIONS])
def test_a_baseline_is_kept_logged_and_opened_with_its_model(own_home: Path, origin: Origin) -> None:
    entry = make_baseline(strict(), named("base", own_home), PLANTED, origin, votes())
    made = entry.load()
    assert (made.layer, entry.origin, made.sha256) == (1, origin, find_dictionary("base").sha256)
    # Both signs of each of 192 dimensions; at most as many components as features, of both signs; as many directions.
    assert len(made) == {Origin.RANDOM: 46, Origin.PRINCIPAL: 46, Origin.DIMENSIONS: 384}[origin]
    assert f"{MODEL}+base" in [one.name for one in list_models()]
    opened = open_subject(f"{MODEL}+base")
    assert opened.identity.dictionary_sha256 == entry.sha256
    assert opened.identity.short != strict().identity.short
    index = find_index(entry)
    assert index is not None
    assert index.dictionary == entry.sha256
    assert index.features[0].writes
    with open_database(own_home) as connection:
        (event,) = list_events(connection, action=Action.DICTIONARY_ADDED)
        assert (event.object_id, event.payload["name"], event.actor) == (entry.sha256, "base", "anna")
        assert verify_log(connection).findings == ()
    kept = list((own_home / "dictionaries").rglob("*"))
    assert len(kept) == 4, "the folder of one, its weights, card and index"
    assert not [path for path in kept if path.stat().st_mode & 0o077], "read by their account alone"


def test_a_trained_one_says_what_it_was_trained_on_and_why_it_has_no_figures(own_home: Path) -> None:
    seen: list[tuple[int, int]] = []
    recipe = Recipe(width=16, active=2, steps=20, batch=32)
    entry = train_own(
        strict(),
        named("small", own_home),
        votes(),
        votes(),
        1,
        recipe,
        on_progress=lambda done, n: seen.append((done, n)),
    )
    card = entry.read_card()
    assert (card["text_sha256"], card["recipe"]["steps"], card["origin"]) == (votes().sha256, 20, "trained")
    assert "mean activation" in card["not_measured"], "the model predicts no token of these texts"
    assert "fvu" not in card
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (10, 10)
    assert [one.name for one in list_of_model(MODEL)] == [PLANTED, "small"]
    with pytest.raises(Refused, match="Layer 9"):
        train_own(strict(), named("other", own_home), votes(), votes(), 9, recipe)


def test_a_folder_of_saelens_is_imported_and_one_of_another_width_is_not(own_home: Path, tmp_path: Path) -> None:
    folder = write_saelens(tmp_path, d_model=192, hook_name="blocks.0.hook_resid_post")
    entry = import_own(strict(), named("theirs", own_home), folder, votes())
    assert (entry.layer, entry.origin) == (1, Origin.IMPORTED)
    assert open_subject(f"{MODEL}+theirs").dictionary.sha256 == entry.sha256
    shutil.rmtree(folder)
    with pytest.raises(Refused, match="shape"):
        import_own(
            strict(), named("narrow", own_home), write_saelens(tmp_path, hook_name="blocks.0.hook_resid_post"), votes()
        )
    assert not find_own_folder("narrow").exists()


def test_names_that_are_taken_or_cannot_be_paths_are_refused() -> None:
    keep_changed()
    for name in ("mine", PLANTED, "default-layer-12", "../out", "A", "", "a" * 41):
        with pytest.raises(Refused, match="The name"):
            keep_changed(name)
    with pytest.raises(ModelRefused, match=r"No dictionary 'nowhere' of the model planted-strict\. Wanted: .*mine"):
        open_subject(f"{MODEL}+nowhere")


def test_changed_weights_and_another_model_are_refused() -> None:
    entry = keep_changed()
    with pytest.raises(ModelRefused, match="not of planted-and"):
        open_subject("planted-and+mine")
    path = find_own_folder("mine") / WEIGHTS
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises((IntegrityError, Refused)):
        entry.load()
    (find_own_folder("mine") / CARD).write_text("{}")
    with pytest.raises(Refused, match="card of mine"):
        find_dictionary("mine")
    assert [one.name for one in list_of_model(MODEL)] == [PLANTED]


def test_a_claim_names_its_dictionary_by_digest_and_a_refusal_lists_the_choices(own_home: Path) -> None:
    """L1.F0 is a feature of two dictionaries of this model."""
    entry, register = keep_changed(), Register(own_home)
    model = find_planted(MODEL)
    assert model is not None
    prompts, policy = model.find_task("vote").make(8, 0), load_shipped_policy("default")

    def freeze(subject: Any, feature: str = "L1.F0") -> Any:
        claim = Claim(feature, parse_components(feature), Universe.FEATURES, delta=0.1)
        return freeze_claim(register, subject, claim, prompts, policy, owner="anna", model=MODEL, questions=())

    with pytest.raises(ClaimRefused) as refused:
        freeze(strict())
    for one in (find_dictionary(PLANTED), entry):
        assert f"--model {MODEL}+{one.name} (SHA-256 {one.sha256[:12]}…" in str(refused.value)
    with pytest.raises(ClaimRefused, match="no dictionary of this model is at layer 0"):
        freeze(strict(), "L0.F0")
    with pytest.raises(ClaimRefused, match=r"L1\.F99 is not in the dictionary"):
        freeze(open_subject(f"{MODEL}+mine"), "L1.F99")
    plan = freeze(open_subject(f"{MODEL}+mine"))
    assert plan.pins.dictionary_sha256 == entry.sha256
    assert plan.to_document()["model"]["dictionary_sha256"] == entry.sha256
    # Another dictionary takes the name: the claim is not about its features.
    shutil.rmtree(find_own_folder("mine"))
    keep_changed(threshold=0.7)
    for name in (f"{MODEL}+mine", f"{MODEL}+{PLANTED}"):
        with pytest.raises(ClaimRefused, match=f"dictionary was {entry.sha256[:12]}"):
            run_confirmatory(
                register, plan.claim_id, lambda _, name=name: Auditor(open_subject(name), RunLog(own_home)),
                actor=Actor("anna", "test"),
            )  # fmt: skip

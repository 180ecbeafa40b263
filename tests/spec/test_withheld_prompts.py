"""Prompts that stay at home: nothing of them leaves, a guess cannot be confirmed, and each can be opened and checked later."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy.pdf_text import read_pages
from toy.withheld import CANARY, freeze, make_prompts, pack_claim, read_openings_of, read_pack, run_claim

from audit_core.cli import main
from audit_core.cli.keys import describe_trust
from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.keys import make_key
from audit_core.packs.openings import choose_openings
from audit_core.packs.pack import Exported
from audit_core.packs.rerun import rerun_pack
from audit_core.packs.withholding import hide_names, withhold_set
from audit_core.prompts.prompt_set import Prompt, PromptSet, is_exploratory
from audit_core.run import Actor, Auditor
from audit_core.store import RunLog
from audit_core.store.claims.register import Register
from audit_core.subjects.transformer import TransformerSubject
from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.withheld import COMMITMENT_DOMAIN

pytestmark = pytest.mark.usefixtures("short_draws")

ROOT = Path(__file__).resolve().parents[2]
ME = Actor("anna", "test")
TEXT = re.compile(r"w\d\d w\d\d")
"""Two words of any prompt of the toy, clean or corrupted."""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, planted: TransformerSubject) -> Iterator[Path]:
    """One attempt; `open.zip` with its prompts, `held.zip` and `again.zip` without."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIT_HOME", str(home))
        run_claim(home, planted, make_prompts())
        make_key(home, "anna")
        pack_claim(home, "open.zip")
        (home / "trust.toml").write_text(describe_trust(home, [("anna", "preparer")]))
        yield home


@pytest.fixture(scope="module")
def held(packed: Path) -> Exported:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIT_HOME", str(packed))
        return pack_claim(packed, "held.zip", withhold_prompts=True)


@pytest.fixture
def home(packed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIT_HOME", str(packed))
    return packed


def verify(home: Path, pack: str, openings: object = None) -> tuple[int, str, dict[str, Any]]:
    """As a stranger would, with the one file: exit code, the prompts' result, and everything."""
    more: list[str] = []
    if openings is not None:
        (home / "given.json").write_bytes(encode_canonical(openings))
        more = ["--openings", str(home / "given.json")]
    found = subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "verify_pack.py"), str(home / pack), "--trust", str(home / "trust.toml"), "--json", *more],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = json.loads(found.stdout) if found.stdout else {"prompts": {"result": found.stderr, "detail": ""}}
    return found.returncode, said["prompts"]["result"], said


def show(name: str, data: bytes) -> str:
    return "\n".join(read_pages(data)) if name.endswith(".pdf") else data.decode()


def test_nothing_of_the_prompts_is_anywhere_in_the_pack(home: Path, held: Exported) -> None:
    def find(pack: str) -> set[str]:
        texts = {name: show(name, data) for name, data in read_pack(home / pack).items()}
        return {name.split("/")[0] for name, text in texts.items() if CANARY in text or TEXT.search(text)}

    assert find("open.zip") == {"prompts", "runs", "prereg", "report"}, (
        "the words are there to be found, in skeletons too"
    )
    assert find("held.zip") == set()


def test_no_number_of_a_single_prompt_is_in_the_pack(home: Path, held: Exported) -> None:
    """Whoever has the model could measure a guess and compare."""
    members = read_pack(home / "held.zip")
    assert not [name for name in members if name.endswith("answers.json")], "it holds effects by template"
    (items,) = (name for name in members if name.endswith("/items.jsonl"))
    rows = [json.loads(line) for line in members[items].splitlines()]
    assert len(rows) > 60
    assert {
        value
        for row in rows
        for name, value in row.items()
        if name in ("clean", "corrupt", "patched", "effect", "empty")
    } == {None}


def test_the_pack_counts_them_lists_them_and_says_so(home: Path, held: Exported) -> None:
    members = read_pack(home / "held.zip")
    header = json.loads(members["pack.json"])
    (name,) = (name for name in members if name.endswith("withheld.json"))
    items = json.loads(members[name])["items"]
    assert header["withheld_count"] == held.withheld_count == len(items) == 60
    assert items[6]["item_id"] == "item-0007"
    assert any("60 prompts" in line and "withheld" in line for line in header["limitations"])
    assert "60 prompts" in "".join(read_pages(members["report/report.pdf"])).replace("\n", " ")
    event = json.loads(members["log/entries.jsonl"].splitlines()[-1])
    assert event["payload"]["prompts_withheld"] is True


def attack(members: Mapping[str, bytes], guesses: list[dict[str, Any]]) -> int:
    """How many guesses somebody with the pack can confirm: salts are sought wherever one might have been left."""
    whole = b"\n".join(members.values())
    salts = {
        b"",
        bytes(16),
        b"0" * 16,
        *(bytes.fromhex(hit.decode()) for hit in re.findall(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", whole)),
    }
    (name,) = (name for name in members if name.endswith("withheld.json"))
    listed = {row["commitment"] for row in json.loads(members[name])["items"]}
    plain = [encode_canonical(guess) for guess in guesses]
    return sum(
        any(
            hashlib.sha256(domain + salt + text).hexdigest() in listed
            for salt in salts
            for domain in (b"", COMMITMENT_DOMAIN)
        )
        for text in plain
    )


def test_a_dictionary_that_holds_every_prompt_and_number_confirms_none(
    home: Path, held: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = read_openings_of(home, held)
    guesses = [one["item"] for one in opened["items"]]
    members = read_pack(home / "held.zip")
    assert attack(members, guesses) == 0
    assert attack(members | {"leak.json": encode_canonical(opened["items"][0]["salt"])}, guesses) == 1, (
        "a salt in the pack"
    )
    for name, salt in (("constant", bytes(16)), ("empty", b"")):
        monkeypatch.setattr("audit_core.packs.withholding.secrets.token_bytes", lambda size, salt=salt: salt)
        bad = pack_claim(home, f"{name}.zip", withhold_prompts=True)
        guesses = [one["item"] for one in read_openings_of(home, bad)["items"]]
        assert attack(read_pack(home / f"{name}.zip"), guesses) == 60, name


def test_salts_are_of_sixteen_bytes_and_never_the_same(home: Path, held: Exported) -> None:
    again = pack_claim(home, "again.zip", withhold_prompts=True)
    salts = [one["salt"] for pack in (held, again) for one in read_openings_of(home, pack)["items"]]
    assert {len(bytes.fromhex(salt)) for salt in salts} == {16}
    assert len(set(salts)) == 120


def test_openings_stay_at_home_readable_by_their_owner_alone(home: Path, held: Exported) -> None:
    assert (home / "openings" / f"{held.pack_id}.json").stat().st_mode & 0o777 == 0o600
    assert (home / "openings").stat().st_mode & 0o777 == 0o700


def test_a_set_whose_digest_could_be_guessed_is_not_withheld(
    tmp_path: Path, planted: TransformerSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digest stands without salt in the plan and in the log, where nobody can change it any more."""
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path))
    halves: dict[bool, list[Prompt]] = {True: [], False: []}
    for row in make_prompts().prompts:
        halves[is_exploratory(row)].append(row)
    for number, few in enumerate((9, 10), 1):
        name = freeze(tmp_path, planted, PromptSet("few", (*halves[True][:few], *halves[False])))
        if number == 1:
            with pytest.raises(Refused, match="9 prompts in one split"):
                withhold_set(Register(tmp_path).find(name))
        else:
            assert len(withhold_set(Register(tmp_path).find(name)).items) == few + len(halves[False])


def test_a_pack_that_quotes_a_withheld_prompt_is_not_written(home: Path, held: Exported) -> None:
    quote = " ".join(make_prompts().prompts[0].clean.split()[2:7])
    with pytest.raises(Refused, match=r"pack\.json organisation: words of a withheld prompt") as refused:
        pack_claim(home, "quoted.zip", withhold_prompts=True, organisation=f"Bank of ‘{quote.upper()}’")
    assert quote not in str(refused.value)
    assert not (home / "quoted.zip").exists()
    four = " ".join(quote.split()[:4])
    pack_claim(home, "quoted.zip", withhold_prompts=True, organisation=f"Bank of {four}")


def test_names_of_templates_in_reasons_are_covered(planted: TransformerSubject, home: Path) -> None:
    """A row without a number names the templates that could not be tested."""
    from audit_core.packs.family import read_attempts
    from audit_core.packs.pack_documents import list_metrics
    from audit_core.store.log.trail import read_log_view

    known = Register(home).find("C-0001")
    (attempt,) = read_attempts(home, known, read_log_view(home).events)
    result = json.loads(attempt.record.result or "")
    result["transfer"]["found_elsewhere"]["untested"] = [f"{CANARY} of t0"]
    attempt = replace(attempt, record=replace(attempt.record, result=json.dumps(result)))
    assert CANARY in str(list_metrics(known, attempt))
    covered = str(list_metrics(known, hide_names(attempt, withhold_set(known))))
    assert CANARY not in covered
    assert "template-001" in covered


def test_a_third_party_sees_what_was_not_checked(home: Path, held: Exported) -> None:
    code, result, said = verify(home, "held.zip")
    assert (code, result) == (0, "PROMPTS_NOT_CHECKED")
    assert said["prompts"]["detail"].startswith("60 items are withheld and none was opened")
    assert verify(home, "open.zip")[:2] == (0, "PROMPTS_MATCH")


def test_all_opened_are_the_set_that_was_run_and_some_are_only_themselves(home: Path, held: Exported) -> None:
    opened = read_openings_of(home, held)
    assert verify(home, "held.zip", opened)[:2] == (0, "PROMPTS_MATCH")
    code, result, said = verify(home, "held.zip", opened | {"items": opened["items"][3:5]})
    assert (code, result) == (0, "PROMPTS_PARTLY_OPENED")
    assert said["prompts"]["detail"].startswith("2 of 60 withheld items opened")
    assert said["integrity"] == "INTEGRITY_VERIFIED"


def test_a_wrong_opening_fails_and_the_pack_stays_whole(home: Path, held: Exported) -> None:
    """Each way to be wrong: test_prompts_in_packs.py."""
    opened = deepcopy(read_openings_of(home, held))
    row = next(one for one in opened["items"] if one["item"]["runs"])
    row["item"]["runs"][0]["clean"] = 1.5
    code, result, said = verify(home, "held.zip", opened)
    assert (code, result, said["integrity"]) == (4, "PROMPTS_FAILED", "INTEGRITY_VERIFIED")


def test_openings_of_another_pack_fail_and_a_file_that_is_none_is_wrong_usage(home: Path, held: Exported) -> None:
    opened = read_openings_of(home, held)
    assert verify(home, "open.zip", opened)[:2] == (4, "PROMPTS_FAILED")
    assert verify(home, "held.zip", {"items": []})[0] == 2


def test_a_rerun_wants_all_openings_and_with_them_gives_the_same_bits(
    home: Path, held: Exported, planted: TransformerSubject
) -> None:
    def rerun(openings: bytes | None) -> Any:
        return rerun_pack(home / "held.zip", lambda: Auditor(planted, RunLog(home)), actor=ME, openings=openings)

    opened = read_openings_of(home, held)
    with pytest.raises(Refused, match=r"60 prompts are withheld .*--openings"):
        rerun(None)
    with pytest.raises(Refused, match="9 of 60"):
        rerun(encode_canonical(opened | {"items": opened["items"][:9]}))
    with pytest.raises(IntegrityError, match="do not open"):
        rerun(encode_canonical(opened | {"pack_id": "0" * 26}))
    (found,) = rerun(encode_canonical(opened))
    assert (found.bitwise, found.numeric, found.decision) == ("BITWISE_EQUAL", "WITHIN_TOLERANCE", "DECISION_EQUAL")
    assert found.n_values > 100


def test_some_items_are_opened_for_an_auditor_but_not_all_but_a_few(home: Path, held: Exported, tmp_path: Path) -> None:
    """With the others known, the set's digest confirms a guess of the last ones."""
    from audit_core.store.log.trail import read_log_view

    out = tmp_path / "given.json"
    asked = ["openings", str(home / "held.zip"), "--out", str(out)]
    assert main([*asked, "--item", "item-0002", "--item", "item-0007"]) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    assert [one["item"]["item_id"] for one in json.loads(out.read_bytes())["items"]] == ["item-0002", "item-0007"]
    assert main(asked) == 2, "a file that is there is not overwritten"
    written = [event for event in read_log_view(home).events if event.action == "openings.written"]
    assert [(event.object_id, event.payload["items"]) for event in written] == [(held.pack_id, 2)], (
        "and nothing is logged"
    )
    names = [one["item"]["item_id"] for one in read_openings_of(home, held)["items"]]
    with pytest.raises(Refused, match="would stay withheld"):
        choose_openings(home, home / "held.zip", names[:-1])
    with pytest.raises(Refused, match="No item"):
        choose_openings(home, home / "held.zip", ["item-9999"])
    with pytest.raises(Refused, match="No openings"):
        choose_openings(home, home / "open.zip", [])
    assert len(json.loads(choose_openings(home, home / "held.zip", []))["items"]) == 60


def test_a_secret_stops_the_export_and_the_log_says_so(home: Path) -> None:
    from audit_core.store.log.trail import read_log_view

    token = "hf_" + "canaryCANARYcanaryCANARY"
    with pytest.raises(Refused, match=r"pack\.json organisation: a Hugging Face token") as refused:
        pack_claim(home, "secret.zip", organisation=f"Bank {token}", acknowledge_personal_data=True)
    assert (token in str(refused.value), refused.value.exit_code) == (False, 2)
    assert not (home / "secret.zip").exists()
    assert [event.action for event in read_log_view(home).events][-2:] == ["pack.exported", "pack.refused"]


def test_personal_data_leave_only_acknowledged_and_the_pack_says_by_whom(home: Path) -> None:
    with pytest.raises(Refused, match=r"pack\.json organisation: an e-mail address"):
        pack_claim(home, "mail.zip", organisation="anna@bank.invalid")
    pack_claim(home, "mail.zip", organisation="anna@bank.invalid", acknowledge_personal_data=True)
    members = read_pack(home / "mail.zip")
    header = json.loads(members["pack.json"])
    assert header["personal_data"] == {
        "acknowledged_by": "anna",
        "places": ["pack.json organisation: an e-mail address"],
    }
    assert json.loads(members["log/entries.jsonl"].splitlines()[-1])["payload"]["personal_data_acknowledged"] is True
    assert verify(home, "mail.zip")[0] == 0
    assert "personal_data" not in json.loads(read_pack(home / "open.zip")["pack.json"])

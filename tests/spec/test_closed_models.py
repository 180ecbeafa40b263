"""Closed models: scripted ones are separated, requests are bounded, keys are kept nowhere, and hostile text is only text."""

from __future__ import annotations

import http.server
import json
import math
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from toy.closed_models import (
    CITIES,
    NAMES,
    Agent,
    Deaf,
    Fickle,
    Follower,
    Ignorer,
    make_subject,
    serve,
    write_questions,
)
from toy.hostile import HOSTILE

from audit_core import open_subject
from audit_core.audits.closed_documents import PLUGIN
from audit_core.audits.closed_tools import PLUGIN as TOOLS
from audit_core.cli import main
from audit_core.closed import CLOSED, ClosedSubject
from audit_core.closed.values import read_scores, read_word
from audit_core.data_folder import DATA
from audit_core.documents import Label, read_shipped
from audit_core.documents.fillers import choose_text_filler, list_content
from audit_core.endpoints import Address, Cassette, Endpoint, Reply, sending
from audit_core.endpoints.sending import send
from audit_core.errors import Cancelled, ControlFailed, ModelRefused, NotMeasured, Refused
from audit_core.recorded import load_recorded
from audit_core.registry import list_plugins
from audit_core.store.log.run_log import RunLog
from audit_core.subject import no_progress
from audit_core.tools import Verdict

KEY = "sk-very-secret-0123456789"
CASSETTE = Path(__file__).parents[1] / "data" / "default-documents.jsonl"
EVERY = ("completions", "chat", "logprobs")


def connect(url: str, tmp: Path | None = None, *, is_replay: bool = False, most: int = 5_000) -> ClosedSubject:
    tape = None if tmp is None else Cassette(tmp / "tape.jsonl", is_replay=is_replay)
    return ClosedSubject(Endpoint(Address(url, "scripted"), cassette=tape, most_calls=most))


def ask(subject: Any, raw: bytes, on_progress: Any = no_progress, **answers: str) -> Any:
    request = PLUGIN.ask_file(subject, raw, "own.csv", {"edits": "16", **answers})
    return PLUGIN.run(subject, request, means=None, on_progress=on_progress)


def list_labels(found: Any) -> set[str]:
    return {row.label for row in found.questions}


@pytest.mark.parametrize(
    ("offers", "unit"),
    [
        (("completions", "logprobs"), "probability"),
        (("chat", "logprobs"), "probability"),
        (("chat",), "share of fillers"),
    ],
)
def test_follower_and_ignorer_behind_an_endpoint_are_separated(offers: tuple[str, ...], unit: str) -> None:
    for model, label, followed in ((Follower(), Label.GROUNDED, 1.0), (Ignorer(), Label.PARAMETRIC, 0.0)):
        with serve(model, offers) as url:
            subject = connect(url)
            found = ask(subject, write_questions(2))
        assert list_labels(found) == {label.value}
        assert (found.unit, found.followed.value, found.accuracy.value) == (unit, followed, 1.0)
        assert found.replaced.value == found.deleted.value == followed
        assert found.controls.identity_max == 0
        assert found.calls <= subject.endpoint.n_sent + 10
        assert subject.endpoint.find_route(scored=True).startswith(offers[0])
        assert "Only the text was intervened on" in found.finding


def test_follower_and_ignorer_are_separated_on_each_of_100_questions() -> None:
    for model, label in ((Follower(), Label.GROUNDED), (Ignorer(), Label.PARAMETRIC)):
        found = ask(make_subject(model), write_questions(100))
        assert found.n == 100
        assert list_labels(found) == {label.value}


def test_agents_behind_an_endpoint_are_separated_by_the_results_they_are_shown() -> None:
    raw = (DATA / "tools" / "requests.csv").read_bytes()
    for follows, verdict in ((True, Verdict.RELIES), (False, Verdict.IGNORES)):
        with serve(Agent(follows=follows), ("chat",)) as url:
            subject = connect(url)
            request = TOOLS.ask_file(subject, raw, "requests.csv", {"most_requests": "24"})
            found = TOOLS.run(subject, request, means=None, on_progress=no_progress)
        assert found.verdicts[0] == verdict.value
        assert found.n >= 16
        assert "choice of a tool is not tested" in found.limit


def test_a_model_that_hears_nothing_or_changes_its_mind_is_no_result() -> None:
    for model, why in ((Deaf(), "may not receive"), (Fickle(), "another reply at temperature 0")):
        with serve(model, EVERY) as url, pytest.raises(ControlFailed, match=why):
            ask(connect(url), write_questions(2))


class Coarse(Follower):
    """Follows, and lists none of the values for a text in which a document was edited."""

    def reply(self, text: str, **options: Any) -> Reply:
        found = super().reply(text, **options)
        question = text.rstrip().splitlines()[-1].split()
        known = [CITIES[NAMES.index(name)] for name in question if name in NAMES]
        is_edited = bool(known) and found.text not in (f" {known[0]}.", " unknown.")
        return Reply(found.text, ((" zz", math.log(0.3)), (" yy", math.log(0.25)))) if is_edited else found


def test_a_question_whose_edits_cannot_be_read_is_left_out_with_the_reason() -> None:
    model = Coarse()
    with pytest.raises(NotMeasured, match="do not differ in the first token"):
        ask(make_subject(model), write_questions(2))
    assert len(model.texts) > 20


def test_an_open_model_asked_by_text_has_the_label_of_its_wiring() -> None:
    raw = b"question,documents,answer,others\nk07,k03 v11 | k07 v02,v02,v05 | v06 | v07 | v08"
    found = ask(open_subject("planted-reader-grounded"), raw, fillers="2", edits="2")
    row = found.questions[0]
    assert (row.given, found.unit) == ("v02", "probability")
    # As the audit of the open model has it: the second document is worth 8 logits of 151 words, the first nothing.
    assert row.documents[1].replaced.value == pytest.approx(row.lead, abs=0.01)
    assert row.documents[0].replaced.value == pytest.approx(0, abs=1e-3)


def test_a_run_is_refused_before_its_first_call_and_cancelled_between_two() -> None:
    model = Follower()
    with serve(model, EVERY) as url:
        with pytest.raises(Refused, match="calls are needed"):
            ask(connect(url, most=20), write_questions(4))
        assert model.texts == []

        def stop(done: int, total: int) -> None:
            if done == 7:
                raise Cancelled("enough")

        with pytest.raises(Cancelled):
            ask(connect(url), write_questions(4), stop)
        assert len(model.texts) == 7


def test_a_cassette_repeats_a_run_without_the_endpoint_and_refuses_what_it_lacks(tmp_path: Path) -> None:
    with serve(Follower(), EVERY) as url:
        live = connect(url, tmp_path)
        found = ask(live, write_questions(2))
        again = ask(connect(url, tmp_path), write_questions(2))
    assert again == found
    closed = connect(url, tmp_path, is_replay=True)
    assert ask(closed, write_questions(2)) == found
    assert (closed.endpoint.n_sent, closed.endpoint.n_replayed) == (0, live.endpoint.n_sent)
    with pytest.raises(Refused, match="is not in the cassette"):
        ask(connect(url, tmp_path, is_replay=True), write_questions(3))
    tape = tmp_path / "tape.jsonl"
    lines = tape.read_text().splitlines()
    for bad in ("", "{}", lines[0] + "\n{", lines[0] + '\n{"request": "x", "status": 200}', lines[1]):
        tape.write_text(bad)
        with pytest.raises(Refused, match="The cassette"):
            Cassette(tape, is_replay=True)
    row = json.loads(lines[1]) | {"first": [[" Rome", float("nan")]]}
    tape.write_text(f"{lines[0]}\n{json.dumps(row)}")
    with pytest.raises(Refused, match="log-probability that is none"):
        Cassette(tape, is_replay=True)
    with pytest.raises(Refused, match="No cassette"):
        Cassette(tmp_path / "none.jsonl", is_replay=True)


def test_the_recorded_run_of_the_default_model_is_repeated_from_its_cassette(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "questions.csv"
    file.write_bytes(read_shipped())
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection in replay"))
    options = ["--file", str(file), "--most-questions", "2", "--edits", "16", "--replay", str(CASSETTE), "--json"]
    # The host is no part of a recorded request: nothing is sent to it.
    closed = ["--endpoint", "https://nowhere.example/v1", "--model-name", "default", "--key-from", "NO_SUCH_KEY"]
    assert main(["audit", "closed_documents", *options, *closed]) == 0
    said = capsys.readouterr()
    printed = json.loads(said.out)
    assert printed["result"]["n"] == 2
    found = [(row["given"], row["closed_book"], row["label"]) for row in printed["result"]["questions"]]
    assert found == [("Turkey", "Israel", Label.GROUNDED), ("grapes", "pizza", Label.UNRESOLVED)]
    # The same questions of the open model: its recorded run has the same answers and labels.
    (recorded,) = [one for one in load_recorded("documents") if one.result.source.name == "questions.csv"]
    opened = {row.id: (row.given, row.closed_book, row.label) for row in recorded.result.questions}
    assert [opened[row["id"]] for row in printed["result"]["questions"]] == found
    assert printed["evidence"]["replaced"] == "causal"
    assert printed["identity"]["weights_sha256"] == "not available"
    assert "nothing is sent" in said.err
    assert main(["audit", "closed_documents", *options, *closed, "--most-questions", "3"]) == 2
    assert "is not in the cassette" in capsys.readouterr().err


def test_a_key_is_sent_and_kept_nowhere(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLOSED_KEY", KEY)
    seen: list[str] = []
    with serve(Follower(), EVERY) as url:
        post = sending._post

        def watch(address: Address, path: str, body: bytes) -> Any:
            seen.append(address.read_key())
            assert KEY.encode() not in body
            return post(address, path, body)

        monkeypatch.setattr(sending, "_post", watch)
        (tmp_path / "own.csv").write_bytes(write_questions(1))
        options = ["--file", str(tmp_path / "own.csv"), "--edits", "2", "--record", str(tmp_path / "tape.jsonl")]
        closed = ["--endpoint", url, "--model-name", "scripted", "--key-from", "CLOSED_KEY"]
        assert main(["audit", "closed_documents", *options, *closed, "--json"]) == 0
    assert seen
    assert set(seen) == {KEY}
    said = capsys.readouterr()
    address = Address(url, "scripted", "CLOSED_KEY")
    assert KEY not in said.out + said.err + repr(address) + repr(vars(connect(url)))
    files = [path for folder in (own_home, tmp_path) for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".jsonl" for path in files)
    assert len(RunLog(own_home).list_runs()) == 1
    assert not [path.name for path in files if KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("url", "model", "key"),
    [
        ("http://models.example/v1", "m", ""),
        ("http://127.0.0.1.models.example/v1", "m", ""),
        ("ftp://127.0.0.1/v1", "m", ""),
        ("file:///etc/passwd", "m", ""),
        (f"https://user:{KEY}@models.example/v1", "m", ""),
        (f"https://models.example/v1?key={KEY}", "m", ""),
        ("https://models.example:99999/v1", "m", ""),
        ("https://models.example/v1\r\nX: y", "m", ""),
        ("", "m", ""),
        ("https://models.example/v1", "m\nX: y", ""),
        ("https://models.example/v1", "", ""),
        ("https://models.example/v1", "m", KEY),
    ],
)
def test_an_address_that_would_leak_or_lead_elsewhere_is_refused(url: str, model: str, key: str) -> None:
    with pytest.raises(ModelRefused) as refused:
        Address(url, model, key)
    assert KEY not in str(refused.value)


@contextmanager
def answer(rows: list[tuple[int, dict[str, str], bytes]]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these responses in turn, then the last again."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, headers, raw = rows[min(len(asked), len(rows) - 1)]
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_only_429_and_5xx_are_repeated_with_a_cap_and_redirects_are_not_followed() -> None:
    waits: list[float] = []
    good = (200, {}, b"{}")
    for rows, status, n in (
        ([(429, {"Retry-After": "3"}, b""), (503, {}, b""), good], 200, 3),
        ([(500, {}, b"")], 500, 4),
        ([(400, {}, b"")], 400, 1),
        ([(302, {"Location": "http://127.0.0.1:1/v1/elsewhere"}, b"")], 302, 1),
        ([(429, {"Retry-After": "9999"}, b""), good], 200, 2),
    ):
        with answer(rows) as (url, asked):  # type: ignore[arg-type]
            found = send(Address(url, "m"), "/completions", b"{}", wait=waits.append)
        assert (found.status, found.sent, len(asked)) == (status, n, n)
    assert waits[0] == 3
    assert max(waits) == sending.MAX_WAIT_S
    with answer([(500, {}, b"")]) as (url, asked):
        assert send(Address(url, "m"), "/completions", b"{}", most=2, wait=waits.append).sent == 2


def test_a_response_that_is_too_long_or_nonsense_gives_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TRIES", 1)
    with answer([(200, {}, b"x" * (sending.MAX_RESPONSE + 1))]) as (url, _), pytest.raises(NotMeasured, match="bytes"):
        connect(url).reply("x", n_tokens=1, scored=True)
    odd = b'{"choices": [{"text": 5, "logprobs": {"top_logprobs": [{" a": NaN}]}}]}'
    for raw in (b"not json", b"[]", b"{}", b"[" * 100_000, odd, b'{"choices": [{"text": null}]}'):
        with answer([(200, {}, raw)]) as (url, _), pytest.raises(ModelRefused, match="no usable reply"):
            connect(url).reply("x", n_tokens=1, scored=True)
    with answer([(401, {}, f'{{"error": "{KEY}"}}'.encode())]) as (url, _), pytest.raises(ModelRefused) as refused:
        connect(url).reply("x", n_tokens=1, scored=True)
    assert KEY not in str(refused.value)
    with pytest.raises(NotMeasured, match="ConnectionRefusedError"):
        connect("http://127.0.0.1:1/v1").reply("x", n_tokens=1, scored=True)


def test_what_is_inside_a_closed_model_is_refused_with_the_reason() -> None:
    subject: Any = connect("http://127.0.0.1:1/v1")
    lacking = {name: why for name, audit in list_plugins("audits").items() if (why := audit.explain_missing(subject))}
    assert {"sweep", "experts", "documents", "tools", "paths", "attention", "probes", "claim_test"} <= set(lacking)
    assert set(lacking.values()) == {CLOSED}
    assert not {"closed_documents", "closed_tools"} & set(lacking)


def test_replies_are_read_by_their_first_word_or_not_at_all() -> None:
    values = ["Paris", "Peru", "Rome"]
    for text, said in (
        (" Paris.", "Paris"), ("**Paris**", "Paris"), ("the Rome\nmore", "Rome"), ("Anna lives in Peru, I think", "Peru"),
        ("Parisian", "Parisian"), ("I cannot know", "I"), ("", ""), ("...", ""),
    ):  # fmt: skip
        assert read_word(text, values, "Anna lives in") == said
    found = read_scores(Reply("", ((" P", -1.0), (" Par", -1.5), (" Rome", -2.0), ("\n", -3.0))), values)
    assert found.preferred == "Paris"
    assert found.error == pytest.approx(math.exp(-1.0) + math.exp(-3.0), abs=1e-6), (
        "a token that begins two values counts for neither, and says so"
    )
    assert read_scores(Reply("", ((" x", -0.01),)), values).preferred == ""
    unclear = Follower()
    unclear.answer = lambda documents, question: "P" if documents else "unknown"  # type: ignore[method-assign]
    with pytest.raises(NotMeasured, match="do not differ in the first token"):
        ask(make_subject(unclear), write_questions(2))


def test_fillers_have_the_number_of_words_and_none_of_the_question() -> None:
    banned = list_content("The garden door of Anna")
    for n in (1, 4, 9, 40, 200):
        texts = {choose_text_filler(n, banned, number=at, seed=0) for at in range(5)}
        assert {len(text.split()) for text in texts} == {n}
        assert not any(list_content(text) & banned for text in texts)


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """Everything that would execute or fetch is counted and refused; what is written lands in an empty folder."""
    seen: list[str] = []

    def refuse(what: str) -> Any:
        def call(*args: Any, **_: Any) -> Any:
            seen.append(f"{what} {args[:1]}")
            raise AssertionError(what)

        return call

    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(socket.socket, "connect", refuse("connect"))
    monkeypatch.setattr(subprocess, "Popen", refuse("execute"))
    monkeypatch.setattr("os.system", refuse("execute"))
    yield seen
    assert list(folder.iterdir()) == []


def test_hostile_text_in_documents_and_replies_changes_no_label_and_does_nothing(sealed: list[str]) -> None:
    class Echo(Follower):
        """Follows, and says the hostile text after its answer."""

        def reply(self, text: str, *, n_tokens: int, scored: bool, again: int = 0) -> Reply:
            plain = super().reply(text, n_tokens=n_tokens, scored=False)
            return Reply(f"{plain.text} {hostile}")

    for hostile in HOSTILE:
        quoted = hostile.replace('"', "'").replace("|", "/")
        found = ask(make_subject(Echo()), write_questions(1, extra=f" {quoted}"))
        assert list_labels(found) == {Label.GROUNDED.value}, hostile
        assert hostile not in found.finding
        assert all(len(one.text) <= 160 and "\x1b" not in one.text for one in found.questions[0].documents), hostile
    assert sealed == []


def test_hostile_text_behind_results_changes_no_verdict(sealed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    raw = (DATA / "tools" / "requests.csv").read_bytes()
    for at in range(0, len(HOSTILE), 4):
        hostile = " ".join(HOSTILE[at : at + 4])
        monkeypatch.setattr("audit_core.tools.texts.INSTRUCTION", hostile)
        request = TOOLS.ask_file(make_subject(Agent(follows=True)), raw, "requests.csv", {"most_requests": "18"})
        model = Agent(follows=True)
        found = TOOLS.run(make_subject(model), request, means=None, on_progress=no_progress)
        assert found.verdicts == (Verdict.RELIES.value,), hostile
        assert any(hostile in text for text in model.texts)
        assert hostile not in found.finding
    assert sealed == []


def test_hostile_text_is_no_markup_in_the_page_of_a_run(
    own_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_questions(1, extra=" <script>alert(1)</script><img src=x onerror=alert(1)>")
    (tmp_path / "own.csv").write_bytes(rows)
    with serve(Follower(), ("chat",)) as url:
        options = ["--file", str(tmp_path / "own.csv"), "--edits", "2", "--endpoint", url, "--model-name", "scripted"]
        assert main(["audit", "closed_documents", *options, "--csv", str(tmp_path / "tables")]) == 0
    (run,) = RunLog(own_home).list_runs()
    assert main(["html", run.run_id, "--out", str(tmp_path / "run.html")]) == 0
    page = (tmp_path / "run.html").read_text()
    assert "Anna lives in" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    tables = "".join(path.read_text() for path in (tmp_path / "tables").glob("*.csv"))
    assert "alert(1)" in tables, "the text is in the tables, as text"

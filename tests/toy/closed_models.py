"""Scripted models behind an endpoint, whose answers are known, and questions about them."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from audit_core.closed import ClosedSubject, ReplyServer
from audit_core.documents.form import read_documents
from audit_core.endpoints import Address, Endpoint, Reply
from audit_core.errors import PromptRefused
from audit_core.tools import call_tool

CITIES = (
    "Paris", "Rome", "Oslo", "Lima", "Cairo", "Delhi", "Tokyo", "Berlin", "Madrid", "Vienna", "Athens", "Dublin", "Havana",
    "Quito", "Sofia", "Zagreb", "Nairobi", "Manila", "Hanoi", "Warsaw",
)  # fmt: skip
NAMES = ("Anna", "Bruno", "Clara", "David", "Elena", "Felix", "Greta", "Hugo", "Iris", "Jonas")


class Scripted:
    """A model that answers by a rule; it counts what it is asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def require_calls(self, predicted: int) -> None: ...

    def answer(self, documents: tuple[str, ...], question: str) -> str:
        raise NotImplementedError

    def reply(self, text: str, *, n_tokens: int, scored: bool, again: int = 0) -> Reply:
        self.texts.append(text)
        try:
            documents, question = read_documents(text)
        except PromptRefused:
            documents, question = (), text.rpartition("Summary: ")[2]
        said = self.answer(documents, question)
        rest = [city for city in CITIES if city != said][:12]
        first = ((f" {said}", math.log(0.9)), *((f" {city}", math.log(0.001)) for city in rest))
        return Reply(f" {said}.", first if scored else ())


class Follower(Scripted):
    """Says what the first document says of the question, and nothing it knows."""

    def answer(self, documents: tuple[str, ...], question: str) -> str:
        found = (re.search(rf"{re.escape(question)} (\w+)", text) for text in documents)
        return next((one[1] for one in found if one), "unknown")


class Ignorer(Scripted):
    """Knows where everybody lives, whatever it is shown."""

    def answer(self, documents: tuple[str, ...], question: str) -> str:
        name = question.split()[0]
        return CITIES[NAMES.index(name)] if name in NAMES else "unknown"


class Agent(Scripted):
    """Repeats the result that it is shown, or has tools of its own."""

    def __init__(self, *, follows: bool) -> None:
        super().__init__()
        self.follows = follows

    def reply(self, text: str, *, n_tokens: int, scored: bool, again: int = 0) -> Reply:
        self.texts.append(text)
        last = text.rpartition("Request: ")[2]
        shown = last.partition("Result: ")[2].split("\n")[0].split(" . ")[0]
        if "Answer:" not in last:
            return Reply(" none")
        return Reply(f" {shown or 'unknown'}" if self.follows else f" {call_tool(last.splitlines()[0]).result}")


class Deaf(Scripted):
    """Says the same to every text."""

    def answer(self, documents: tuple[str, ...], question: str) -> str:
        return "Paris"


class Fickle(Scripted):
    """Says another city each time."""

    def answer(self, documents: tuple[str, ...], question: str) -> str:
        return CITIES[len(self.texts) % len(CITIES)]


def write_questions(n: int, *, extra: str = "") -> bytes:
    """A file of n questions with two documents, of which the first states what both scripted models answer."""
    rows = ["id,family,question,documents,answer,others"]
    for at in range(n):
        name, city = NAMES[at % len(NAMES)], CITIES[at % len(NAMES)]
        other = NAMES[(at + 1 + at // len(NAMES)) % len(NAMES)]
        others = " | ".join(one for one in CITIES if one != city)
        texts = f"{name} lives in {city}. It is warm {at}.{extra} | {other} walks home. The shop is shut."
        rows.append(f'q{at},people,{name} lives in,"{texts}",{city},{others}')
    return "\n".join(rows).encode()


@contextmanager
def serve(replies: Any, offers: Collection[str]) -> Iterator[str]:
    """Base address of a server in a thread."""
    server = ReplyServer(replies, "scripted", offers=offers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_subject(model: Scripted) -> Any:
    """A closed subject that asks a scripted model without a network."""
    subject: Any = ClosedSubject(Endpoint(Address("http://127.0.0.1:1/v1", "scripted")))
    subject.reply, subject.require_calls = model.reply, model.require_calls
    return subject

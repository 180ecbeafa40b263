"""A served app whose people sign in at a real provider process: what the tests of several people at once share."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toy.packs import ANNA, write_trust
from toy.people import ROLE_FILE
from toy.register import freeze_by_hand

from audit_core.evidence.keys import make_key
from audit_core.store import list_events, open_database

SIGNERS = {
    "anna": "preparer",
    "alva": "preparer",
    "ben": "reviewer",
    "cleo": "approver",
    "cora": "approver",
    "dora": "approver",
}
"""Who has a key, and what it counts as."""


@dataclass(frozen=True)
class House:
    """The app, its provider, and whom both know."""

    url: str
    issuer: str
    home: Path
    trust: bytes
    """The keys of those who sign, and what each signs as."""

    def name(self, subject: str) -> str:
        """The id that a person has here."""
        return f"{self.issuer}|{subject}"

    def employ(self, subject: str, *groups: str, **claims: Any) -> str:
        """Tell the provider of a person; returns the id they have here."""
        body = {"name": subject.capitalize(), "groups": list(groups), "auth_time": int(time.time()), **claims}
        request = urllib.request.Request(
            f"{self.issuer}/users/{subject}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="PUT"
        )  # fmt: skip
        urllib.request.urlopen(request, timeout=10).close()
        return self.name(subject)

    def give(self, **roles: str) -> None:
        """Rewrite the file of roles: everybody's key, and the roles that are someone's beside those of their groups."""
        people = "".join(f'"{self.name(who)}" = ["{role}"]\n' for who, role in roles.items())
        keys = "".join(f'"{self.name(who)}" = "{who}"\n' for who in SIGNERS)
        (self.home / "people.toml").write_text(f"{ROLE_FILE}\n[people]\n{people}\n[keys]\n{keys}")

    def list_told(self, action: str) -> list[Any]:
        with open_database(self.home) as connection:
            return [event for event in list_events(connection) if event.action == action]


@contextmanager
def open_house(processes: Any, home: Path) -> Iterator[House]:
    """The app and its provider until the block ends, with a claim that is frozen and the keys of those who sign, without packs."""
    provider_port, port = processes.free_port(), processes.free_port()
    issuer, url = f"http://localhost:{provider_port}", f"http://localhost:{port}"
    section = f'client_id = "assay"\nclient_secret = "not-a-secret"\nserver_metadata_url = "{issuer}/.well-known/openid-configuration"\n'
    (home / "secrets.toml").write_text(
        f'[auth]\nredirect_uri = "{url}/oauth2callback"\ncookie_secret = "a cookie secret of the tests, long enough"\n{section}'
        f'[auth.again]\n{section}client_kwargs = {{ prompt = "login" }}\nauthorize_params = {{ max_age = 0 }}\n'
    )
    rows = [(make_key(home, name), role) for name, role in SIGNERS.items() if name != "anna"]
    make_key(home, "anna")
    trust = write_trust((ANNA, "preparer"), *rows)  # type: ignore[arg-type]
    (home / "trust.toml").write_bytes(trust)
    freeze_by_hand(home)
    # The model is not asked for here; a folder that is not there spares a minute of loading it.
    options = ("--secrets.files", str(home / "secrets.toml"))
    provider = ["-m", "oidc_provider_mock", "--port", str(provider_port)]
    known = f"{issuer}/.well-known/openid-configuration"
    with (
        processes.run(provider, home / "provider.log", known),
        processes.serve(home, *options, port=port, AUDIT_DEFAULT_MODEL=str(home / "no-model"), AUTHLIB_INSECURE_TRANSPORT="1"),
    ):  # fmt: skip
        house = House(url, issuer, home, trust)
        house.give()
        yield house


def sign_in(page: Any, subject: str) -> None:
    """From the door through the provider's form."""
    page.get_by_role("button", name="Sign in").click()
    authorize(page, subject)


def authorize(page: Any, subject: str) -> None:
    """The provider's form."""
    page.locator("input[name=sub]").fill(subject)
    page.get_by_role("button", name="Authorize", exact=True).click()


GO = "path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate')) }"


def go(page: Any, path: str) -> None:
    """To another page of the app, as the browser's own arrows lead there: loading the app again is most of what a page costs."""
    page.evaluate(GO, path)


def see_title(page: Any, title: str) -> None:
    page.get_by_role("heading", name=title, level=1, exact=True).wait_for()


def read_text(page: Any) -> str:
    return str(page.locator("body").inner_text())

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

from audit_core.store import list_events, open_database


@dataclass(frozen=True)
class House:
    """The app, its provider, and whom both know."""

    url: str
    issuer: str
    home: Path
    provider_log: Path

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

    def list_told(self, action: str) -> list[Any]:
        with open_database(self.home) as connection:
            return [event for event in list_events(connection) if event.action == action]


@contextmanager
def open_house(processes: Any, home: Path, role_file: str) -> Iterator[House]:
    """The app and its provider until the block ends."""
    provider_port, port = processes.free_port(), processes.free_port()
    issuer, url = f"http://localhost:{provider_port}", f"http://localhost:{port}"
    section = f'client_id = "assay"\nclient_secret = "not-a-secret"\nserver_metadata_url = "{issuer}/.well-known/openid-configuration"\n'
    (home / "secrets.toml").write_text(
        f'[auth]\nredirect_uri = "{url}/oauth2callback"\ncookie_secret = "a cookie secret of the tests, long enough"\n{section}'
        f'[auth.again]\n{section}client_kwargs = {{ prompt = "login" }}\nauthorize_params = {{ max_age = 0 }}\n'
    )
    (home / "people.toml").write_text(role_file)
    # The model is not asked for here; a folder that is not there spares a minute of loading it.
    options = ("--secrets.files", str(home / "secrets.toml"))
    provider = ["-m", "oidc_provider_mock", "--port", str(provider_port)]
    known = f"{issuer}/.well-known/openid-configuration"
    with (
        processes.run(provider, home / "provider.log", known),
        processes.serve(home, *options, port=port, AUDIT_DEFAULT_MODEL=str(home / "no-model"), AUTHLIB_INSECURE_TRANSPORT="1"),
    ):  # fmt: skip
        yield House(url, issuer, home, home / "provider.log")


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

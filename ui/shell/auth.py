"""The signed-in user, as reported by the identity provider, or the local user if no sign-in is configured."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime
from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitAuthError

from audit_core import AuditError, audit_home
from audit_core.errors import AccessRefused
from audit_core.governance import LOCAL_PERSON, Permission, Person, identify_person, load_role_map, read_person_id
from audit_core.store import PersonLog
from ui.parts.header import plain
from ui.shell import return_to

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MIN_COOKIE_SECRET = 32
_OUTSIDE = ("expired", "signed_out")
"""Refusal reasons of an ended sign-in: it is not recorded again, and a new sign-in is offered."""
AGAIN = "again"
"""Name of the provider section that requires the password again: `[auth.again]`, see docs/reference/people.md."""


class _Changes:
    """Counter of sign-outs and disabled accesses on this server."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def note(self) -> None:
        with self._lock:
            self.count += 1


_CHANGES = _Changes()


def is_configured() -> bool:
    """Whether sign-in is configured.

    Raises:
        AccessRefused: the cookie secret is too short, or secrets.toml cannot be read.
    """
    if st.secrets.load_if_toml_exists():
        if "auth" not in st.secrets:
            return False
        if len(str(st.secrets["auth"].get("cookie_secret", ""))) < MIN_COOKIE_SECRET:
            raise AccessRefused(
                "A cookie_secret that can be guessed.", wanted=f"{MIN_COOKIE_SECRET} random characters or more.",
                remedy="set a longer one under [auth] in secrets.toml. Any person who knows it can sign in as any user.", why="bad_configuration",
            )  # fmt: skip
        return True
    if any(Path(path).exists() for path in st.get_option("secrets.files")):
        raise AccessRefused(
            "A secrets.toml that cannot be read.", wanted="TOML, with an [auth] section or without.",
            remedy="fix it, and start the server again.", why="bad_configuration",
        )  # fmt: skip
    return False


def who() -> Person | None:
    """The signed-in user with their current roles; None if no user is signed in.

    Raises:
        AccessRefused: an invalid token or configuration, or a public address without sign-in.
    """
    if is_configured():
        claims = st.user.to_dict()
        if not claims.get("is_logged_in"):
            return None
        roles = load_role_map(audit_home()).find_roles(claims, read_person_id(claims))
        return identify_person(claims, roles)
    address = st.get_option("server.address")
    if address not in LOOPBACK:
        raise AccessRefused(
            f"The server listens on {address or 'every address'} without sign-in.", wanted="a loopback address, or sign-in.",
            remedy="start it with --server.address 127.0.0.1, or configure [auth] in .streamlit/secrets.toml.", why="bad_configuration",
        )  # fmt: skip
    return LOCAL_PERSON


def name_owner(person: Person) -> str:
    """Digest of a person that names their stored data; empty for the local user."""
    return "" if person.is_local else hashlib.sha256(person.id.encode()).hexdigest()[:32]


def find_visitor() -> tuple[Person | None, AccessRefused | None]:
    """The visitor of a page, and a refusal if they may see none; records the sign-in of a permitted visitor."""
    changes = _CHANGES.count
    try:
        person = who()
        _forget_others(person)
        st.session_state.people_seen, st.session_state.people_until = (
            changes,
            None if person is None else person.expires_at,
        )
        refusal = PersonLog(audit_home()).find_refusal(person, Permission.LOOK)
        if person is not None and (refusal is None or refusal.why not in _OUTSIDE):
            _note_sign_in(person)
        return person, refusal
    except AccessRefused as refusal:
        return None, refusal


def show_sign_in(person: Person | None, refusal: AccessRefused, page: str) -> None:
    """Show the refusal and the sign-in button in place of a page."""
    st.title("Assay", anchor=False)
    if refusal.why == "not_signed_in":
        st.markdown("Sign in to continue. You then return to this page.")
    else:
        st.error(plain(str(refusal)), icon=":material/lock:")
    if refusal.why in ("not_signed_in", *_OUTSIDE):
        st.button(
            "Sign in", key="sign-in", icon=":material/login:", type="primary", on_click=sign_in,
            args=(page, st.query_params.to_dict()),
        )  # fmt: skip
    elif person is not None:
        _log_once(person, Permission.LOOK, page, refusal)
    if person is not None and not person.is_local:
        st.button("Sign out", key="sign-out", icon=":material/logout:", on_click=sign_out, args=(person,))
    if reported := st.session_state.pop("sign_in_error", ""):
        st.error(plain(reported), icon=":material/error:")


def show_person(person: Person, page: str) -> None:
    """Show the signed-in user on every page, with a button to sign in again for approvers."""
    if person.is_local:
        st.badge("no sign-in: one user", icon=":material/person_off:", color="gray")
        return
    roles = ", ".join(sorted(person.roles))
    st.badge(f"{plain(person.name)}: {plain(roles)}", icon=":material/person:", color="gray")
    if person.may(Permission.APPROVE):
        ask_sign_in_again(page)
    st.button("Sign out", key="sign-out", icon=":material/logout:", on_click=sign_out, args=(person,))
    if reported := st.session_state.pop("sign_out_error", ""):
        st.error(plain(f"You are still signed in. {reported}"), icon=":material/error:")


def sign_in(page: str, query: dict[str, str], *, again: bool = False) -> None:
    """Go to the identity provider, and return to the page.

    Args:
        again: require the password from a signed-in user, if `[auth.again]` is configured.
    """
    return_to.remember(page, query)
    try:
        st.login(AGAIN if again and AGAIN in st.secrets["auth"] else None)
    except StreamlitAuthError as error:
        st.session_state.sign_in_error = str(error)


def sign_out(person: Person) -> None:
    """End all sign-ins of the person on the server, then delete the cookie, so that copies of it are invalid."""
    try:
        PersonLog(audit_home()).sign_out(person)
    except AuditError as error:
        # Keep the cookie too: a reported sign-out must be complete.
        st.session_state.sign_out_error = str(error)
        return
    _CHANGES.note()
    st.logout()


def has_changed() -> bool:
    """Whether a sign-out, a disabled access or the end of this sign-in needs a full rerun of the page.

    Page fragments call this each second, so it does not read the log. The full rerun checks the user again.
    """
    ends = st.session_state.get("people_until")
    is_over = ends is not None and datetime.now(UTC) >= ends
    return is_over or bool(st.session_state.get("people_seen", _CHANGES.count) != _CHANGES.count)


def note_change() -> None:
    """Make every open page check its user again."""
    _CHANGES.note()


def ask_sign_in_again(page: str) -> None:
    """A button for what needs a recent sign-in."""
    st.button(
        "Sign in again", key="sign-in-again", icon=":material/lock_clock:", on_click=sign_in,
        args=(page, st.query_params.to_dict()), kwargs={"again": True}, help="An approval needs a recent sign-in.",
    )  # fmt: skip


def show_refused_page(person: Person, permission: Permission, page: str) -> None:
    """Show a refusal in place of a page that the user's roles do not permit."""
    st.title(page, anchor=False)
    refusal = PersonLog(audit_home()).find_refusal(person, permission)
    if refusal is not None:
        st.error(plain(str(refusal)), icon=":material/lock:")
        _log_once(person, permission, page, refusal)


def _log_once(person: Person, permission: Permission, about: str, refusal: AccessRefused) -> None:
    """Log a refused page once per session, because the browser requests it repeatedly."""
    reported = st.session_state.setdefault("refusals_told", set())
    if (about, refusal.why) not in reported:
        reported.add((about, refusal.why))
        PersonLog(audit_home()).refuse(person, permission, about=f"page {about}", refusal=refusal)


def _note_sign_in(person: Person) -> None:
    if st.session_state.get("noted") != (person.id, person.expires_at):
        PersonLog(audit_home()).note_sign_in(person)
        st.session_state.noted = person.id, person.expires_at


def _forget_others(person: Person | None) -> None:
    """Clear the session when its user changes."""
    owner = None if person is None else person.id
    if st.session_state.get("belongs_to", owner) != owner:
        st.session_state.clear()
    st.session_state.belongs_to = owner

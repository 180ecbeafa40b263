"""Make a person's signing key on the page: the action with its permission, and its form."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.errors import AccessRefused, Refused
from audit_core.governance import Permission, load_role_map
from audit_core.store import PersonLog, make_key
from ui.flow import actions, services
from ui.parts.header import plain
from ui.parts.refusal import show_refusal

SIGNS = (Permission.EXPORT_PACK, Permission.REVIEW, Permission.APPROVE)
"""Permissions whose actions need a key; one of them is enough to make it."""
MIN_PASSPHRASE = 12


def find_own_name() -> str:
    """Name that people.toml gives the signed-in user's key; empty if it gives none."""
    return load_role_map(audit_home()).keys.get(services.person().id, "")


def make_own_key(name: str, passphrase: str, repeated: str) -> str:
    """Make a key for the user and return its id; the private key stays on the server, in a file of mode 0600.

    Raises:
        AccessRefused: the user signs nothing, or the name is not the one that people.toml gives them.
        Refused: an invalid name, a second key, or a passphrase that is short, missing with sign-in, or typed differently.
    """
    person = services.person()
    permission = next((one for one in SIGNS if person.may(one)), SIGNS[0])
    services.authorize(permission, f"a signing key {name[:60]}", max_age_s=actions.RECENT_S)
    if not person.is_local and name != find_own_name():
        refusal = AccessRefused(
            f"The key {name[:60]!r} for {person.name}.", wanted="the name under [keys] in people.toml.",
            remedy="ask the server's administrator to add it.", why="not_theirs",
        )  # fmt: skip
        PersonLog(audit_home()).refuse(person, permission, about=name[:60], refusal=refusal)
        raise refusal
    _check_passphrase(passphrase, repeated, is_required=not person.is_local)
    return make_key(audit_home(), name, passphrase=passphrase or None).keyid


def _check_passphrase(passphrase: str, repeated: str, *, is_required: bool) -> None:
    if passphrase != repeated:
        raise Refused("Two different passphrases.", wanted="the same one twice.", remedy="type both again.")
    if len(passphrase) < MIN_PASSPHRASE and (passphrase or is_required):
        raise Refused(
            f"A passphrase of {len(passphrase)} characters.",
            wanted=f"at least {MIN_PASSPHRASE}{'' if is_required else ', or none'}.",
            remedy="use several words.",
        )


def ask_new_key(place: str) -> None:
    """Form for a key, where the user may sign and has a name for it.

    Args:
        place: key suffix, one per page.
    """
    person = services.person()
    if not any(person.may(one) for one in SIGNS):
        return
    name = "" if person.is_local else find_own_name()
    if not person.is_local and not name:
        st.info(
            f"You need a signing key. What to do: ask the server's administrator to add `{plain(person.id)}` under [keys] in people.toml.",
            icon=":material/key:",
        )
        return
    with st.form(f"make-key-{place}", border=True, enter_to_submit=False):
        st.markdown("**Make your signing key.** It signs packs and decisions in your name.")
        if person.is_local:
            st.text_input("Your short name", key="key-name", max_chars=64, placeholder="anna")
        else:
            st.markdown(f"Name: **{plain(name)}**")
        left, right = st.columns(2)
        needed = f"at least {MIN_PASSPHRASE} characters" if not person.is_local else "optional"
        left.text_input(f"Passphrase ({plain(needed)})", key="key-passphrase", type="password", max_chars=200)
        right.text_input("The same passphrase again", key="key-repeat", type="password", max_chars=200)
        st.markdown("The private key stays in the data directory. A forgotten passphrase cannot be recovered.")
        st.form_submit_button("Make the key", icon=":material/key:", on_click=_make, args=(name,))


def show_made() -> None:
    """Show what became of the last key form."""
    if (error := st.session_state.pop("key_refused", None)) is not None:
        show_refusal(error)
    if (made := st.session_state.pop("key_made", "")) != "":
        st.success(f"Your key is made and logged: {plain(made[:19])}….", icon=":material/key:")


def _make(name: str) -> None:
    """Callback, so that the page is drawn with the new key; passphrases do not stay in the session."""
    asked = st.session_state
    passphrase, repeated = asked["key-passphrase"], asked["key-repeat"]
    asked["key-passphrase"] = asked["key-repeat"] = ""
    try:
        asked.key_made = make_own_key(name or asked["key-name"].strip(), passphrase, repeated)
    except AuditError as error:
        asked.key_refused = error

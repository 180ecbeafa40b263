"""Divide a new prompt set by template, with a salt that was fixed before the set was made."""

from __future__ import annotations

from pathlib import Path

from audit_core.prompts.prompt_set import PromptSet, divide_by_template
from audit_core.store.data_directory import audit_home
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import find_log_id


def divide_prompts(prompts: PromptSet) -> PromptSet:
    """Return the set divided by template; the salt is the last part of the id of this installation's log.

    The log's id is drawn when the data directory begins, is in every entry of the log, and cannot be chosen for a set. A set that is
    already divided, or has too few templates, stays as it is. Not for shipped sets: their recorded results rest on the first rule.
    """
    return prompts if prompts.split_salt else divide_by_template(prompts, read_split_salt(audit_home()))


def read_split_salt(home: Path) -> str:
    """The last part of the id of this data directory's log: 16 hexadecimal digits."""
    with open_database(home) as connection:
        return find_log_id(connection).rpartition("/")[2]

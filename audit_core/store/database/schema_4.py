"""Schema version 4: review desk, model card sentences, checklists, people, change log."""

from __future__ import annotations

VERSION_4 = (
    """
    CREATE TABLE desk_pack (
        root_digest VARCHAR PRIMARY KEY, pack_id VARCHAR NOT NULL, taken_at VARCHAR NOT NULL, taken_by VARCHAR NOT NULL,
        pack_sha256 VARCHAR NOT NULL, authors VARCHAR NOT NULL, claim_ids VARCHAR NOT NULL, check_found VARCHAR NOT NULL
    )
    """,
    """
    CREATE TABLE desk_decision (
        number BIGINT PRIMARY KEY, root_digest VARCHAR NOT NULL, role VARCHAR NOT NULL, person VARCHAR NOT NULL,
        account VARCHAR NOT NULL, decision VARCHAR NOT NULL, decided_at VARCHAR NOT NULL, document VARCHAR NOT NULL,
        envelope VARCHAR NOT NULL
    )
    """,
    """
    CREATE TABLE card_claim (
        number BIGINT PRIMARY KEY, model VARCHAR NOT NULL, text VARCHAR NOT NULL, card_sha256 VARCHAR NOT NULL,
        added_at VARCHAR NOT NULL, added_by VARCHAR NOT NULL
    )
    """,
    """
    CREATE TABLE card_claim_link (
        number BIGINT PRIMARY KEY, card_claim BIGINT NOT NULL, claim_id VARCHAR NOT NULL, linked_at VARCHAR NOT NULL,
        linked_by VARCHAR NOT NULL
    )
    """,
    """
    CREATE TABLE checklist (
        checklist_id VARCHAR NOT NULL, version INTEGER NOT NULL, digest VARCHAR NOT NULL, body VARCHAR NOT NULL,
        PRIMARY KEY (checklist_id, version)
    )
    """,
    """
    CREATE TABLE person_state (
        number BIGINT PRIMARY KEY, person VARCHAR NOT NULL, told_at VARCHAR NOT NULL, state VARCHAR NOT NULL,
        actor VARCHAR NOT NULL, name VARCHAR NOT NULL, roles VARCHAR NOT NULL, expires_at VARCHAR NOT NULL,
        reason VARCHAR NOT NULL
    )
    """,
    "CREATE TABLE claim_stale (number BIGINT PRIMARY KEY, claim_id VARCHAR NOT NULL, body VARCHAR NOT NULL)",
    "CREATE TRIGGER desk_pack_kept BEFORE DELETE ON desk_pack FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: desk_pack')",
    "CREATE TRIGGER desk_pack_fixed BEFORE UPDATE ON desk_pack FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: desk_pack')",
    "CREATE TRIGGER desk_decision_kept BEFORE DELETE ON desk_decision FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: desk_decision')",
    "CREATE TRIGGER desk_decision_fixed BEFORE UPDATE ON desk_decision FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: desk_decision')",
    "CREATE TRIGGER card_claim_kept BEFORE DELETE ON card_claim FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: card_claim')",
    "CREATE TRIGGER card_claim_fixed BEFORE UPDATE ON card_claim FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: card_claim')",
    "CREATE TRIGGER card_claim_link_kept BEFORE DELETE ON card_claim_link FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: card_claim_link')",
    "CREATE TRIGGER card_claim_link_fixed BEFORE UPDATE ON card_claim_link FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: card_claim_link')",
    "CREATE TRIGGER checklist_kept BEFORE DELETE ON checklist FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: checklist')",
    "CREATE TRIGGER checklist_fixed BEFORE UPDATE ON checklist FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: checklist')",
    "CREATE TRIGGER person_state_kept BEFORE DELETE ON person_state FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: person_state')",
    "CREATE TRIGGER person_state_fixed BEFORE UPDATE ON person_state FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: person_state')",
    "CREATE TRIGGER claim_stale_kept BEFORE DELETE ON claim_stale FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: claim_stale')",
    "CREATE TRIGGER claim_stale_fixed BEFORE UPDATE ON claim_stale FOR EACH STATEMENT "
    "INSERT INTO refused_change SELECT error('append-only: claim_stale')",
)

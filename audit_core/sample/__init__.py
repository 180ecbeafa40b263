"""The sample organisation: recorded records for a first visit, in a read-only data directory of their own."""

from audit_core.sample.installation import (
    CHANGE,
    is_removed,
    open_sample,
    remove_sample,
    restore_sample,
)
from audit_core.sample.recorded_change import RecordedChange, read_recorded_change
from audit_core.sample.shipped_sample import ARCHIVE, CHECKPOINT, NOTE, SampleNote, read_note
from audit_core.store.database.read_only import (
    RECORD,
    SCHEMA,
    SampleRecord,
    find_record,
    read_record_clock,
    refuse_sample,
)
from audit_core.store.records import RecordCounts, count_records

__all__ = [
    "ARCHIVE",
    "CHANGE",
    "CHECKPOINT",
    "NOTE",
    "RECORD",
    "SCHEMA",
    "RecordCounts",
    "RecordedChange",
    "SampleNote",
    "SampleRecord",
    "count_records",
    "find_record",
    "is_removed",
    "open_sample",
    "read_note",
    "read_record_clock",
    "read_recorded_change",
    "refuse_sample",
    "remove_sample",
    "restore_sample",
]

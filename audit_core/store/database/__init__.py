"""The connection to DuckDB: schema, locks, audit log events, checkpoints."""

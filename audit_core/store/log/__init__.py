"""The run log, its verification, its costs, backup and snapshots."""

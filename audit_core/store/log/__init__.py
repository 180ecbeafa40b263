"""The run log: reading and writing, verification, costs, backup and snapshots."""

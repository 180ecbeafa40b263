"""The shipped benchmark of own facts, and its recorded run."""

"""Database rows of the review desk, and filled checklists."""

"""The review desk's rows and filled checklists."""

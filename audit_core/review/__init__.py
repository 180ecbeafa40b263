"""The review desk: preparer, reviewer and approver of a pack are three persons, each with a signed decision."""

"""What the page Decisions asks and shows."""

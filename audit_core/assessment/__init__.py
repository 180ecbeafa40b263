"""All questions about one circuit, and what speaks for and against it."""

"""Keys of the log and of people, and what opens withheld prompts."""

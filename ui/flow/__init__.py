"""From a question to its answer: subject, prompts, permissions, jobs, models."""

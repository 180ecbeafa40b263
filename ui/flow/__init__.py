"""Services of the pages: subject, prompts, permissions, jobs, models and cached results."""

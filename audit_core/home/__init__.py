"""Read models of a data directory: claims by status, models, portfolio, evidence counts, cost of audits."""

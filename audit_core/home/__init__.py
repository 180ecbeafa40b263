"""What this home holds, read back: claims by standing, models, what audits cost."""

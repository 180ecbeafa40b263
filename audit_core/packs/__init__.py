"""Evidence packs: written, scanned, opened to an auditor, run again."""

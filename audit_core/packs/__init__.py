"""Evidence packs: export, scan for sensitive content, withhold and open prompts, rerun."""

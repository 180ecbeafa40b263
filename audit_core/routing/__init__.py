"""Routing of tokens to experts: what is observed of it. Nothing here measures an effect."""

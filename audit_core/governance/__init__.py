"""Governance rules: people and permissions, policies, four-eyes approval, waivers, the gate. No model, page or log."""

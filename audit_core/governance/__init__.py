"""Who may decide and what decides: people, policies, signatures, the gate. No model, no page, no log."""

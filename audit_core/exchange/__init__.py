"""Exchange with other people's tools: preregistrations (PRML), model signatures (OpenSSF), statements (in-toto)."""

"""Circuits: sets of components, proposed by discovery and tested by interventions."""

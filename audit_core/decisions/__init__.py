"""Decisions about applicants: slots, tasks, and what is measured of them."""

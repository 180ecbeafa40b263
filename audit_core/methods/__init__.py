"""Shelf: cheap estimates of every component's effect. They order work and propose; they never decide."""

"""The crosswalk."""

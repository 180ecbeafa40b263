"""Parts of the tab Steering of the page Features."""

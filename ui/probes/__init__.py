"""Parts of the page Probes."""

"""Reports on a pack as HTML and PDF, and export of a single result. Import the submodules: each loads its own libraries."""
